"""What is known of a user at the moment reaches the model that ranks."""

import asyncio
from pathlib import Path

import pytest

from tastemaker.data.dataset import Dataset
from tastemaker.errors import StoreUnavailable
from tastemaker.models.bundle import save
from tastemaker.models.popularity import Popularity
from tastemaker.policy.policy import Policy
from tastemaker.service.asks import Answer, Ask
from tastemaker.service.engine import Engine
from tastemaker.service.store import Event, Item, Store, User

pytest.importorskip("torch", reason="the models that look at features learn by PyTorch")

ITEMS = [f"{kind}-{n}" for n in range(8) for kind in ("toy", "book")]


def like(number: int, user: str, item: str, device: str) -> Event:
    return Event(
        event_id=f"e{number}",
        user_id=user,
        item_id=item,
        kind="like",
        time=1_700_000_000_000_000 + number,
        context={"device": device},
    )


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A shop in which children like toys and grown-ups books, and a policy that ranks by what it knows of people."""
    from tastemaker.models.neural.specs import Categorical, FeatureSpec
    from tastemaker.models.neural.wide_and_deep import WideAndDeep

    store = Store.open(f"sqlite:///{tmp_path}/shop.db")
    people = {f"u{n}": "child" if n % 2 else "adult" for n in range(40)}
    store.put_users([User(name, {"age": age}) for name, age in people.items()]).result()
    store.put_items([Item(name, {"kind": name.split("-")[0]}) for name in ITEMS]).result()
    wanted = {"child": "toy", "adult": "book"}
    events = [
        like(8 * n + i, name, f"{wanted[age]}-{(n + i) % 8}", "tv")
        for n, (name, age) in enumerate(people.items())
        for i in range(3)
    ]
    store.post(events).result()
    data: Dataset = store.dataset()
    spec = FeatureSpec(user=(Categorical("age", min_count=1),), item=(Categorical("kind", min_count=1),))
    ranking = WideAndDeep(features=spec, factors=4, hidden=(8,), epochs=40, learning_rate=0.01).fit(data)
    policy = Policy.of(Popularity().fit(data), ranking=ranking)
    save({"policy": policy}, tmp_path / "models")
    made = Engine.open(store, tmp_path / "models")
    made.deadline = made.people.deadline = 60.0
    return made


def kinds(answer: Answer) -> list[str]:
    return [slot.item_id.split("-")[0] for slot in answer.decision.slots]


async def ask(engine: Engine, **more: object) -> Answer:
    return await engine.recommend(Ask(user_id="u1", k=4, exclude_seen=False, **more))  # type: ignore[arg-type]


async def _change(engine: Engine) -> None:
    assert kinds(await ask(engine)) == ["toy"] * 4
    with Store.open(str(engine.store._database.url)) as other:
        other.put_users([User("u1", {"age": "adult"})]).result()
    changed = await ask(engine)
    assert kinds(changed) == ["book"] * 4, "the next list after the row has changed"
    assert changed.meta["degraded"] == []
    assert changed.meta["feature_age"] == 0.0


async def _expire(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    engine.people.clock = lambda: now
    assert kinds(await ask(engine)) == ["toy"] * 4
    monkeypatch.setattr(engine.store, "user", _cut_off)
    now += 10
    late = await ask(engine)
    assert (late.meta["feature_age"], late.meta["feature_expired"]) == (10.0, False)
    assert kinds(late) == ["toy"] * 4
    assert "features" in late.meta["degraded"]
    now += engine.people.time_to_live
    gone = await ask(engine)
    assert gone.meta["feature_expired"] is True
    assert len(gone.decision.slots) == 4


def _cut_off(user_id: str, *, wait: bool = True) -> User:
    raise StoreUnavailable(f"nobody reads {user_id}")


def test_a_row_that_changes_counts_for_the_next_list(engine: Engine) -> None:
    asyncio.run(_change(engine))
    engine.store.close()


def test_features_that_cannot_be_read_are_used_until_they_expire(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(_expire(engine, monkeypatch))
    engine.store.close()
