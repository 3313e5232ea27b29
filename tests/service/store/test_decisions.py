from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from service.store.made import decision, event
from tastemaker.errors import DataError
from tastemaker.service.store import Decision, Slot, Store


def same(one: Decision, other: Decision) -> None:
    for name in (f.name for f in fields(one)):
        assert getattr(one, name) == getattr(other, name), name


def test_a_decision_is_read_back_bit_for_bit(store: Store) -> None:
    slot = Slot(
        item_id="a", score=float(np.float32(0.1)), propensity=1 / 3, role="pinned", source="q", reason="ä"
    )
    made = decision(
        "r1",
        None,
        history=("x", "y"),
        slots=(slot, slot._replace(propensity=5e-324)),
        record=bytes(range(256)),
        request={"k": 2, "filter": {"price": [1, 2.5]}, "seeds": []},
        meta={"degraded": ["features"]},
    )
    store.log(made).result()
    found = store.decision("r1")
    assert found is not None
    same(found, made)


def test_an_empty_list_is_a_decision_too(store: Store) -> None:
    made = decision("r1", slots=(), record=None, log_probability=0.0)
    store.log(made).result()
    found = store.decision("r1")
    assert found is not None
    same(found, made)
    assert store.decision("r2") is None


def test_logging_again_changes_nothing(store: Store) -> None:
    for policy in ("first", "second"):
        store.log(decision("r1", policy=policy))
    store.log(decision("r1", policy="third")).result()
    found = store.decision("r1")
    assert found is not None
    assert found.policy == "first"


def test_old_decisions_go_and_what_people_did_stays(store: Store) -> None:
    for n in range(5):
        store.log(decision(f"r{n}", time=1000 + n))
    store.post([event("e1", recommendation_id="r1")]).result()
    assert store.prune(1003) == 3
    assert [store.decision(f"r{n}") is not None for n in range(5)] == [False, False, False, True, True]
    assert [e.recommendation_id for _, e in store.since(0)] == ["r1"]
    assert store.prune(1003) == 0


def test_numbers_of_numpy_are_numbers(store: Store) -> None:
    made = decision("r1", seed=np.int64(7), k=np.int32(1), log_probability=np.float64(-0.5))
    slot: Any = Slot(item_id="a", score=np.float32(0.25), propensity=np.float64(0.5))  # type: ignore[arg-type]
    store.log(replace(made, slots=(slot,))).result()
    found = store.decision("r1")
    assert found is not None
    assert (found.seed, found.slots[0].score, found.slots[0].propensity) == (7, 0.25, 0.5)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"recommendation_id": ""}, "recommendation_id: expected text"),
        ({"seed": -1}, "seed: expected 0 to"),
        ({"seed": 2**63}, "seed: expected 0 to"),
        ({"log_probability": -np.inf}, "must be finite"),
        ({"slots": (Slot(item_id="a", score=1.0, propensity=0.0),)}, "propensity: expected above 0"),
        ({"slots": (Slot(item_id="a\t", score=1.0, propensity=1.0),)}, "slots: expected text"),
    ],
)
def test_what_could_not_be_replayed_is_refused(sqlite_url: str, more: dict[str, Any], reason: str) -> None:
    with Store.open(sqlite_url) as store, pytest.raises(DataError, match=reason):
        store.log(decision(**{"recommendation_id": "r1"} | more))


def test_one_that_fails_in_writing_does_not_fail_its_neighbours(store: Store) -> None:
    futures = [store.log(decision("r1")), store.post([event("e1")])]
    wrong = store.log(decision("r2", meta={"f": float("nan")}))
    futures += [store.post([event("e2", recommendation_id="r1")]), store.log(decision("r3"))]
    with pytest.raises(DataError, match="meta: expected JSON"):
        wrong.result()
    for future in futures:
        future.result()
    assert store.decision("r2") is None
    assert store.decision("r3") is not None
    assert_array_equal([e.event_id for _, e in store.since(0)], ["e1", "e2"])
