"""Features and context in questions: asked of models that look at them, refused by all others."""

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.neural.feature_data import BIG, Toy, data
from tastemaker import CannotAnswerError, DataError, Popularity
from tastemaker.data.queries import context_of, queries_from_ids

MODEL = Toy().fit(data())
ROW = {"gender": ["m"], "age": [18], "installed": [["shazam"]], "income": [2.5], "born": [None]}
WHEN = {"device": ["tv"], "at": [datetime(2024, 3, 2, 9)], "battery": [0.5]}


def test_someone_new_is_described_by_features() -> None:
    found = MODEL.recommend(features=ROW, k=2)
    assert found.sources == ["toy"]
    assert found.lists() == [["new", "heat"]]
    assert MODEL.recommend(["nobody"], features=ROW, k=2).scores.tolist() == found.scores.tolist()
    assert MODEL.recommend(["nobody"], k=2).sources == ["popularity"]


def test_known_users_have_stored_features() -> None:
    assert MODEL.recommend([BIG], k=1).sources == ["toy"]
    as_stored = data().user_features[1:2]
    stored, given = (MODEL.recommend([BIG + 1], features=f, k=1).scores for f in (None, as_stored))
    assert stored.tolist() == given.tolist()


def test_context_changes_scores_row_by_row() -> None:
    both = pl.DataFrame({"device": ["tv", None], "at": WHEN["at"] * 2, "battery": [0.5, 1.0]})
    users = [BIG, BIG]
    together = MODEL.recommend(users, context=both, k=1)
    alone = [MODEL.recommend([BIG], context=both[j], k=1) for j in (0, 1)]
    assert together.scores.tolist() == [a.scores[0].tolist() for a in alone]
    assert together.scores[0].tolist() != together.scores[1].tolist()
    predicted = MODEL.predict(users, ["new", "new"], context=both)
    first = [found.scores[0, 0] for found in alone]
    assert predicted.tolist() == first


def test_a_context_alone_is_asked_by_someone_unknown() -> None:
    assert len(MODEL.recommend(context=WHEN, k=1)) == 1


def test_rows_must_match_queries() -> None:
    with pytest.raises(DataError, match="features: expected one row for each of 2 queries, got 1"):
        MODEL.recommend([BIG, BIG + 1], features=ROW)
    with pytest.raises(DataError, match="context: expected one row for each of 1 queries, got 2"):
        MODEL.predict([BIG], ["jaws"], context={"device": ["tv", "tv"]})
    with pytest.raises(DataError, match="give either seeds, or users"):
        queries_from_ids(MODEL.catalogue, seeds=[["jaws"]], context=WHEN)


@pytest.mark.parametrize("what", ["features", "context"])
def test_other_models_refuse(what: str) -> None:
    model = Popularity().fit(data())
    table: dict[str, Any] = {what: ROW if what == "features" else WHEN}
    with pytest.raises(CannotAnswerError, match=f"popularity does not look at {what}; models that do:"):
        model.recommend([BIG], **table)
    with pytest.raises(CannotAnswerError, match=f"popularity does not look at {what}"):
        model.predict([BIG], ["jaws"], **table)


def test_queries_are_sliced_with_their_tables() -> None:
    tables = {"features": {"a": [1, 2, 3]}, "context": {"b": ["x", "y", "z"]}}
    queries = queries_from_ids(MODEL.catalogue, **tables)
    taken = queries.take(np.array([2, 0]))
    assert taken.features is not None
    assert taken.context is not None
    assert (taken.features["a"].to_list(), taken.context["b"].to_list()) == ([3, 1], ["z", "x"])
    part = queries[1:]
    assert part.features is not None
    assert part.features["a"].to_list() == [2, 3]


def test_the_context_of_data_has_the_time() -> None:
    table = context_of(data())
    assert table.columns == ["device", "battery", "at"]
    assert table["at"][0] == datetime(2024, 3, 1, 20, 15)
