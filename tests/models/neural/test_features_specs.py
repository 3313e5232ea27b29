"""Specifications: written by hand, inferred, saved as text, and refused with a reason."""

import json

import polars as pl
import pytest

from models.neural.feature_data import SPEC
from tastemaker.data import Dataset
from tastemaker.models.neural.specs import (
    Bag,
    Categorical,
    Cross,
    FeatureSpec,
    HistoryBag,
    Id,
    Numeric,
    Time,
    Vector,
)


def test_a_specification_survives_json() -> None:
    assert FeatureSpec.from_json(SPEC.to_json()) == SPEC
    assert json.loads(SPEC.to_json())["user"][0] == {"kind": "id", "side": "user", "min_count": 1}


def test_outputs_are_named_with_their_side() -> None:
    spec = FeatureSpec(user=(Id("user"), HistoryBag()), context=(Time("at", ("hour", "recency")),))
    assert spec.outputs() == {
        "user.id": "id",
        "user.history": "bag",
        "context.at.hour": "id",
        "context.at.recency": "dense",
    }


def test_inference_from_types_and_values() -> None:
    films = pl.DataFrame(
        {
            "item": list(range(40)),
            "title": [f"the {i}th film" for i in range(40)],
            "kind": ["series", "film"] * 20,
            "genres": ["Drama|War", "Comedy"] * 20,
            "tags": [["a", "b"], []] * 20,
            "stars": [1, 2, 3, 4] * 10,
            "views": [i * i for i in range(40)],
            "price": [i / 3 for i in range(40)],
            "vector": [[0.1, 0.2]] * 40,
            "for_kids": [True, False] * 20,
            "released": pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 2, 9), eager=True),
            "page": ["https://a.b/c"] * 40,
        }
    )
    rows = {"user": [1, 2], "item": [0, 1], "device": ["tv", "tv"], "day": [films["released"][0]] * 2}
    data = Dataset.from_interactions(rows, item_features=films, context=["device", "day"])
    spec = FeatureSpec.infer(data)
    assert spec.user == (Id("user"),)
    assert spec.item == (
        Id("item"),
        Categorical("kind"),
        Bag("genres", separator="|"),
        Bag("tags"),
        Categorical("stars"),
        Numeric("views"),
        Numeric("price"),
        Vector("vector"),
        Categorical("for_kids"),
        Time("released", ("recency",)),
    )
    assert spec.context == (Categorical("device"), Time("day", ("weekday",)))
    assert spec.crosses == ()
    assert FeatureSpec.infer(data, ids=False).user == ()


def test_data_without_tables_have_ids() -> None:
    data = Dataset.from_interactions({"user": [1], "item": [2]})
    assert FeatureSpec.infer(data) == FeatureSpec(user=(Id("user"),), item=(Id("item"),))


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ({"user": (Id("item"),)}, "is a feature of the item, not of the user"),
        ({"item": (HistoryBag(),)}, "is a feature of the user, not of the item"),
        ({"user": (Categorical("a"), Bag("a"))}, "two features are called 'a'"),
        ({"user": ("gender",)}, r"expected features such as Categorical\('gender'\), got 'gender'"),
        (
            {"user": (Categorical("a"), Numeric("b")), "crosses": (Cross("user.a", "user.b"),)},
            "'user.b' has no values to combine; features that have some: user.a",
        ),
        ({"crosses": (Cross("user.a", "user.b"),)}, "features that have some: none"),
        (
            {"user": (Categorical("a"),), "crosses": (Cross("user.a", "user.a"),)},
            "'user.a' has one value a row",
        ),
        ({"user": Categorical("a")}, r"user: expected a tuple of features or crosses, .* write \("),
        ({"user": (Categorical(3),)}, "user: expected the name of a column, got 3"),  # type: ignore[arg-type]
        ({"crosses": (("user.a", "user.b"),)}, r"crosses: expected Cross\('user.gender', 'item.genre'\)"),
    ],
)
def test_what_makes_no_sense_is_refused(sides: dict[str, tuple[object, ...]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureSpec(**sides)  # type: ignore[arg-type]


def test_features_refuse_bad_settings() -> None:
    with pytest.raises(ValueError, match="pooling must be one of 'mean', 'sum', got 'max'"):
        Bag("genres", pooling="max")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="min_count must be a whole number of at least 1, got 0"):
        Categorical("gender", min_count=0)
    with pytest.raises(ValueError, match="buckets must be a whole number of at least 2, got 1"):
        Numeric("price", "buckets", buckets=1)
    with pytest.raises(ValueError, match="parts must be one of 'hour', 'weekday', 'recency', got 'minute'"):
        Time("at", ("minute",))  # type: ignore[arg-type]
    for names in (("user.gender",), (["user.gender", "item.genre"],), (1, 2)):
        with pytest.raises(ValueError, match="a cross is of two or more features"):
            Cross(*names)  # type: ignore[arg-type]
