"""Published text files, read fast and checked: what does not parse is an error that names the file and the line."""

import csv
import io
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import polars as pl

from tastemaker.errors import DataError

__all__ = ["damaged", "read_content", "read_lists", "read_quoted", "read_rows", "require_equal_lengths"]

_SHOWN = 80
_WHOLE = re.compile(r"[+-]?\d+")


def damaged(path: Path, line: int | None, problem: str) -> NoReturn:
    """Raise the DataError for a file that is not as its publisher made it; lines count from 1."""
    place = f"{path}, line {line}" if line else f"{path}"
    raise DataError(
        f"{place}: {problem}. The file is damaged or is another file; replace it by the published one "
        f"(or remove the folder {path.parent}, and the next load downloads it)"
    )


def read_content(path: Path, encoding: str = "utf-8") -> bytes:
    """The whole file as UTF-8 bytes with bare line feeds, without those at the end.

    Raises:
        DataError: if it is missing, empty or not in ``encoding``.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    if not content.strip():
        damaged(path, None, f"no rows in {len(content)} bytes")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        damaged(path, content.count(b"\n", 0, error.start) + 1, f"not {encoding} text ({error.reason})")
    utf8 = content if encoding == "utf-8" else text.encode()
    return utf8.replace(b"\r\n", b"\n").rstrip(b"\n")


def read_rows(
    path: Path,
    schema: Mapping[str, type[pl.DataType]],
    *,
    separator: str = "\t",
    encoding: str = "utf-8",
    header: str | None = None,
    optional: Collection[str] = (),
) -> pl.DataFrame:
    """A table of unquoted fields, one row a line.

    Args:
        path: the file.
        schema: names and types of the fields, in the file's order.
        separator: between fields; a longer one (``"::"``) is first replaced by a tab, which keeps the reader fast.
        encoding: of the text; MovieLens 100K and 1M are in latin-1.
        header: the first line as published, if there is one.
        optional: fields that may be empty.

    Raises:
        DataError: names the file and the first line that has a field too many, too few, or of a wrong type.
    """
    content = read_content(path, encoding)
    if header is not None:
        first, _, content = content.partition(b"\n")
        if first != header.encode():
            damaged(path, 1, f"expected the header {header!r}, got {_shown(first.decode())}")
    single = separator if len(separator) == 1 else "\t"
    rows = content.replace(separator.encode(), single.encode())
    try:
        frame = pl.read_csv(
            io.BytesIO(rows),
            has_header=False,
            schema=dict(schema),
            separator=single,
            quote_char=None,
        )
    except pl.exceptions.PolarsError:
        frame = None
    if frame is None or not _complete(frame, rows, single, optional):
        _raise_at_first_bad_line(path, content.decode(), schema, separator, 2 if header else 1, optional)
    return frame


def _complete(frame: pl.DataFrame, rows: bytes, separator: str, optional: Collection[str]) -> bool:
    """Whether no field is missing: Polars itself refuses long lines, but fills short ones with nulls."""
    lines = rows.count(b"\n") + 1
    fields = rows.count(separator.encode()) + lines
    required = [c for c in frame.columns if c not in optional]
    empty = sum(frame[c].null_count() for c in required)
    return frame.height == lines and fields == lines * frame.width and empty == 0


def _raise_at_first_bad_line(
    path: Path,
    text: str,
    schema: Mapping[str, type[pl.DataType]],
    separator: str,
    start: int,
    optional: Collection[str],
) -> NoReturn:
    for number, line in enumerate(text.split("\n"), start):
        fields = line.split(separator)
        if len(fields) != len(schema):
            expected = f"{len(schema)} fields separated by {separator!r} ({', '.join(schema)})"
            damaged(path, number, f"expected {expected}, got {len(fields)}: {_shown(line)}")
        for field, (name, kind) in zip(fields, schema.items(), strict=True):
            if not (_is_a(field, kind) if field else name in optional):
                damaged(
                    path, number, f"{name} must be {_spoken(kind)}, got {_shown(field)} in {_shown(line)}"
                )
    damaged(path, None, f"does not parse as fields separated by {separator!r} ({', '.join(schema)})")


def _is_a(field: str, kind: type[pl.DataType]) -> bool:
    if kind == pl.String:
        return True
    if kind.is_integer():
        return _WHOLE.fullmatch(field) is not None
    try:
        float(field)
    except ValueError:
        return False
    return True


def _spoken(kind: type[pl.DataType]) -> str:
    if kind == pl.String:
        return "text"
    return "a whole number" if kind.is_integer() else "a number"


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def read_quoted(path: Path, columns: Sequence[str], encoding: str = "utf-8") -> pl.DataFrame:
    """A small CSV file with a header and quoted fields, every field as text; ``columns`` are those wanted.

    Raises:
        DataError: names the file and line of a row with a field too many or too few, or a missing column.
    """
    reader = csv.reader(io.StringIO(read_content(path, encoding).decode()))
    header = next(reader)
    missing = [c for c in columns if c not in header]
    if missing:
        damaged(path, 1, f"no column {', '.join(missing)}; there are: {', '.join(header)}")
    rows = []
    for row in reader:
        if len(row) != len(header):
            problem = f"expected {len(header)} fields ({', '.join(header)}), got {len(row)}"
            damaged(path, reader.line_num, f"{problem}: {_shown(','.join(row))}")
        rows.append(row)
    return pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String), orient="row").select(columns)


def read_lists(path: Path, kind: type[pl.DataType] = pl.Int64, content: bytes | None = None) -> pl.Series:
    """Numbers separated by spaces or tabs, a list a line; lines may differ in length.

    Args:
        path: the file, for errors, and for reading unless ``content`` is given.
        kind: type of every number.
        content: the text, where the caller had to rewrite it first (without moving lines).

    Raises:
        DataError: names the file and the first line with something that is not a number.
    """
    text = (content or read_content(path)).decode()
    lines = pl.Series(path.name, text.split("\n"))
    words = lines.str.replace_all("\t", " ", literal=True).str.strip_chars(" ").str.split(" ")
    flat = words.explode()
    numbers = flat.cast(kind, strict=False)
    if numbers.null_count():
        word = int(numbers.is_null().arg_max() or 0)
        line = int((words.list.len().cum_sum() <= word).sum())
        damaged(
            path, line + 1, f"expected {_spoken(kind)}, got {_shown(flat[word])} in {_shown(lines[line])}"
        )
    return words.list.eval(pl.element().cast(kind))


def require_equal_lengths(path: Path, lists: pl.Series, length: int) -> None:
    """Raise a DataError at the first line that does not have ``length`` numbers."""
    lengths = lists.list.len()
    wrong = (lengths != length).arg_true()
    if len(wrong):
        line = int(wrong[0])
        damaged(path, line + 1, f"expected {length} numbers, got {lengths[line]}")
