import json

import polars as pl
import pytest

from service.store.made import MOMENT, decision, event
from tastemaker.data import Dataset
from tastemaker.errors import DataError
from tastemaker.service.store import WEIGHTS, Item, Store, User


def weights_of(data: Dataset) -> dict[tuple[str, str], float]:
    return {(u, i): w for u, i, w in data.to_frame(("weight",)).rows()}


def test_the_weightiest_event_of_a_pair_counts(store: Store) -> None:
    told = [
        ("tea", "click"),
        ("tea", "purchase"),
        ("tea", "click"),
        ("jam", "like"),
        ("ham", "cart"),
        ("rye", "click"),
    ]
    store.post([event(f"e{n}", item=i, kind=k, time=MOMENT + n) for n, (i, k) in enumerate(told)]).result()
    data = store.dataset()
    assert weights_of(data) == {
        ("alice", "tea"): WEIGHTS["purchase"],
        ("alice", "jam"): WEIGHTS["like"],
        ("alice", "ham"): WEIGHTS["cart"],
        ("alice", "rye"): WEIGHTS["click"],
    }
    assert not data.schema.explicit
    assert dict(data.to_frame(("timestamp",)).select("item", "timestamp").rows())["tea"] == MOMENT + 2
    assert weights_of(store.dataset({"click": 7})) == {("alice", "tea"): 7.0, ("alice", "rye"): 7.0}


def test_purchase_weighs_more_than_like_than_cart_than_click() -> None:
    order = ["purchase", "like", "cart", "view", "click"]
    assert sorted(order, key=lambda kind: -WEIGHTS[kind]) == order
    assert not {"impression", "dismiss"} & set(WEIGHTS)


def test_views_and_ratings_count_in_proportion(store: Store) -> None:
    told = [
        ("a", "view", 1.0),
        ("b", "view", 0.25),
        ("c", "view", None),
        ("d", "rating", 5),
        ("e", "rating", 2),
    ]
    told += [("z", "view", 0.0)]
    store.post([event(f"e{n}", item=i, kind=k, value=v) for n, (i, k, v) in enumerate(told)]).result()
    expected = {"a": 2.0, "b": 0.5, "c": 1.0, "d": 4.0, "e": 1.6}
    assert {i: w for (_, i), w in weights_of(store.dataset()).items()} == pytest.approx(expected)


def test_a_long_stay_counts_more_than_a_short_one(store: Store) -> None:
    stays = {"a": 10.0, "b": 10.0, "c": 10.0, "d": 1000.0}
    store.post([event(i, item=i, kind="dwell", value=v) for i, v in stays.items()]).result()
    weights = {i: w for (_, i), w in weights_of(store.dataset()).items()}
    assert weights["d"] == 2.0
    assert 0.1 <= weights["a"] < 1


def test_what_was_dismissed_is_left_out_until_it_is_liked_again(store: Store) -> None:
    told = [
        ("tea", "like"),
        ("tea", "dismiss"),
        ("tea", "click"),
        ("jam", "dismiss"),
        ("jam", "like"),
        ("ham", "click"),
    ]
    store.post([event(f"e{n}", item=i, kind=k, time=MOMENT + n) for n, (i, k) in enumerate(told)])
    store.post([event("bob", user="bob", item="tea")]).result()
    assert set(weights_of(store.dataset())) == {("alice", "jam"), ("alice", "ham"), ("bob", "tea")}


def test_features_come_typed_and_items_without_events_belong_too(store: Store) -> None:
    store.put_items(
        [Item("tea", {"price": 3, "tags": ["hot"], "since": "2026-01-31T08:00:00+01:00"}), Item("new")]
    )
    store.put_items([Item("gone", {"price": 1.5})])
    store.delete_item("gone")
    store.put_users([User("alice", {"age": 33}), User("carol")])
    store.post([event("e1", item="tea"), event("e2", item="unlisted")]).result()
    data = store.dataset()
    assert data.items.ids.to_list() == ["tea", "unlisted", "new"]
    assert data.users.ids.to_list() == ["alice", "carol"]
    assert data.item_features.schema == {
        "price": pl.Float64,
        "since": pl.Datetime("us"),
        "tags": pl.List(pl.String),
    }
    assert str(data.item_features["since"][0]) == "2026-01-31 07:00:00"
    assert data.user_features["age"].to_list() == [33, None]


def test_nothing_to_learn_from_is_an_error(store: Store) -> None:
    store.post([event("e1", kind="impression"), event("e2", kind="dismiss")]).result()
    with pytest.raises(DataError, match="no events from which a model could learn"):
        store.dataset()
    with pytest.raises(DataError, match="no kind of event 'stare'"):
        store.dataset({"stare": 1})
    with pytest.raises(DataError, match="must be 0 or more"):
        store.dataset({"click": -1})


def test_impressions_carry_their_propensity_and_what_became_of_them(store: Store) -> None:
    store.log(decision("r1", "alice", "tea", "jam", "ham"))
    store.log(decision("r2", "bob", "jam", surface="basket"))
    store.log(decision("r3", "bob", "tea"))
    shown = [
        ("alice", "tea", "r1"),
        ("alice", "jam", "r1"),
        ("bob", "jam", "r2"),
        ("alice", "tea", "r1"),
        ("bob", "x", "r2"),
    ]
    store.post(
        [
            event(
                f"s{n}",
                user=u,
                item=i,
                kind="impression",
                recommendation_id=r,
                time=MOMENT + n,
                context={"n": n},
            )
            for n, (u, i, r) in enumerate(shown)
        ]
    )
    store.post(
        [event("c1", item="jam", recommendation_id="r1"), event("c2", item="jam", recommendation_id="r1")]
    )
    store.post(
        [event("c3", user="bob", item="jam", kind="purchase"), event("no", kind="impression")]
    ).result()
    table = store.impressions()
    columns = ["user_id", "item_id", "recommendation_id", "slot", "propensity", "label", "surface"]
    assert table.select(columns).rows() == [
        ("alice", "tea", "r1", 0, 1.0, 0, "home"),
        ("alice", "jam", "r1", 1, 0.5, 1, "home"),
        ("bob", "jam", "r2", 0, 1.0, 0, "basket"),
    ]
    assert [json.loads(text)["n"] for text in table["context"]] == [0, 1, 2]
    assert store.impressions(["dwell"])["label"].to_list() == [0, 0, 0]
