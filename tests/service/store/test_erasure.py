import random
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.store.made import MOMENT, decision, event
from tastemaker.service.store import Erased, Store, User
from tastemaker.service.store.tables import metadata
from tastemaker.service.store.values import now

NAME = "alice-the-one-and-only"


def fill(store: Store) -> None:
    store.put_users([User(NAME, {"city": "Zürich"}), User("bob")])
    store.log(decision("mine", NAME))
    store.log(decision("before-login", None))
    store.log(decision("bobs", "bob"))
    store.post(
        [event("a1", user=NAME, recommendation_id="mine"), event("b1", user="bob", recommendation_id="bobs")]
    )
    store.post([event("a2", user=NAME, recommendation_id="before-login"), event("a3", user=NAME)]).result()


def everything(store: Store) -> str:
    with store._database.reading() as connection:
        return repr([connection.execute(sa.select(table)).all() for table in metadata.sorted_tables])


def test_erasure_removes_every_trace_of_one_user_and_nothing_of_others(store: Store) -> None:
    fill(store)
    assert NAME in everything(store)
    assert store.erase_user(NAME) == Erased(events=3, decisions=2, users=1)
    assert NAME not in everything(store)
    assert "Zürich" not in everything(store)
    assert [e.event_id for _, e in store.since(0)] == ["b1"]
    assert store.decision("bobs") is not None
    assert store.user("bob") is not None
    assert store.dataset().users.ids.to_list() == ["bob"]
    assert store.erase_user(NAME) == Erased(events=0, decisions=0, users=0)


@pytest.mark.parametrize("seed", range(3))
def test_after_a_vacuum_sqlite_files_hold_no_byte_of_an_erased_id(
    tmp_path: Path, sqlite_url: str, seed: int
) -> None:
    chance = random.Random(seed)
    with Store.open(sqlite_url) as store:
        for n in range(40):  # pages that split, so that rows move
            users = [NAME if chance.random() < 0.4 else f"bob{chance.randrange(999)}" for _ in range(50)]
            times = [MOMENT + chance.randrange(10**9) for _ in users]
            ids = [f"{n}-{i}" for i in range(50)]
            store.post([event(e, user=u, time=t) for e, u, t in zip(ids, users, times, strict=True)])
            store.log(decision(f"r{n}", NAME if n % 2 else "bob"))
        fill(store)
        kept = store.last_sequence()
        store.erase_user(NAME)
        store.vacuum()
        on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert b"bob" in on_disk
        assert NAME.encode() not in on_disk
        assert store.post([event("next", user="bob")]).result().accepted == 1
        assert store.last_sequence() > kept  # no number is given twice


def test_a_vacuum_changes_nothing_that_is_there(store: Store) -> None:
    fill(store)
    before = everything(store)
    store.vacuum()
    assert everything(store) == before


def test_a_retry_of_an_old_event_does_not_bring_an_erased_user_back(store: Store) -> None:
    fill(store)
    store.erase_user(NAME)
    posted = store.post(
        [event("a1", user=NAME), event("late", user=NAME, time=now()), event("b2", user="bob")]
    ).result()
    assert posted.accepted == 1
    assert [place for place, reason in posted.rejected if "was erased" in reason] == [0, 1]
    store.log(decision("late", NAME)).result()
    assert store.decision("late") is None
    assert NAME not in everything(store)


def test_who_is_put_again_starts_anew(store: Store) -> None:
    fill(store)
    store.erase_user(NAME)
    store.put_users([User(NAME)]).result()
    posted = store.post([event("a1", user=NAME), event("new", user=NAME, time=now() + 1)]).result()
    assert (posted.accepted, posted.rejected[0][0]) == (1, 0)
    assert [i.time > MOMENT for i in store.history([NAME])[NAME]] == [True]
    store.erase_user(NAME)
    assert store.post([event("newer", user=NAME, time=now())]).result().accepted == 0


def test_hashes_of_different_stores_differ(tmp_path: Path) -> None:
    seen = set()
    for name in ("one", "two"):
        with Store.open(f"sqlite:///{tmp_path / name}.db") as store:
            store.erase_user(NAME)
            with store._database.reading() as connection:
                seen.add(connection.exec_driver_sql("SELECT hash FROM erased").scalar())
    assert len(seen) == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_erasure_among_many_posts_leaves_nothing(store: Store, when: str) -> None:
    futures = [store.post([event(f"{n}", user=NAME)]) for n in range(200)]
    if when == "after":
        for future in futures:
            future.result()
    store.erase_user(NAME)
    for future in futures:
        future.result()
    assert NAME not in everything(store)
