"""Downloads against a server on loopback: whole, truncated, changed, dropped, refused."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from data.archives import zipped
from tastemaker.data.public import store
from tastemaker.data.public.download import fetch
from tastemaker.data.public.registry import SOURCES, Download, Source
from tastemaker.errors import DataError
from tastemaker.progress import Progress, Task, use

CONTENT = bytes(range(256)) * 1200  # several reads long


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Site:
    """What the server has and how it behaves; ``asked`` is the Range of each request (None: from the start)."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=lambda: {"/file.bin": CONTENT})
    asked: list[str | None] = field(default_factory=list)
    ranges: bool = True
    drops: list[int] = field(default_factory=list)  # for the next requests: hang up after so many bytes
    failures: list[int] = field(default_factory=list)  # for the next requests: answer this status

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range")
        self.asked.append(asked)
        content = self.files.get(handler.path)
        if self.failures or content is None:
            handler.send_error(self.failures.pop(0) if self.failures else 404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        if start >= len(content):
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        sent = self.drops.pop(0) if self.drops else len(content)
        handler.wfile.write(content[start : start + sent])


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


def get(site: Site, folder: Path, digest: str = sha256(CONTENT), attempts: int = 3) -> Path:
    return fetch(f"{site.url}/file.bin", folder / "file.bin", digest, attempts=attempts, pause=0.01)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_good_download_is_whole_and_leaves_nothing_else(site: Site, tmp_path: Path) -> None:
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert left(tmp_path) == ["file.bin"]
    get(site, tmp_path)
    assert site.asked == [None]  # the second call found it


def test_a_dropped_connection_is_resumed_where_it_ended(site: Site, tmp_path: Path) -> None:
    site.drops = [100_000, 50_000]
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert site.asked == [None, "bytes=100000-", "bytes=150000-"]


def test_after_too_many_drops_a_later_call_goes_on(site: Site, tmp_path: Path) -> None:
    site.drops = [1000, 1000]
    with pytest.raises(
        DataError, match=r"could not be downloaded: .*2,000 of 307,200 bytes.*2,000 bytes are kept"
    ):
        get(site, tmp_path, attempts=2)
    assert left(tmp_path) == ["file.bin.part"]
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert site.asked[-1] == "bytes=2000-"
    assert left(tmp_path) == ["file.bin"]


def test_a_server_that_cannot_resume_starts_over(site: Site, tmp_path: Path) -> None:
    site.ranges = False
    site.drops = [100_000]
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert site.asked == [None, "bytes=100000-"]


@pytest.mark.parametrize("wrong", [CONTENT[:-1], CONTENT[:1000], CONTENT[:-1] + b"!", b"<html>moved</html>"])
def test_a_truncated_or_changed_file_is_refused_and_not_kept(
    site: Site, tmp_path: Path, wrong: bytes
) -> None:
    site.files["/file.bin"] = wrong
    with pytest.raises(
        DataError, match=rf"is not the expected file: SHA-256 .* over {len(wrong):,} bytes, expected"
    ):
        get(site, tmp_path)
    assert left(tmp_path) == []
    site.files["/file.bin"] = CONTENT
    assert get(site, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("stale", [b"something else", b"x" * len(CONTENT), b"x" * (len(CONTENT) + 5)])
def test_a_part_of_another_version_is_not_built_upon(site: Site, tmp_path: Path, stale: bytes) -> None:
    (tmp_path / "file.bin.part").write_bytes(stale)
    assert get(site, tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_whole_is_only_checked(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert site.asked == [f"bytes={len(CONTENT)}-"]


def test_a_missing_file_is_reported_at_once(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.bin could not be downloaded: the server answered 404"):
        fetch(f"{site.url}/none.bin", tmp_path / "none.bin", "", pause=0.01)
    assert len(site.asked) == 1
    assert left(tmp_path) == []


def test_a_busy_server_is_asked_again(site: Site, tmp_path: Path) -> None:
    site.failures = [503, 500]
    assert get(site, tmp_path).read_bytes() == CONTENT


def test_no_server_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"could not be downloaded: .*refused"):
        fetch("http://127.0.0.1:9/file.bin", tmp_path / "file.bin", "", pause=0.01)


class Recorder(Progress):
    """Keeps what was reported; raises KeyboardInterrupt once ``stop`` bytes have come."""

    def __init__(self, stop: int | None = None) -> None:
        self.totals: list[int] = []
        self.done = 0
        self.stop = stop

    def start(self, task: str, total: int, unit: str = "") -> Task:
        assert (task, unit) == ("download file.bin", "byte")
        self.totals.append(total)
        self.done = 0
        recorder = self

        class Recorded(Task):
            def advance(self, steps: int = 1, **figures: float) -> None:
                recorder.done += steps
                if recorder.stop is not None and recorder.done >= recorder.stop:
                    raise KeyboardInterrupt

        return Recorded()


def test_progress_counts_bytes(site: Site, tmp_path: Path) -> None:
    site.drops = [100_000]
    recorder = Recorder()
    with use(recorder):
        get(site, tmp_path)
    assert recorder.totals == [len(CONTENT), len(CONTENT)]
    assert recorder.done == len(CONTENT)


def test_an_interrupt_by_the_user_leaves_a_part_that_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    with use(Recorder(stop=100_000)), pytest.raises(KeyboardInterrupt):
        get(site, tmp_path)
    assert left(tmp_path) == ["file.bin.part"]
    kept = (tmp_path / "file.bin.part").stat().st_size
    assert 100_000 <= kept < len(CONTENT)
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert site.asked == [None, f"bytes={kept}-"]


ARCHIVE = zipped({"tiny/a.txt": b"1 2 3\n", "tiny/README": b"read me\n"})


def tiny(site: Site, *, files: tuple[str, ...] = ("a.txt",), digest: str = sha256(ARCHIVE)) -> Source:
    site.files["/tiny.zip"] = ARCHIVE
    entry = SOURCES["ml-100k"]
    return Source(
        **{
            **vars(entry),
            "name": "tiny",
            "folder": "tiny",
            "files": files,
            "downloads": (Download(f"{site.url}/tiny.zip", digest),),
        }
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TASTEMAKER_DATA", raising=False)
    monkeypatch.setenv("TASTEMAKER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tastemaker.data.public.download.time.sleep", lambda seconds: None)
    return tmp_path / "cache"


def test_a_data_set_is_downloaded_once_and_unpacked(site: Site, cache: Path) -> None:
    source = tiny(site)
    assert store.find(source) is None
    assert store.install(source) == cache / "tiny" == store.find(source)
    assert left(cache / "tiny") == ["README", "a.txt"]
    assert not (cache / "downloads" / "tiny").exists()
    store.install(source)
    assert site.asked == [None]


def test_several_plain_files_make_one_folder(site: Site, cache: Path) -> None:
    site.files |= {"/a.txt": b"1", "/b.txt": b"2"}
    downloads = tuple(Download(f"{site.url}/{n}", sha256(c)) for n, c in [("a.txt", b"1"), ("b.txt", b"2")])
    source = Source(**{**vars(tiny(site)), "files": ("a.txt", "b.txt"), "downloads": downloads})
    del site.files["/b.txt"]
    with pytest.raises(DataError, match="404"):
        store.install(source)
    assert store.find(source) is None
    site.files["/b.txt"] = b"2"
    assert left(store.install(source)) == ["a.txt", "b.txt"]
    assert len(site.asked) == 3  # a.txt was not fetched again


def test_an_interrupted_download_is_no_data_set_and_goes_on(site: Site, cache: Path) -> None:
    source = tiny(site)
    site.drops = [50, 50, 50]
    with pytest.raises(DataError) as failure:
        store.install(source)
    for told in (
        "150 bytes are kept",
        "Run it again",
        f"{site.url}/tiny.zip by hand",
        "a.txt",
        f"{cache / 'tiny'}",
    ):
        assert told in str(failure.value)
    assert store.find(source) is None
    assert left(store.install(source)) == ["README", "a.txt"]
    assert site.asked[-1] == "bytes=150-"


def test_a_wrong_checksum_makes_no_data_set(site: Site, cache: Path) -> None:
    with pytest.raises(DataError, match=r"not the expected file.*by hand"):
        store.install(tiny(site, digest="0" * 64))
    assert store.find(tiny(site)) is None
    assert left(store.install(tiny(site))) == ["README", "a.txt"]


def test_an_archive_without_a_needed_file_makes_no_data_set(site: Site, cache: Path) -> None:
    source = tiny(site, files=("a.txt", "b.txt"))
    with pytest.raises(DataError, match=r"the download has no b\.txt"):
        store.install(source)
    assert store.find(source) is None
    assert left(cache) == ["downloads"]


def test_files_put_there_by_hand_are_taken(site: Site, cache: Path) -> None:
    (cache / "tiny").mkdir(parents=True)
    (cache / "tiny" / "a.txt").write_text("1")
    assert store.install(tiny(site)) == cache / "tiny"
    assert site.asked == []


def test_two_at_a_time_download_once(site: Site, cache: Path) -> None:
    source = tiny(site)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(store.install(source))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [cache / "tiny"] * 4
    assert site.asked == [None]


def test_the_data_folder_goes_first(
    site: Site, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tiny(site)
    monkeypatch.setenv("TASTEMAKER_DATA", str(tmp_path / "data"))
    with pytest.raises(DataError, match="is not a folder"):
        store.find(source)
    (tmp_path / "data" / "tiny").mkdir(parents=True)
    with pytest.raises(DataError, match=r"lacks a\.txt of tiny; put the published files there"):
        store.find(source)
    (tmp_path / "data" / "tiny" / "a.txt").write_text("1")
    assert store.install(source) == tmp_path / "data" / "tiny"
    (tmp_path / "data" / "tiny" / "a.txt").unlink()
    (tmp_path / "data" / "tiny").rmdir()
    assert store.install(source) == cache / "tiny"


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TASTEMAKER_CACHE", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert store.cache() == tmp_path / ".cache" / "tastemaker"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert store.cache() == tmp_path / "elsewhere" / "tastemaker"
