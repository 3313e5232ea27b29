"""The options that several commands share, and what they turn into: Datasets, models, ids."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from tastemaker import datasets
from tastemaker.data import Dataset, Vocabulary
from tastemaker.data.sessions import GAP
from tastemaker.errors import DataError, TastemakerError
from tastemaker.models import model_class
from tastemaker.models.base import Recommender

Data = Annotated[
    str,
    typer.Argument(
        help="A data set's name (see: tastemaker datasets), a CSV, TSV or Parquet file, or a saved Dataset."
    ),
]
UserColumn = Annotated[str, typer.Option("--user", metavar="COL", help="Column with the users' ids.")]
ItemColumn = Annotated[str, typer.Option("--item", metavar="COL", help="Column with the items' ids.")]
RatingColumn = Annotated[
    str | None,
    typer.Option("--rating", metavar="COL", help="Column with ratings; without it: implicit feedback."),
]
LabelColumn = Annotated[
    str | None,
    typer.Option("--label", metavar="COL", help="Column with clicks, 1 or 0: each row is something shown."),
]
WeightColumn = Annotated[
    str | None, typer.Option("--weight", metavar="COL", help="Column that says how much a row counts.")
]
TimeColumn = Annotated[
    str | None, typer.Option("--timestamp", metavar="COL", help="Column with dates or seconds since 1970.")
]
ContextColumns = Annotated[
    str | None,
    typer.Option(metavar="A,B,…", help="Columns with the circumstances of a row, such as device or hour."),
]
Separator = Annotated[
    str | None, typer.Option(help="Between the fields of a text file, e.g. ';', '\\t' or '::'.")
]
Columns = Annotated[
    str | None,
    typer.Option(metavar="A,B,…", help="Names of the columns, for a text file without a header line."),
]
Scale = Annotated[
    str | None,
    typer.Option(metavar="LOW,HIGH", help="Lowest and highest rating; a rating outside is an error."),
]
Duplicates = Annotated[
    str, typer.Option(help="Several rows of one user and item: auto, first, last, sum, max, mean or error.")
]
UserFeatures = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Table with one row a user (same id column).")
]
ItemFeatures = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Table with one row an item (same id column).")
]
Gap = Annotated[
    float | None,
    typer.Option(min=0, help="Minutes; a longer pause ends a session (session); 30 if not given."),
]
SessionGap = Annotated[
    float | None,
    typer.Option(
        "--gap", min=0, help="Learn from sessions, which a pause of more minutes ends, not from users."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A hyper-parameter: factors=64, or mf.factors=64; may be repeated.",
    ),
]
Described = Annotated[
    list[str] | None,
    typer.Option("--feature", metavar="NAME=VALUE", help="What is known of whoever asks; may be repeated."),
]
Circumstances = Annotated[
    list[str] | None,
    typer.Option("--context", metavar="NAME=VALUE", help="Where and when it is asked; may be repeated."),
]
Length = Annotated[int, typer.Option("-k", min=1, help="Length of the lists.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Saved = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a saved model.")]
_LONGEST = timedelta.max // timedelta(minutes=1)  # a pause that nobody makes


def open_data(
    source: str,
    *,
    user: str = "user",
    item: str = "item",
    rating: str | None = None,
    label: str | None = None,
    weight: str | None = None,
    timestamp: str | None = None,
    context: str | None = None,
    separator: str | None = None,
    columns: str | None = None,
    scale: str | None = None,
    duplicates: str = "auto",
    user_features: Path | None = None,
    item_features: Path | None = None,
    session_gap: timedelta | None = None,
) -> Dataset:
    """A named data set, a saved Dataset or a file, as a Dataset.

    Args:
        session_gap: read a table of interactions as sessions; all else is left to be cut by whoever asks for sessions.

    Raises:
        DataError: with the place of what is wrong.
    """
    path = Path(source)
    if (path / "dataset.json").is_file():
        return Dataset.load(path)
    if source in datasets.names() and not path.is_file():
        return datasets.load(source)
    if not path.exists() and not path.suffix and len(path.parts) == 1:
        raise DataError(
            f"{source!r} is neither a file nor a data set; data sets: {', '.join(datasets.names())}"
        )
    table: dict[str, Any] = {
        "user": user,
        "item": item,
        "weight": weight,
        "timestamp": timestamp,
        "context": _names(context) or (),
        "separator": None if separator is None else separator.replace("\\t", "\t"),
        "columns": _names(columns),
        "user_features": user_features,
        "item_features": item_features,
        "name": path.name,
    }
    if label is None:
        rated = {
            "rating": rating,
            "scale": _scale(scale),
            "duplicates": duplicates,
            "session_gap": session_gap,
        }
        return Dataset.from_interactions(path, **table, **rated)
    if rating is not None or scale is not None or duplicates != "auto":
        raise DataError(
            "--label: impressions have no --rating and --scale, and keep every row: no --duplicates"
        )
    return Dataset.from_impressions(path, label=label, **table)


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",")]


def _scale(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.replace("–", ",").split(","))
    except ValueError:
        raise DataError(f"--scale: expected LOW,HIGH such as 1,5, got {text!r}") from None
    return low, high


def table_of(ctx: typer.Context, session_gap: timedelta | None = None) -> Dataset:
    """What :func:`open_data` makes of the options of a command that takes them all."""
    names = signature(open_data).parameters.keys() - {"source", "session_gap"}
    given = {name: ctx.params[name] for name in names}
    return open_data(ctx.params["data"], session_gap=session_gap, **given)


def pause(minutes: float | None) -> timedelta:
    """What ``--gap`` says."""
    return GAP if minutes is None else timedelta(minutes=min(minutes, _LONGEST))


def build_models(names: Sequence[str], settings: Sequence[str] | None = None) -> dict[str, Recommender[Any]]:
    """Models by name with the settings that are for all of them or for each.

    Raises:
        TastemakerError: as :func:`build_model`, for no name at all, or a setting for a model that is not among them.
    """
    if not names:
        raise TastemakerError("--model: expected names of models; see tastemaker models")
    for setting in settings or ():
        owner, dot, _ = setting.partition("=")[0].rpartition(".")
        if dot and owner not in names:
            raise TastemakerError(
                f"--set {setting}: there is no model {owner!r} here, only {', '.join(names)}"
            )
    return {name: build_model(name, settings) for name in names}


def build_model(name: str, settings: Sequence[str] | None = None) -> Recommender[Any]:
    """A model by its registered name with hyper-parameters written as ``name=value``, or ``mf.name=value`` for mf alone.

    Raises:
        TastemakerError: for an unknown model or hyper-parameter, or a value that is out of range.
    """
    kind = model_class(name)
    there = kind().parameters()
    chosen: dict[str, Any] = {}
    for setting in settings or ():
        key, equals, text = setting.partition("=")
        owner, dot, parameter = key.rpartition(".")
        if dot and owner != name:
            continue
        key = parameter
        if not equals or key not in there:
            known = ", ".join(f"{k}={v!r}" for k, v in there.items())
            raise TastemakerError(f"--set {setting}: {name} has the hyper-parameters {known}")
        chosen[key] = _value(text)
    try:
        model: Recommender[Any] = kind(**chosen)
    except (ValueError, TypeError) as error:
        raise TastemakerError(f"--set: {error}") from error
    return model


def same_rows(facts: Sequence[str] | None, n: int) -> pl.DataFrame | None:
    """``name=value`` texts as a table of ``n`` same rows; None for none.

    Raises:
        TastemakerError: for text without an equals sign.
    """
    pairs = [fact.partition("=") for fact in facts or ()]
    for fact, (_, equals, _) in zip(facts or (), pairs, strict=True):
        if not equals:
            raise TastemakerError(f"expected NAME=VALUE such as hour=20, got {fact!r}")
    return pl.DataFrame({name: [_value(text)] * n for name, _, text in pairs}) if pairs else None


def _value(text: str) -> Any:
    """A number, a boolean, null or JSON where the text is one; else the text itself."""
    try:
        return json.loads(text.lower() if text in ("True", "False", "None") else text)
    except ValueError:
        return None if text == "None" else text


def program() -> str:
    """The command line as it was called, for commands to copy."""
    called = Path(sys.argv[0])
    found = shutil.which(called.name)
    if found and Path(found).absolute() == called.absolute():
        return called.name
    return str(called.relative_to(Path.cwd())) if called.is_relative_to(Path.cwd()) else str(called)


def typed_ids(vocabulary: Vocabulary, texts: Sequence[str]) -> list[Any]:
    """Ids typed on the command line in the type of the vocabulary; text that cannot be one stays text, an unknown id."""
    dtype = vocabulary.ids.dtype
    if dtype == pl.Boolean:
        return [{"true": True, "false": False}.get(t.strip().lower(), t) for t in texts]
    read: Callable[[str], Any] = str
    if dtype.is_integer():
        read = int
    elif isinstance(dtype, pl.Date | pl.Datetime):
        read = date.fromisoformat if dtype == pl.Date else datetime.fromisoformat
    return [_read_or_keep(read, text) for text in texts]


def _read_or_keep(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except ValueError:
        return text
