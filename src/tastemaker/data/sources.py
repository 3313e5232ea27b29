"""Tables from wherever they are: a dataframe of any library, a file, a SQL query. Out comes a Polars frame."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import narwhals as nw
import polars as pl

from tastemaker.errors import DataError, require

__all__ = ["Table", "open_table", "read_table"]


class Table(Protocol):
    """What is asked of a table: a Polars frame, or a file that is read column by column."""

    @property
    def columns(self) -> list[str]:
        """The names."""

    @property
    def height(self) -> int:
        """How many rows there are."""

    def __getitem__(self, column: str, /) -> pl.Series: ...

    def select(self, columns: Sequence[str], /) -> pl.DataFrame:
        """Some of the columns."""


class ParquetTable:
    """A Parquet file, of which a column is read when it is asked for, and not kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            whole = pl.scan_parquet(path, glob=False)
            self.columns = whole.collect_schema().names()
            self.height = int(whole.select(pl.len()).collect().item())
        except pl.exceptions.PolarsError as error:
            raise _unreadable(path, error) from error

    def __getitem__(self, column: str) -> pl.Series:
        return self.select([column]).to_series()

    def select(self, columns: Sequence[str]) -> pl.DataFrame:
        """Some of the columns."""
        try:
            return pl.read_parquet(self._path, columns=list(columns), glob=False)
        except pl.exceptions.PolarsError as error:
            raise _unreadable(self._path, error) from error


def open_table(source: Any, *, connection: Any = None, **options: Any) -> Table:
    """As :func:`read_table`, but a column of a Parquet file is read when it is asked for, and none but those."""
    if connection is None and isinstance(source, str | Path) and _is_parquet(Path(source)):
        return ParquetTable(_existing(Path(source)))
    return read_table(source, connection=connection, **options)


def read_table(
    source: Any,
    *,
    ids: Sequence[str] = (),
    separator: str | None = None,
    columns: Sequence[str] | None = None,
    connection: Any = None,
    name: str = "table",
) -> pl.DataFrame:
    """Read a table into a Polars frame.

    Args:
        source: a pandas, Polars, Arrow, DuckDB or any other dataframe that narwhals or the Arrow interface knows; a mapping of
            columns; the path of a CSV, TSV or Parquet file; or, with ``connection``, a SQL query.
        ids: columns that hold ids. From text files they are read as text, so that ``007`` stays ``007``; a column
            in which every value is the plain spelling of an integer becomes integers.
        separator: between the fields of a text file; more than one character is fine (``"::"``). By default a tab for
            ``.tsv`` files and a comma for all others.
        columns: names for the columns of a text file that has no header line.
        connection: a DB-API or DuckDB connection, a SQLAlchemy engine, or a database URL (extra ``sql``).
        name: what to call the table in errors.

    Raises:
        DataError: if there is no such file, it is empty, or it cannot be parsed.

    >>> read_table({"user": [1, 2], "item": ["a", "b"]}).shape
    (2, 2)
    """
    if connection is not None:
        return _read_sql(source, connection, name)
    if isinstance(source, str | Path):
        return _read_file(Path(source), ids, separator, columns, name)
    if isinstance(source, Mapping):
        return pl.DataFrame({key: _column(key, values) for key, values in source.items()})
    if isinstance(source, pl.LazyFrame):
        return source.collect()
    if isinstance(source, pl.DataFrame):
        return source
    return _from_dataframe(source, name)


def _column(key: str, values: Any) -> pl.Series:
    """A column of a mapping; ids of types that Polars does not have (UUIDs) stay Python objects."""
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise DataError(
            f"column {key!r}: expected a list with one value a row, got {values!r}; write [{values!r}]"
        )
    try:
        return pl.Series(key, values, strict=not (isinstance(values, list) and _numbers(values)))
    except (TypeError, pl.exceptions.PolarsError):
        return pl.Series(key, list(values), dtype=pl.Object)


def _numbers(values: list[Any]) -> bool:
    return all(isinstance(v, int | float) or v is None for v in values)


def _from_dataframe(source: Any, name: str) -> pl.DataFrame:
    try:
        frame = nw.from_native(source)
    except TypeError as error:
        if hasattr(source, "__arrow_c_stream__"):
            return pl.DataFrame(source)
        raise DataError(
            f"{name}: expected a dataframe, a mapping of columns, a file path or a SQL query with connection=, "
            f"got {type(source).__name__}"
        ) from error
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    if any(kind == nw.Object for kind in frame.schema.values()):
        return pl.DataFrame({c: _column(str(c), frame[c].to_list()) for c in frame.columns})
    table: pl.DataFrame = frame.to_polars()
    return table


def _read_sql(query: Any, connection: Any, name: str) -> pl.DataFrame:
    if isinstance(connection, str):
        connection = require("sqlalchemy", "sql").create_engine(connection)
    try:
        return pl.read_database(str(query), connection)
    except Exception as error:
        raise DataError(f"{name}: the query failed: {error}") from error


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in {".parquet", ".pq"}


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} is not a readable Parquet file: {_first_line(error)}")


def _existing(path: Path) -> Path:
    """The path of a file with something in it."""
    if not path.exists():
        raise DataError(f"no such file: {path}")
    if path.is_dir():
        raise DataError(f"{path} is a folder, expected a CSV, TSV or Parquet file")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes)")
    return path


def _read_file(
    path: Path, ids: Sequence[str], separator: str | None, columns: Sequence[str] | None, name: str
) -> pl.DataFrame:
    if _is_parquet(_existing(path)):
        table = ParquetTable(path)
        return table.select(table.columns)
    if separator is None:
        separator = "\t" if ".tsv" in path.suffixes else ","
    frame = _read_text(path, separator, columns)
    return frame.with_columns(
        _integers_where_lossless(frame[c]) if c in ids else _numbers_where_all_are(frame[c])
        for c in frame.columns
    )


def _read_text(path: Path, separator: str, columns: Sequence[str] | None) -> pl.DataFrame:
    """A delimited file, every field as text."""
    if not separator:
        raise DataError("separator: expected one character or more between the fields, got ''")
    source: Any = path
    split_at = separator
    if len(separator) > 1:
        content = path.read_bytes()
        if b"\x1f" in content:
            raise DataError(f"{path} holds control characters; give it a one-character separator")
        source, split_at = io.BytesIO(content.replace(separator.encode(), b"\x1f")), "\x1f"
    try:
        frame = pl.read_csv(
            source, separator=split_at, has_header=columns is None, infer_schema=False, glob=False
        )
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise DataError(f"{path}: {_what_is_wrong(path, separator) or _first_line(error)}") from error
    if columns is not None:
        if len(columns) != frame.width:
            raise DataError(
                f"{path} has {frame.width} columns when split at {separator!r}, "
                f"but {len(columns)} names were given: {', '.join(columns)}"
            )
        frame.columns = list(columns)
    return frame


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _what_is_wrong(path: Path, separator: str) -> str:
    """The first line of a text file that cannot be read, and why; empty if none is found."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return f"line {line} is not UTF-8 text (byte 0x{content[error.start]:02x}); save the file as UTF-8"
    if len(separator) > 1:
        return ""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    width = len(next(rows))
    for row in rows:
        if len(row) > width:
            return (
                f"line {rows.line_num} has {len(row)} fields and the first line {width}; "
                f"is {separator!r} the separator?"
            )
    return ""


def _integers_where_lossless(ids: pl.Series) -> pl.Series:
    """Text that is the plain spelling of integers as integers; ``007`` or ``+1`` anywhere keeps the column text."""
    numbers = ids.cast(pl.Int64, strict=False)
    return (
        numbers
        if (numbers.cast(pl.String) == ids).all() and numbers.null_count() == ids.null_count()
        else ids
    )


def _numbers_where_all_are(text: pl.Series) -> pl.Series:
    """Text as integers or else as numbers where every value is one; empty fields are null."""
    for kind in (pl.Int64, pl.Float64):
        numbers = text.cast(kind, strict=False)
        if numbers.null_count() == text.null_count():
            return numbers
    return text
