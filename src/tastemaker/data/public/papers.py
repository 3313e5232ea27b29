"""Splits that papers are measured on, as their authors publish them: LightGCN's Gowalla, NCF's and SASRec's MovieLens 1M."""

from pathlib import Path

import numpy as np
import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.data.public.tables import Tables
from tastemaker.data.public.text import damaged, read_content, read_lists, read_rows, require_equal_lengths
from tastemaker.data.splits import Split, leave_last_out, predefined

__all__ = ["gowalla", "gowalla_folds", "ncf_ml_1m", "ncf_ml_1m_folds", "sasrec_ml_1m", "sasrec_ml_1m_folds"]

_RATINGS = {"user": pl.Int64, "item": pl.Int64, "rating": pl.Int64, "timestamp": pl.Int64}
_NEGATIVES = 99


def gowalla(folder: Path) -> Tables:
    """Gowalla check-ins in LightGCN's selection: ``train.txt``, then ``test.txt``; one line a user: user, then items."""
    return Tables(interactions=pl.concat([_check_ins(folder / "train.txt"), _check_ins(folder / "test.txt")]))


def _check_ins(path: Path) -> pl.DataFrame:
    lists = read_lists(path)
    frame = pl.DataFrame({"user": lists.list.first(), "item": lists.list.slice(1)})
    return frame.filter(pl.col("item").list.len() > 0).explode("item")


def gowalla_folds(folder: Path, data: Dataset) -> dict[str, Split]:
    """LightGCN's split (He et al., SIGIR 2020), which ranks the full catalogue."""
    first = len(data) - _check_ins(folder / "test.txt").height
    return {
        "test": predefined(data, np.arange(first, len(data)), name="test", description="LightGCN's split")
    }


def ncf_ml_1m(folder: Path) -> Tables:
    """MovieLens 1M with the NCF paper's ids (from 0): ``ml-1m.train.rating``, then ``ml-1m.test.rating``."""
    parts = [read_rows(folder / f"ml-1m.{part}.rating", _RATINGS) for part in ("train", "test")]
    return Tables(interactions=pl.concat(parts), scale=(1, 5))


def ncf_ml_1m_folds(folder: Path, data: Dataset) -> dict[str, Split]:
    """The NCF paper's leave-last-out split (He et al., WWW 2017) with its 99 sampled negatives a test row.

    156 users have their own test item among their negatives: count a tie with it against the model.
    """
    path = folder / "ml-1m.test.negative"
    lists = read_lists(path, content=read_content(path).translate(bytes.maketrans(b",", b"\t"), delete=b"()"))
    require_equal_lengths(path, lists, 2 + _NEGATIVES)
    table = lists.explode().to_numpy().reshape(len(lists), -1)
    tested = slice(len(data) - len(table), len(data))
    expected = np.c_[data.users.decode(data.user[tested]), data.items.decode(data.item[tested])]
    wrong = np.flatnonzero((table[:, :2] != expected).any(axis=1))
    if len(wrong):
        row = int(wrong[0])
        pairs = f"expected user and item {expected[row].tolist()}, got {table[row, :2].tolist()}"
        damaged(path, row + 1, pairs)
    split = predefined(
        data,
        test=np.arange(len(data))[tested],
        negatives=data.items.encode(table[:, 2:].ravel()).reshape(-1, _NEGATIVES),
        name="test",
        description="the NCF paper's last item of each user, with 99 sampled negatives",
    )
    return {"test": split}


def sasrec_ml_1m(folder: Path) -> Tables:
    """MovieLens 1M as SASRec publishes it: ``user item``, both from 1, each user's items in the order of time."""
    return Tables(
        interactions=read_rows(folder / "ml-1m.txt", {"user": pl.Int64, "item": pl.Int64}, separator=" ")
    )


def sasrec_ml_1m_folds(folder: Path, data: Dataset) -> dict[str, Split]:
    """SASRec's split (Kang, McAuley, ICDM 2018): each user's last item is for the test, the one before for validation."""
    return {"test": leave_last_out(data, validation=True)}
