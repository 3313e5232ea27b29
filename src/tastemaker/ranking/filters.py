import numpy as np, polars as pl
from tastemaker._native.topk import Rows


def condition_mask(filter, item_features):
    e = pl.sql_expr(filter) if isinstance(filter, str) else filter
    return item_features.select(e.fill_null(False)).to_series().to_numpy()


def code_rows(codes, queries):
    if isinstance(codes, np.ndarray):
        return Rows(np.array([0, len(codes)]), codes)
    return Rows(
        np.r_[0, np.cumsum([len(c) for c in codes])].astype(np.int64),
        np.concatenate([*codes, np.empty(0, np.int32)]).astype(np.int32),
    )


def join_rows(a, b):
    q = len(a.indptr) - 1
    return code_rows(
        [
            np.r_[a.indices[a.indptr[i] : a.indptr[i + 1]], b.indices[b.indptr[i] : b.indptr[i + 1]]]
            for i in range(q)
        ],
        q,
    )
