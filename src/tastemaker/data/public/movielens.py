"""MovieLens as GroupLens publishes it: 100K, 1M, and the small one of the latest.

Harper, Konstan: The MovieLens Datasets: History and Context. ACM TiiS 5 (4), 2015. https://doi.org/10.1145/2827872
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.data.public.tables import Tables
from tastemaker.data.public.text import damaged, read_quoted, read_rows
from tastemaker.data.splits import Split, predefined

__all__ = ["ml_1m", "ml_1m_clicks", "ml_100k", "ml_100k_folds", "ml_latest_small"]

_RATINGS = {"user": pl.Int64, "item": pl.Int64, "rating": pl.Int64, "timestamp": pl.Int64}
_MOVIES = {"item": pl.Int64, "title": pl.String, "genres": pl.String}
_OCCUPATIONS = [
    "other",
    "academic/educator",
    "artist",
    "clerical/admin",
    "college/grad student",
    "customer service",
    "doctor/health care",
    "executive/managerial",
    "farmer",
    "homemaker",
    "K-12 student",
    "lawyer",
    "programmer",
    "retired",
    "sales/marketing",
    "scientist",
    "self-employed",
    "technician/engineer",
    "tradesman/craftsman",
    "unemployed",
    "writer",
]  # the place in this list is the code
_FOLDS = {
    **{f"u{i}": f"5-fold cross-validation, part {i}" for i in range(1, 6)},
    "ua": "10 ratings a user held out, first draw",
    "ub": "10 ratings a user held out, second draw (disjoint from ua)",
}


def ml_100k(folder: Path) -> Tables:
    """MovieLens 100K: ``u.data``, ``u.user``, ``u.item``.

    Users have ``age``, ``gender``, ``occupation``, ``zip_code``; items ``title``, ``year``, ``release_date`` and
    ``genres``, a list. One item has no title but ``unknown`` and no date.
    """
    about = {
        "item": pl.Int64,
        "title": pl.String,
        "release_date": pl.String,
        "_video": pl.String,
        "_url": pl.String,
    }
    names = read_rows(folder / "u.genre", {"genre": pl.String, "at": pl.Int64}, separator="|")
    genres = names["genre"].to_list()
    items = read_rows(
        folder / "u.item",
        about | dict.fromkeys(genres, pl.Int64),
        separator="|",
        encoding="latin-1",
        optional={"release_date", "_video", "_url"},
    )
    flags = [pl.when(pl.col(g) == 1).then(pl.lit(g)) for g in genres]
    items = items.select(
        "item",
        pl.col("title").str.strip_chars(),
        _year(),
        pl.col("release_date").str.to_date("%d-%b-%Y", strict=False),
        pl.concat_list(flags).list.drop_nulls().alias("genres"),
    )
    users = {
        "user": pl.Int64,
        "age": pl.Int64,
        "gender": pl.String,
        "occupation": pl.String,
        "zip_code": pl.String,
    }
    return Tables(
        interactions=read_rows(folder / "u.data", _RATINGS),
        users=read_rows(folder / "u.user", users, separator="|"),
        items=items,
        scale=(1, 5),
    )


def ml_100k_folds(folder: Path, data: Dataset) -> dict[str, Split]:
    """The published folds: ``u1`` to ``u5``, ``ua`` and ``ub``, each part in the order of its file.

    As published, ``u4`` and ``u5`` test three ratings twice, and three others are tested on by no fold.
    """
    return {
        name: predefined(
            data,
            train=_rows_of(folder / f"{name}.base", data),
            test=_rows_of(folder / f"{name}.test", data),
            name=name,
            description=f"as published: {description}",
        )
        for name, description in _FOLDS.items()
        if (folder / f"{name}.base").exists()
    }


def _rows_of(path: Path, data: Dataset) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """int64[m]: where the Dataset has the ratings of the file."""
    wanted = read_rows(path, _RATINGS)
    places = np.full((data.n_users + 1, data.n_items + 1), -1)  # the last row and column are for unknown ids
    places[data.user, data.item] = np.arange(len(data))
    rows: np.ndarray[tuple[int], np.dtype[np.int64]] = places[
        data.users.encode(wanted["user"]), data.items.encode(wanted["item"])
    ]
    unknown = np.flatnonzero(rows < 0)
    if len(unknown):
        damaged(path, int(unknown[0]) + 1, f"{len(unknown)} ratings are not in u.data")
    return rows


def ml_1m(folder: Path) -> Tables:
    """MovieLens 1M: ``ratings.dat``, ``users.dat``, ``movies.dat``.

    Users have ``gender``, ``age`` (the lowest age of the published bracket; 1 stands for under 18), ``occupation`` (spelled
    out) and ``zip_code``; items ``title``, ``year`` and ``genres``, a list.
    """
    people = {
        "user": pl.Int64,
        "gender": pl.String,
        "age": pl.Int64,
        "occupation": pl.Int64,
        "zip_code": pl.String,
    }
    users = read_rows(folder / "users.dat", people, separator="::", encoding="latin-1")
    known = users["occupation"].is_between(0, len(_OCCUPATIONS) - 1)
    if not known.all():
        row = int((~known).arg_max() or 0)
        damaged(
            folder / "users.dat", row + 1, f"no occupation {users['occupation'][row]}; they go from 0 to 20"
        )
    names = pl.Series(_OCCUPATIONS)
    return Tables(
        interactions=read_rows(folder / "ratings.dat", _RATINGS, separator="::"),
        users=users.with_columns(names.gather(users["occupation"]).alias("occupation")),
        items=_movies(read_rows(folder / "movies.dat", _MOVIES, separator="::", encoding="latin-1")),
        scale=(1, 5),
    )


def ml_1m_clicks(folder: Path) -> Tables:
    """MovieLens 1M as click-through data: ratings of 4 and 5 are clicks, those of 1 and 2 are not, and 3 is left out.

    Without times, since copies exist whose times are only right within a user; with the features of :func:`ml_1m`.
    """
    tables = ml_1m(folder)
    rating = pl.col("rating")
    shown = tables.interactions.filter(rating != 3)
    labels = (rating >= 4).cast(pl.Int8).alias("label")
    return replace(tables, interactions=shown.select("user", "item", labels), scale=None)


def ml_latest_small(folder: Path) -> Tables:
    """The small MovieLens of September 2018: ``ratings.csv`` and ``movies.csv``; nothing is known about users."""
    ratings = read_rows(
        folder / "ratings.csv",
        _RATINGS | {"rating": pl.Float64},
        separator=",",
        header="userId,movieId,rating,timestamp",
    )
    path = folder / "movies.csv"
    movies = read_quoted(path, ["movieId", "title", "genres"]).rename({"movieId": "item"})
    ids = movies["item"].cast(pl.Int64, strict=False)
    if ids.null_count():
        damaged(
            path, None, f"movieId must be a whole number, got {movies['item'].filter(ids.is_null())[0]!r}"
        )
    return Tables(interactions=ratings, items=_movies(movies.with_columns(ids)), scale=(0.5, 5))


def _movies(table: pl.DataFrame) -> pl.DataFrame:
    """Title, year from the title, genres as a list (empty where none are listed)."""
    genres = pl.col("genres").str.split("|").list.filter(pl.element() != "(no genres listed)")
    return table.select("item", pl.col("title").str.strip_chars(), _year(), genres)


def _year() -> pl.Expr:
    """The last ``(1995)`` in the title; null where there is none."""
    return pl.col("title").str.extract(r".*\((\d{4})(?:[–-]\d{0,4})?\)").cast(pl.Int32).alias("year")
