"""update: a model that has also learned from new interactions, against a refit on all of them."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest

from tastemaker import Dataset, ImplicitALS, ItemKNN, Popularity, UserKNN, load
from tastemaker._native import set_threads, threads
from tastemaker.data import past
from tastemaker.errors import DataError

MODELS = [
    Popularity(),
    Popularity(by="trending", half_life_days=3),
    ItemKNN(neighbors=5),
    ItemKNN(neighbors=5, neighbors_of="candidate"),
    UserKNN(neighbors=5),
    ImplicitALS(factors=8, epochs=4),
]
RATED = [Popularity(by="bayesian"), Popularity(), UserKNN(neighbors=5)]
ADDED = {"popularity", "user_knn"}


def label(model: Any) -> str:
    return f"{model.name}-{getattr(model, 'by', '')}"


def table(seed: int, users: range, items: range, since: int, n: int = 500) -> pl.DataFrame:
    """Distinct pairs, later than ``since``; whole weights and ratings, so that sums are exact in any order."""
    rng = np.random.default_rng(seed)
    columns = {"user": rng.choice(users, n), "item": rng.choice(items, n)}
    distinct = pl.DataFrame(columns).unique(maintain_order=True)
    n = len(distinct)
    return distinct.with_columns(
        user=pl.format("u{}", "user"),
        weight=pl.Series(rng.integers(1, 4, n)),
        stars=pl.Series(rng.integers(1, 6, n)),
        time=pl.Series(since + rng.permutation(86_400)[:n]),
    )


def dataset(frame: pl.DataFrame, explicit: bool = False, **options: Any) -> Dataset:
    rating = {"rating": "stars", "scale": (1, 5)} if explicit else {}
    return Dataset.from_interactions(frame, weight="weight", timestamp="time", **rating, **options)


OLD = table(0, range(40), range(30), 0)
NEW = table(1, range(30, 45), range(20, 35), 86_400, 60)  # new users, new items, and pairs that repeat
ALL = pl.concat([OLD, NEW])
assert OLD.join(NEW, on=["user", "item"], how="semi").height > 5


def contents(bundle: Path) -> bytes:
    """What was learned and what is remembered, without the dates of saving."""
    version = bundle / "v0001"
    files = sorted([*version.glob("catalogue/*"), *version.glob("models/**/*.*")])
    assert len(files) >= 6
    return b"".join(file.read_bytes() for file in files)


def scores(model: Any) -> np.ndarray:
    users, items = (model.catalogue.users.ids, model.catalogue.items.ids)
    return np.stack([model.predict([user] * len(items), items) for user in users])


@pytest.mark.parametrize(
    ("model", "explicit"),
    [(m, False) for m in MODELS if m.name in ADDED] + [(m, True) for m in RATED],
    ids=str,
)
def test_what_is_added_up_equals_a_refit(model: Any, explicit: bool) -> None:
    updated = model.fit(dataset(OLD, explicit)).update(dataset(NEW, explicit))
    refit = type(model)(**model.parameters()).fit(dataset(ALL, explicit))
    one, other = updated.catalogue, refit.catalogue
    assert one.users.ids.to_list() == other.users.ids.to_list()
    assert one.items.ids.to_list() == other.items.ids.to_list()
    assert np.array_equal(one.history.indices, other.history.indices)
    assert np.array_equal(one.history.weight, other.history.weight)
    assert np.array_equal(one.popularity, other.popularity)
    np.testing.assert_allclose(scores(updated), scores(refit), rtol=1e-5, atol=1e-6)
    assert updated.recommend(k=5).lists() == refit.recommend(k=5).lists()


def lists(model: ItemKNN) -> np.ndarray:
    """float32[items, items]: the similarities of each item's neighbors, 0 elsewhere."""
    state = model._fitted.state
    dense = np.zeros((len(state.codes),) * 2, np.float32)
    row, place = np.nonzero(state.codes >= 0)
    dense[row, state.codes[row, place]] = state.similarities[row, place]
    return dense


@pytest.mark.parametrize("similarity", ["cosine", "jaccard", "lift", "bm25"])
@pytest.mark.parametrize("min_support", [1, 3])
def test_items_that_grow_much_have_the_neighbors_of_a_refit(similarity: Any, min_support: int) -> None:
    """And no others: neighbors of items that did not are those of a refit among the items that did."""
    model = ItemKNN(neighbors=40, similarity=similarity, min_support=min_support).fit(dataset(OLD))
    updated = model.update(dataset(NEW))
    refit = ItemKNN(**model.parameters()).fit(dataset(ALL))
    new = np.bincount(updated.catalogue.items.encode(NEW["item"]), minlength=updated.catalogue.n_items)
    much = np.flatnonzero(new >= 0.05 * np.bincount(refit.catalogue.history.indices))
    assert 10 < len(much) < len(new)
    dense = [lists(m) for m in (updated, refit)]
    np.testing.assert_allclose(dense[0][much], dense[1][much], rtol=1e-5)
    np.testing.assert_allclose(dense[0][:, much], dense[1][:, much], rtol=1e-5)


@pytest.mark.parametrize("model", MODELS, ids=label)
class TestEveryUpdate:
    def test_leaves_the_model_as_it_was(self, model: Any) -> None:
        model.fit(dataset(OLD))
        state, history = model._fitted.state, model.catalogue.history
        before = [np.copy(v) for v in (*vars(state).values(), *vars(history).values())]
        updated = model.update(dataset(NEW))
        after = [*vars(state).values(), *vars(history).values()]
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after, strict=False))
        assert updated is not model
        assert updated.parameters() == model.parameters()
        assert "u44" not in set(model.catalogue.users.ids)

    def test_leaves_out_what_was_just_seen(self, model: Any) -> None:
        updated = model.fit(dataset(OLD)).update(dataset(NEW))
        seen = set(ALL.select("user", "item").iter_rows())
        lists = updated.recommend(updated.catalogue.users.ids, k=5).lists()
        shown = {(u, i) for u, items in zip(updated.catalogue.users.ids, lists, strict=True) for i in items}
        assert shown
        assert not shown & seen
        assert {"u44", "u43"} <= {u for u, _ in shown}

    def test_of_nothing_changes_no_answer(self, model: Any) -> None:
        model.fit(dataset(OLD))
        nothing = dataset(NEW).select(np.zeros(len(NEW), np.bool_))
        lists = model.recommend(k=5)
        again = model.update(nothing).recommend(model.catalogue.users.ids, k=5)
        assert again.lists() == lists.lists()
        np.testing.assert_allclose(again.scores, lists.scores, rtol=1e-5)

    def test_can_be_saved_and_updated_again(self, model: Any, tmp_path: Path) -> None:
        updated = model.fit(dataset(OLD)).update(dataset(NEW[:30]))
        updated.save(tmp_path / "model")
        loaded = load(tmp_path / "model")
        assert loaded.recommend(k=5).lists() == updated.recommend(k=5).lists()
        one, other = (m.update(dataset(NEW[30:])).recommend(k=5).lists() for m in (loaded, updated))
        assert one == other

    def test_saves_the_same_wherever_what_is_new_stands(self, model: Any, tmp_path: Path) -> None:
        """Put in at once or kept beside, read or not read in between, on one thread or two."""
        saved, before = set(), threads()
        try:
            for much, count, read in ((0, 1, False), (100, 1, False), (100, 2, True)):
                set_threads(count)
                with patch.object(past, "_MUCH", much):
                    updated = model.fit(dataset(OLD))
                    for part in (NEW[:20], OLD[:9].with_columns(time=pl.lit(1)), NEW[20:40], NEW[40:]):
                        updated = updated.update(dataset(part))
                        if read:
                            updated.recommend(["u3", "u40"], k=5)
                    updated.save(tmp_path / f"{much}-{count}")
                    first = updated.recommend(["u3", "u40", "u44", "nobody"], k=5)
                    assert (
                        first.lists() == updated.recommend(k=5, users=["u3", "u40", "u44", "nobody"]).lists()
                    )
                    saved.add((contents(tmp_path / f"{much}-{count}"), str(first.lists())))
        finally:
            set_threads(before)
        assert len(saved) == 1

    def test_needs_ids_of_the_same_type(self, model: Any) -> None:
        model.fit(dataset(OLD))
        with pytest.raises(DataError, match="column 'user'"):
            model.update(dataset(NEW.with_columns(user=pl.int_range(len(NEW)))))

    def test_needs_a_dataset(self, model: Any) -> None:
        model.fit(dataset(OLD))
        with pytest.raises(DataError, match="update expects a Dataset, got DataFrame; see"):
            model.update(NEW)

    def test_needs_the_times_and_no_ratings(self, model: Any) -> None:
        model.fit(dataset(OLD))
        with pytest.raises(DataError, match="fitted on times; name their column in timestamp="):
            model.update(Dataset.from_interactions(NEW))
        with pytest.raises(DataError, match=r"fitted without ratings; take implicit\(\)"):
            model.update(dataset(NEW, explicit=True))


def test_ratings_are_needed_where_there_were_some() -> None:
    model = UserKNN().fit(dataset(OLD, explicit=True))
    with pytest.raises(DataError, match="fitted on ratings; name their column in rating="):
        model.update(dataset(NEW))


def test_a_scale_grows_with_the_ratings() -> None:
    low = Dataset.from_interactions({"user": [1, 2], "item": [1, 1], "stars": [1, 3]}, rating="stars")
    high = Dataset.from_interactions({"user": [3], "item": [1], "stars": [5]}, rating="stars")
    assert UserKNN().fit(low).update(high).catalogue.schema.scale == (1, 5)


def test_features_of_new_items_come_along() -> None:
    about = pl.DataFrame({"item": range(35), "price": [float(i) for i in range(35)]})
    model = Popularity().fit(dataset(OLD, item_features=about.filter(pl.col("item") < 30)))
    updated = model.update(dataset(NEW, item_features=about.filter(pl.col("item") >= 20)))
    dear = updated.recommend(["nobody"], k=3, filter="price >= 30").lists()[0]
    assert dear
    assert min(dear) >= 30


def test_items_that_grow_little_are_off_by_little() -> None:
    """A cosine of equal weights by (new of i + new of j) / root of (all of i · all of j) at most."""
    whole = table(3, range(200), range(30), 0, 3000).select("user", "item")
    old, new = Dataset.from_interactions(whole[60:]), Dataset.from_interactions(whole[:60])
    updated = ItemKNN().fit(old).update(new)
    everything = Dataset.from_interactions(pl.concat([whole[60:], whole[:60]]))
    one, other = (lists(model) for model in (updated, ItemKNN().fit(everything)))
    count = np.bincount(everything.item)
    more = np.bincount(updated.catalogue.items.encode(whole[:60]["item"]), minlength=len(count))
    bound = (more[:, None] + more) / np.sqrt(np.outer(count, count))
    off = np.abs(one - other)
    assert (off <= bound + 1e-6).all()
    little = more < 0.05 * count
    assert off[np.ix_(little, little)].max() > 0
    assert off[~little].max() < 1e-6


def test_items_folded_in_count_only_once_items_are_learned_anew() -> None:
    arrived = dataset(NEW.filter(pl.col("item") >= 30))
    folded = ImplicitALS(factors=8, epochs=4).fit(dataset(OLD)).fold_in_items(arrived)
    again = folded.update(arrived.select(np.zeros(len(arrived), np.bool_)))
    one, other = (model.recommend(history=[[3, 5]], k=9) for model in (folded, again))
    assert other.lists() == one.lists()
    np.testing.assert_array_equal(other.scores, one.scores)


def test_an_item_that_only_new_users_have_is_learned() -> None:
    new = Dataset.from_interactions(
        {
            "user": ["x", "x", "x", "y", "y"],
            "item": [3, 5, 99, 3, 99],
            "weight": [1] * 5,
            "time": [90_000] * 5,
        },
        weight="weight",
        timestamp="time",
    )
    updated = ImplicitALS(factors=8, epochs=4).fit(dataset(OLD)).update(new)
    assert updated.similar_items([99], k=3).lists()[0]
    assert 99 in updated.recommend(history=[[3]], k=updated.catalogue.n_items).lists()[0]
