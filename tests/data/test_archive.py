"""Unpacking: nothing lands outside, and damage is told."""

import zipfile
from pathlib import Path

import pytest

from data.archives import zipped
from tastemaker.data.public.archive import unpack
from tastemaker.errors import DataError


@pytest.mark.parametrize("top", ["", "tiny/"])
def test_an_archive_is_unpacked_without_its_single_top_folder(tmp_path: Path, top: str) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({f"{top}a.txt": b"1", f"{top}sub/b.txt": b"2"}))
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert (tmp_path / "out" / "a.txt").read_bytes() == b"1"
    assert (tmp_path / "out" / "sub" / "b.txt").read_bytes() == b"2"


@pytest.mark.parametrize("name", ["../evil", "tiny/../../evil", "/tmp/evil", "..\\evil", "C:/evil"])
def test_no_member_lands_outside(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"tiny/good": b"1", name: b"2"}))
    with pytest.raises(DataError, match="would be a link or lie outside"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_links_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("tiny/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="would be a link"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    whole = zipped({"tiny/a.txt": bytes(range(256)) * 8})
    flipped = bytearray(whole)
    flipped[60] ^= 0xFF
    for content in (b"", b"no zip", whole[:-30], bytes(flipped)):
        (tmp_path / "a.zip").write_bytes(content)
        with pytest.raises(DataError, match="is not a usable zip archive"):
            unpack(tmp_path / "a.zip", tmp_path / "out")
