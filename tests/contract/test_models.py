"""The promises that every registered model keeps."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from contract.conftest import ITEMS, USERS, as_uuid, small_data
from tastemaker import _native
from tastemaker.data import Dataset
from tastemaker.errors import CannotAnswerError, DataError, NotFittedError
from tastemaker.models import model_class
from tastemaker.models.base import Recommender

Get = Callable[[str], Recommender[Any]]


def same(a: Any, b: Any) -> bool:
    """Whether two answers have the same items and the same score bits."""
    return bool(np.array_equal(a.items, b.items)) and a.scores.tobytes() == b.scores.tobytes()


@pytest.mark.parametrize(
    "make", ["u{}".format, lambda i: i * 2**33, as_uuid], ids=["text", "integer", "uuid"]
)
def test_ids_of_any_type_in_and_out(name: str, make: Callable[[int], Any]) -> None:
    data = small_data(user=make, item=make)
    recommendations = model_class(name)().fit(data).recommend([make(3), make(4)], k=4)
    known = {make(i) for i in range(ITEMS)}
    assert recommendations.queries == [make(3), make(4)]
    for items in recommendations.lists():
        assert len(items) == 4
        assert set(items) <= known
    assert recommendations.to_polars().height == 8
    assert str(recommendations)


def test_declares_what_it_is(name: str, fitted: Get) -> None:
    model = fitted(name)
    assert model.name == name
    assert model.score_kind
    assert model.answers <= {"known", "history", "anonymous", "seeds", "features", "context"}
    assert model.cold_start.endswith(".")


def test_lists_are_distinct_unseen_and_in_order(name: str, fitted: Get) -> None:
    model = fitted(name)
    found = model.recommend(k=8)
    assert len(found) == USERS
    seen = model.catalogue.history
    for q in range(USERS):
        items = found.items[q][found.items[q] >= 0]
        scores = found.scores[q][: len(items)]
        assert len(set(items.tolist())) == len(items)
        assert not set(items.tolist()) & set(seen.indices[seen.indptr[q] : seen.indptr[q + 1]].tolist())
        assert np.isfinite(scores).all()
        order = np.lexsort((items, -scores))
        assert order.tolist() == list(range(len(items)))


def test_seen_items_may_be_shown_when_asked_for(name: str, fitted: Get) -> None:
    found = fitted(name).recommend(k=ITEMS, exclude_seen=False)
    assert (found.items == 0).any(), "everyone has rated item 0, so it shows up for someone"


def test_a_query_is_answered_alike_alone_and_in_any_batch(name: str, fitted: Get) -> None:
    model = fitted(name)
    everyone = [f"u{u}" for u in range(USERS)]
    together = model.recommend(everyone, k=10)
    backwards = model.recommend(everyone[::-1], k=10)
    histories = [["i1", "i2"], ["i3"], {"i4": 5, "i5": 1}]
    sessions = model.recommend(history=histories, k=10)
    for q, user in enumerate(everyone):
        alone = model.recommend([user], k=10)
        assert alone.scores[0].tobytes() == together.scores[q].tobytes() == backwards.scores[-1 - q].tobytes()
        assert alone.items[0].tolist() == together.items[q].tolist() == backwards.items[-1 - q].tolist()
    for q, history in enumerate(histories):
        alone = model.recommend(history=[history], k=10)
        assert alone.scores[0].tobytes() == sessions.scores[q].tobytes()
    pairs = model.predict(everyone, ["i7"] * USERS)
    singly = np.concatenate([model.predict([user], ["i7"]) for user in everyone])
    assert pairs.tobytes() == singly.tobytes()


def test_an_anonymous_session_and_an_empty_history(name: str, fitted: Get) -> None:
    found = fitted(name).recommend(history=[["i1", "i2"], []], k=5)
    assert found.queries == [None, None]
    assert len(found.lists()[1]) == 5
    assert found.lists()[0]
    assert not {"i1", "i2"} & set(found.lists()[0])


def test_unknown_users_and_items(name: str, fitted: Get) -> None:
    model = fitted(name)
    found = model.recommend(["nobody", "u1"], k=5)
    assert len(found.lists()[0]) == 5
    assert found.sources[0] == (name if "anonymous" in model.answers else "popularity")
    left_out = model.recommend(history=[["i1", "no such item"]], k=5)
    assert left_out.unknown == 1
    assert same(left_out, model.recommend(history=[["i1"]], k=5))
    assert np.isnan(model.predict(["u1"], ["no such item"])).all()
    assert model.predict(["nobody", "u1"], ["i1", "i1"]).shape == (2,)


def test_a_history_of_nothing_that_anyone_had_is_not_answered_with_items_in_any_order(
    name: str, fitted: Get
) -> None:
    """What a model knows of the item or of everybody tells items apart; else there is no list, and a reason."""
    found = fitted(name).recommend(history=[[f"i{ITEMS - 1}"]], k=5)
    if found.lists()[0]:
        assert found.scores[0].any()
    else:
        assert "without a score" in found.shortfalls[0]


def test_a_given_history_replaces_the_stored_one_for_scoring_and_adds_to_the_seen(
    name: str, fitted: Get
) -> None:
    model = fitted(name)
    known = model.recommend(["u1"], history=[["i1"]], k=ITEMS)
    new = model.recommend(history=[["i1"]], k=ITEMS)
    stored = model.recommend(["u1"], k=ITEMS, exclude_seen=False)
    assert "i1" not in known.lists()[0]
    seen = set(stored.lists()[0]) - set(model.recommend(["u1"], k=ITEMS).lists()[0])
    assert not seen & set(known.lists()[0])
    if name != "random":  # its scores depend on who asks, by design
        assert [i for i in new.lists()[0] if i not in seen] == known.lists()[0]


@pytest.mark.parametrize("explicit", [True, False])
def test_one_user_and_one_item(name: str, explicit: bool) -> None:
    for users, items in ((1, 5), (5, 1), (1, 1)):
        data = small_data(users=users, items=items, explicit=explicit)
        found = model_class(name)().fit(data).recommend(k=3)
        assert len(found) == users
        if items == 1:
            assert found.lists() == [[]] * users
            assert all(found.shortfalls)


def test_implicit_feedback(name: str) -> None:
    model = model_class(name)().fit(small_data(explicit=False))
    assert len(model.recommend(["u1"], k=5).lists()[0]) == 5


def test_k_beyond_the_catalogue_gives_what_there_is_and_says_why(name: str, fitted: Get) -> None:
    found = fitted(name).recommend(["u1"], k=10 * ITEMS)
    assert 0 < len(found.lists()[0]) < ITEMS
    assert "of 300" in found.shortfalls[0]
    assert "seen" in found.shortfalls[0]


def test_an_immense_k_costs_no_more_than_the_catalogue(name: str, fitted: Get) -> None:
    model = fitted(name)
    found = model.recommend(["u1"], k=10**30)
    assert found.lists() == model.recommend(["u1"], k=ITEMS).lists()
    assert found.items.shape[1] == ITEMS
    assert f"of {10**30:,}" in found.shortfalls[0] or str(10**30) in found.shortfalls[0]


def test_filters_that_forbid_everything(name: str, fitted: Get) -> None:
    model = fitted(name)
    for rule in ({"filter": "price > 100"}, {"allow": []}, {"deny": [f"i{i}" for i in range(ITEMS)]}):
        found = model.recommend(["u1", "nobody"], k=5, **rule)
        assert found.lists() == [[], []]
        assert all(found.shortfalls)
        assert found.to_polars().height == 0


def test_no_forbidden_item_in_random_filters(name: str, fitted: Get) -> None:
    """2,000 combinations a model: with six models more than 10,000 in all."""
    model = fitted(name)
    rng = np.random.default_rng(11)
    prices = model.catalogue.item_features["price"].to_numpy()
    codes = {f"i{i}": int(model.catalogue.items.encode([f"i{i}"])[0]) for i in range(ITEMS)}
    for _ in range(40):
        limit, size = int(rng.integers(0, 8)), 50
        users = [f"u{u}" for u in rng.integers(0, USERS + 3, size)]
        allow = [[f"i{i}" for i in rng.choice(ITEMS, rng.integers(0, ITEMS))] for _ in range(size)]
        deny = [[f"i{i}" for i in rng.choice(ITEMS, rng.integers(0, 12))] for _ in range(size)]
        histories = [[f"i{i}" for i in rng.choice(ITEMS, rng.integers(0, 4))] for _ in range(size)]
        given = {"history": histories} if rng.random() < 0.5 else {}
        found = model.recommend(users, k=5, filter=f"price < {limit}", allow=allow, deny=deny, **given)
        for q, items in enumerate(found.lists()):
            user = model.catalogue.users.encode([users[q]])[0]
            stored = [] if user < 0 else model.catalogue.history[user : user + 1].indices.tolist()
            forbidden = {codes[i] for i in deny[q]} | set(stored)
            forbidden |= {codes[i] for i in histories[q]} if given else set()
            shown = [codes[i] for i in items]
            assert len(set(shown)) == len(shown)
            assert set(shown) <= {codes[i] for i in allow[q]} - forbidden
            assert (prices[shown] < limit).all()
            assert len(items) == 5 or found.shortfalls[q]


def test_same_seed_same_bits_with_one_and_two_threads(name: str) -> None:
    before = _native.threads()
    try:
        answers = []
        for count in (1, 2):
            _native.set_threads(count)
            answers.append(model_class(name)().fit(small_data()).recommend(k=10))
    finally:
        _native.set_threads(before)
    assert same(*answers)


def test_fitted_models_are_safe_to_share_between_threads(name: str, fitted: Get) -> None:
    model = fitted(name)
    expected = model.recommend(k=10)
    results: list[bool] = []

    def ask() -> None:
        results.extend(same(model.recommend(k=10), expected) for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 20


def test_hyper_parameters_are_checked_at_construction(name: str) -> None:
    with pytest.raises(TypeError, match="no_such_option"):
        model_class(name)(no_such_option=1)
    for parameter, value in model_class(name)().parameters().items():
        if isinstance(value, int) and not isinstance(value, bool) and parameter != "seed":
            with pytest.raises(ValueError, match=parameter):
                model_class(name)(**{parameter: -1})
    if "checkpoint" in model_class(name)().parameters():
        for no_file in (3, True, ""):
            with pytest.raises(ValueError, match="checkpoint must be the path of a file, or None"):
                model_class(name)(checkpoint=no_file)


def test_before_fit_it_says_so(name: str) -> None:
    with pytest.raises(NotFittedError, match=r"call fit\(data\) first"):
        model_class(name)().recommend(["u1"])
    with pytest.raises(DataError, match="fit expects a Dataset, got list"):
        model_class(name)().fit([1, 2, 3])


def test_a_failed_fit_keeps_what_was_learned(name: str) -> None:
    model = model_class(name)().fit(small_data())
    expected = model.recommend(k=5)
    with pytest.raises(DataError):
        model.fit("rubbish")
    assert same(model.recommend(k=5), expected)


def test_similar_items_or_a_clear_no(name: str, fitted: Get) -> None:
    model = fitted(name)
    if "seeds" not in model.answers:
        with pytest.raises(CannotAnswerError, match="models that do"):
            model.similar_items(["i1"])
        return
    found = model.similar_items(["i1", "i2"], k=5)
    for seed, items in zip(["i1", "i2"], found.lists(), strict=True):
        assert seed not in items
        assert items
    assert same(model.similar_items(["i1"], k=5), model.recommend(seeds=[["i1"]], k=5))
    assert model.recommend(seeds=[["i1", "i2"], []], k=5).lists()[1], "an empty seed list gets popular items"


def test_explains_itself_or_says_that_it_does_not(name: str, fitted: Get) -> None:
    model = fitted(name)
    item = model.recommend(["u1"], k=1).lists()[0][0]
    if type(model)._explain is Recommender._explain:
        with pytest.raises(CannotAnswerError, match="does not explain"):
            model.explain("u1", item)
        return
    explanation = model.explain("u1", item)
    assert explanation.reasons
    assert explanation.item == item
    assert str(explanation)
    told = model.recommend(["u1"], k=3, explain=True)
    assert told.lists() == model.recommend(["u1"], k=3).lists()
    assert all(slot.reason for slot in told[0])
    if "anonymous" not in model.answers:
        new = model.recommend(history=[[]], k=3, explain=True)
        assert [slot.reason for slot in new[0]] == ["popular with others"] * 3
    with pytest.raises(DataError, match="unknown"):
        model.explain("u1", "no such item")
    with pytest.raises(DataError, match="unknown"):
        model.explain("nobody", item)


def test_a_cold_item_is_never_an_error(name: str, fitted: Get) -> None:
    cold = f"i{ITEMS - 1}"
    scores = fitted(name).predict(["u1", "u2"], [cold, cold])
    assert scores.shape == (2,)
    assert not np.isinf(scores).any()


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        set,
        dict.fromkeys,
        lambda ids: dict.fromkeys(ids).keys(),
        np.array,
        pl.Series,
        pd.Series,
        pd.Index,
        pa.array,
    ],
)
def test_denied_items_never_show_however_they_are_listed(fitted: Get, make: Callable[[Any], Any]) -> None:
    model = fitted("popularity")
    best = model.recommend(["u1"], k=3).lists()[0]
    for deny in (make(best), [make(best)], (make(best),)):
        assert not set(model.recommend(["u1"], k=10, deny=deny).lists()[0]) & set(best)
    for allow in (make(best), [make(best)]):
        assert model.recommend(["u1"], k=10, allow=allow).lists()[0] == best


def test_questions_in_the_wrong_form(name: str, fitted: Get) -> None:
    model = fitted(name)
    for question, message in (
        ({"users": "u1"}, r"write \['u1'\]"),
        ({"history": ["i1", "i2"]}, "each entry must be a list of item ids"),
        ({"users": ["u1"], "history": [["i1"], ["i2"]]}, "expected one entry for each of 1 users, got 2"),
        ({"users": ["u1"], "seeds": [["i1"]]}, "give either seeds, or users"),
        ({"users": ["u1"], "deny": [["i1"], ["i2"]]}, "deny: expected one list for each of 1 queries, got 2"),
        ({"users": ["u1"], "filter": "no_column > 1"}, "no_column"),
        ({"users": ["u1"], "caps": {"no_column": 1}}, "no_column"),
    ):
        with pytest.raises(DataError, match=message):
            model.recommend(**question)
    with pytest.raises(ValueError, match="k must be a whole number of at least 1, got 0"):
        model.recommend(["u1"], k=0)
    with pytest.raises(DataError, match="expected as many items as users"):
        model.predict(["u1"], ["i1", "i2"])


def test_caps_hold(name: str, fitted: Get) -> None:
    model = fitted(name)
    found = model.recommend(k=6, caps={"genres": 2})
    genres = model.catalogue.item_features["genres"].to_list()
    for row in found.items:
        shown = [g for i in row if i >= 0 for g in set(genres[i])]
        assert max((shown.count(g) for g in set(shown)), default=0) <= 2


def test_recommending_changes_nothing(name: str, fitted: Get) -> None:
    model = fitted(name)
    before = model.recommend(k=10)
    model.recommend(history=[["i1"]], k=3)
    model.recommend(["u1"], deny=["i1"], k=3)
    assert same(model.recommend(k=10), before)


def test_the_data_are_left_as_they_were(name: str) -> None:
    data: Dataset = small_data()
    fingerprint = data.fingerprint
    model_class(name)().fit(data)
    del data.__dict__["fingerprint"]
    assert data.fingerprint == fingerprint
