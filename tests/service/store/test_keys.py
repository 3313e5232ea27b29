import hashlib
import time
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from tastemaker.errors import DataError, StoreUnavailable
from tastemaker.service.store import SCOPES, Store
from tastemaker.service.store import keys as module
from tastemaker.service.store.tables import keys


def test_a_key_opens_what_it_is_for_until_it_is_revoked(store: Store) -> None:
    key, text = store.keys.create("shop", ["recommend", "events"])
    assert store.keys.verify(text) == key
    assert [scope for scope in SCOPES if key.opens(scope)] == ["recommend", "events"]
    assert store.keys.revoke(key.key_id) is True
    assert store.keys.verify(text) is None
    assert store.keys.revoke(key.key_id) is False
    (kept,) = store.keys.all()
    assert kept.revoked is not None


def test_admin_opens_everything(store: Store) -> None:
    key, _ = store.keys.create("root", ["admin"])
    assert all(key.opens(scope) for scope in SCOPES)


def test_only_the_hash_is_kept(store: Store) -> None:
    key, text = store.keys.create("shop", ["recommend"])
    with store._database.reading() as connection:
        row = connection.execute(sa.select(keys)).one()
    assert row.hash == hashlib.sha256(text.encode()).hexdigest()
    secret = text.removeprefix(f"tm_{key.key_id}_")
    assert len(secret) >= 43  # 256 bits in base 64
    assert secret not in repr(row)
    assert secret not in repr(key)


def test_wrong_keys_open_nothing(store: Store) -> None:
    key, text = store.keys.create("shop", ["recommend"])
    other, _ = store.keys.create("other", ["admin"])
    near = text[:-1] + ("A" if text[-1] != "A" else "B")
    swapped = text.replace(key.key_id, other.key_id)
    for wrong in (
        "",
        "tm",
        "tm__",
        "x" * 10_000,
        "tm_\x00_a",
        "\ud800",
        near,
        swapped,
        text + " ",
        f"tm_{key.key_id}_",
    ):
        assert store.keys.verify(wrong) is None


def test_no_two_keys_are_alike(store: Store) -> None:
    texts = {store.keys.create("k", ["events"])[1] for _ in range(20)}
    assert len(texts) == 20


@pytest.mark.parametrize(
    ("name", "scopes"), [("a", []), ("a", ["root"]), (" ", ["admin"]), ("a\n", ["admin"])]
)
def test_keys_without_scope_or_name_are_refused(store: Store, name: str, scopes: list[str]) -> None:
    with pytest.raises(DataError):
        store.keys.create(name, scopes)


def test_a_revocation_by_another_process_is_noticed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(url) as one, Store.open(url) as other:
        key, text = one.keys.create("shop", ["events"])
        assert other.keys.verify(text) == key
        one.keys.revoke(key.key_id)
        monkeypatch.setattr(module, "_FRESH", 0.0)  # as if the seconds had passed
        assert other.keys.verify(text) is None


def test_keys_that_were_right_go_on_while_the_database_is_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, text = store.keys.create("shop", ["events"])
    store.keys.verify(text)
    monkeypatch.setattr(module, "_FRESH", 0.0)

    def away() -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(store._database, "reading", away)
    assert store.keys.verify(text) == key
    with pytest.raises(StoreUnavailable):
        store.keys.verify(text + "x")


def test_while_the_database_is_away_it_is_asked_again_only_after_a_while(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, text = store.keys.create("shop", ["events"])
    assert store.keys.remembered(text) is None
    store.keys.verify(text)
    assert store.keys.remembered(text) == key
    times, asked = [time.monotonic() + 60], []

    def away() -> None:
        asked.append(1)
        raise StoreUnavailable("away")

    monkeypatch.setattr(store._database, "reading", away)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: times[-1]))
    assert store.keys.remembered(text) is None
    assert [store.keys.verify(text) for _ in range(5)] == [key] * 5
    assert len(asked) == 1
    times.append(times[-1] + 60)
    assert store.keys.verify(text) == key
    assert len(asked) == 2
