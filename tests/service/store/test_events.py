import threading
from pathlib import Path
from typing import Any

import pytest

from service.store.made import MOMENT, decision, event
from tastemaker.errors import StoreUnavailable
from tastemaker.service.store import KINDS, Interaction, Store
from tastemaker.service.store.values import now

YEAR = 365 * 86_400_000_000


def test_what_is_posted_is_read_back_as_it_was(store: Store) -> None:
    store.log(decision("r1")).result()
    full = event(
        "e1", kind="view", value=0.1, recommendation_id="r1", slot=1, session_id="s", context={"ö": [1, None]}
    )
    plain = event("e2", user="Zoë ☕", item="日本", kind="dismiss")
    posted = store.post([full, plain]).result()
    assert (posted.accepted, posted.duplicates, posted.rejected) == (2, (), ())
    assert store.since(0) == [(1, full), (2, plain)]
    assert store.since(1) == [(2, plain)]
    assert store.since(0, limit=1) == [(1, full)]
    assert store.last_sequence() == 2


def test_an_event_counts_once_however_often_it_is_posted(store: Store) -> None:
    batch = [event("a"), event("b"), event("a")]
    assert store.post(batch).result().duplicates == (2,)
    for _ in range(10):
        again = store.post(batch).result()
        assert (again.accepted, again.duplicates) == (0, (0, 1, 2))
    assert [e.event_id for _, e in store.since(0)] == ["a", "b"]


def test_an_id_counts_once_over_many_clients_at_the_same_time(store: Store) -> None:
    accepted: list[int] = []

    def client() -> None:
        futures = [store.post([event(f"e{n}"), event(f"e{n + 1}")]) for n in range(100)]
        accepted.append(sum(f.result().accepted for f in futures))

    clients = [threading.Thread(target=client) for _ in range(4)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    assert sum(accepted) == 101
    assert sorted(e.event_id for _, e in store.since(0)) == sorted(f"e{n}" for n in range(101))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"event_id": ""}, "event_id: expected text of 1 to 256 characters"),
        ({"user_id": "x" * 257}, "user_id: expected text"),
        ({"item_id": "a\x00b"}, "item_id: expected text"),
        ({"item_id": "a\nb"}, "item_id: expected text"),
        ({"item_id": "\ud800"}, "item_id: expected text"),
        ({"item_id": 7}, "item_id: expected text"),
        ({"kind": "stare"}, "kind: expected one of impression, click"),
        ({"kind": "rating"}, "value: expected the rating for a rating, got none"),
        ({"kind": "rating", "value": float("nan")}, "value: expected a finite number"),
        ({"kind": "rating", "value": True}, "value: expected a finite number"),
        ({"kind": "rating", "value": 10**400}, "value: expected a finite number"),
        ({"kind": "view", "value": 1.5}, "value: expected the share completed, 0 to 1"),
        ({"kind": "purchase", "value": 0}, "value: expected a quantity above 0"),
        ({"time": -1}, "time: expected microseconds since 1970"),
        ({"time": 1.5}, "time: expected microseconds since 1970"),
        ({"time": now() + YEAR}, "more than a day in the future"),
        ({"slot": -1}, "slot: expected a whole number from 0"),
        ({"slot": True}, "slot: expected a whole number from 0"),
        ({"context": [1]}, "context: expected a mapping"),
        ({"context": {"a": float("inf")}}, "context: expected JSON"),
        ({"context": {"a": object()}}, "context: expected JSON"),
        ({"context": {"a": "\ud800"}}, "context: expected JSON"),
        ({"context": {"a": "x" * 70_000}}, "context: 70,008 bytes of JSON"),
        ({"recommendation_id": "nobody-made-it"}, "no decision 'nobody-made-it' is logged"),
    ],
)
def test_what_cannot_be_kept_is_rejected_with_its_reason_and_the_rest_is_kept(
    store: Store, more: dict[str, Any], reason: str
) -> None:
    posted = store.post(
        [event("good"), event("bad", **more) if "event_id" not in more else event("")]
    ).result()
    ((place, said),) = posted.rejected
    assert (posted.accepted, place) == (1, 1)
    assert reason in said
    assert [e.event_id for _, e in store.since(0)] == ["good"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_taken(store: Store, kind: str) -> None:
    value = 1.0 if kind in ("rating", "dwell") else None
    assert store.post([event("e", kind=kind, value=value)]).result().accepted == 1


def test_an_event_may_follow_its_decision_without_waiting_for_it(store: Store) -> None:
    futures = []
    for n in range(50):
        store.log(decision(f"r{n}"))
        futures.append(store.post([event(f"e{n}", recommendation_id=f"r{n}")]))
    assert [f.result().accepted for f in futures] == [1] * 50


def test_history_is_the_newest_oldest_first(store: Store) -> None:
    times = [5, 1, 4, 4, 2]  # two at the same time: in the order posted
    store.post([event(f"e{n}", item=f"i{n}", time=MOMENT + t) for n, t in enumerate(times)])
    store.post([event("x", user="bob", kind="dismiss"), event("y", kind="impression")]).result()
    found = store.history(["alice", "nobody", "bob"])
    assert [i.item_id for i in found["alice"]] == ["i1", "i4", "i2", "i3", "i0"]
    assert found["nobody"] == []
    assert found["bob"] == [Interaction("squid-game", "dismiss", None, MOMENT)]
    newest = store.history(["alice", "bob"], limit=3)
    assert [i.item_id for i in newest["alice"]] == ["i2", "i3", "i0"]
    assert len(newest["bob"]) == 1
    assert store.history(["alice", "bob"], kinds=["dismiss"]) == {"alice": [], "bob": found["bob"]}


def test_history_of_more_users_than_one_statement_takes(store: Store) -> None:
    users = [f"u{n}" for n in range(2500)]
    assert store.post([event(user, user=user) for user in users]).result().accepted == 2500
    found = store.history(users, limit=1)
    assert all(len(found[user]) == 1 for user in users)


def test_what_was_acknowledged_is_there_after_opening_anew(url: str) -> None:
    with Store.open(url) as first:
        first.post([event("a")]).result()
    with Store.open(url) as second:
        assert [e.event_id for _, e in second.since(0)] == ["a"]
        assert second.post([event("a"), event("b")]).result().duplicates == (0,)


def test_two_stores_write_into_one_database(url: str) -> None:
    with Store.open(url) as one, Store.open(url) as other:
        futures = [s.post([event(f"e{n}")]) for n in range(100) for s in (one, other)]
        assert sum(f.result().accepted for f in futures) == 100
        numbers = [number for number, _ in one.since(0)]
        assert len(numbers) == 100
        assert numbers == sorted(numbers)


def test_who_reads_on_from_a_number_misses_nothing_while_two_stores_write(url: str) -> None:
    with Store.open(url) as one, Store.open(url) as other:
        clients = [
            threading.Thread(target=_post_many, args=(s, name)) for s, name in ((one, "a"), (other, "b"))
        ]
        for client in clients:
            client.start()
        seen: list[str] = []
        number = 0
        while len(seen) < 300 and (any(c.is_alive() for c in clients) or one.last_sequence() > number):
            found = one.since(number, limit=50)
            seen += [e.event_id for _, e in found]
            number = found[-1][0] if found else number
        for client in clients:
            client.join()
        for store in (one, other):
            store.check()  # what was posted before is on disk
        seen += [e.event_id for _, e in one.since(number)]
        assert sorted(seen) == sorted(f"{name}{n}" for name in "ab" for n in range(150))


def _post_many(store: Store, name: str) -> None:
    """As a client does: what was not taken, because the other store wrote for too long, is posted again."""
    for start in range(0, 150, 5):
        left = [event(f"{name}{n}") for n in range(start, start + 5)]
        for _ in range(20):
            futures = [store.post([one]) for one in left]
            late = [isinstance(f.exception(), StoreUnavailable) for f in futures]
            left = [one for one, again in zip(left, late, strict=True) if again]
    assert not left


def test_nothing_is_lost_by_closing(sqlite_url: str) -> None:
    with Store.open(sqlite_url) as store:
        futures = [store.post([event(f"e{n}")]) for n in range(1000)]
    assert all(f.result().accepted == 1 for f in futures)
    with Store.open(sqlite_url) as store:
        assert len(store.since(0, limit=2000)) == 1000


def test_sqlite_is_on_disk_before_it_acknowledges(tmp_path: Path, sqlite_url: str) -> None:
    with Store.open(sqlite_url) as store:
        with store._database.writing() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        store.post([event("e")]).result()
        assert (tmp_path / "store.db-wal").stat().st_size > 0
