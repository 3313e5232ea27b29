"""Events count once, whoever reads them first: the one who posted, or the one who follows the store."""

import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from service.conftest import Shop
from tastemaker.data.storage import digest_of
from tastemaker.errors import StoreUnavailable
from tastemaker.models.bundle import load_all, promote, save
from tastemaker.models.item_knn import ItemKNN
from tastemaker.policy.policy import Policy
from tastemaker.policy.stock import Stock
from tastemaker.service.demo import _fit
from tastemaker.service.serving import Serving, new_item
from tastemaker.service.store import Event, Item, Store


def liked(number: int) -> Event:
    return Event(
        event_id=f"e{number}", user_id="zelda", item_id="squid-game", kind="like", time=2**50 + number
    )


def weight(shop: Shop) -> float:
    live = shop.engine._serving.live
    return live.visitors.of("zelda").taken[live.code("squid-game")].weight


def test_an_event_counts_once_in_whichever_order_it_is_seen(shop: Shop) -> None:
    serving, store = shop.engine._serving, shop.store
    shop.run(shop.engine.post([liked(1)]))  # counted when posted, then read
    one = weight(shop)
    shop.engine.catch_up()
    assert weight(shop) == one
    serving.expect([liked(2)])  # read between the commit and its being counted
    store.post([liked(2)]).result()
    shop.engine.catch_up()
    assert weight(shop) == one
    serving.settle([liked(2)], {0})
    assert weight(shop) == 2 * one
    store.post([liked(3)]).result()  # from another process
    shop.engine.catch_up()
    assert weight(shop) == 3 * one
    shop.run(shop.engine.post([liked(1), liked(2), liked(3)]))  # sent again
    shop.engine.catch_up()
    assert weight(shop) == 3 * one
    assert serving._own == {}


def test_what_another_process_kept_counts_though_it_is_posted_here_again(shop: Shop) -> None:
    serving, store = shop.engine._serving, shop.store
    store.post([liked(1)]).result()  # by another process, whose answer was lost
    serving.expect([liked(1)])
    shop.engine.catch_up()
    assert store.post([liked(1)]).result().duplicates == (0,)
    serving.settle([liked(1)], set())
    one = weight(shop)
    serving.expect([liked(2), liked(2)])  # kept, but the one who posted did not wait for it
    store.post([liked(2)]).result()
    shop.engine.catch_up()
    serving.settle([liked(2), liked(2)], set())
    assert weight(shop) == 2 * one
    shop.engine.catch_up()
    assert weight(shop) == 2 * one
    assert serving._own == {}


def test_an_item_that_is_being_put_is_not_known_yet(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []
    like = Stock._like

    def meanwhile(*args: Any) -> Any:
        found.append(shop.engine.features(["brand-new"]))
        found.append(shop.ask("GET", "/v1/items/brand-new/related").status_code)
        found.append(shop.list_for(None, seed_items=["brand-new", "squid-game"])["meta"]["unknown"])
        return like(*args)

    monkeypatch.setattr(Stock, "_like", meanwhile)
    item = new_item(Item("brand-new", {"title": "Brand New"}))
    shop.engine._serving.live.put_items([item])
    assert found == [[{}], 404, 1]
    assert shop.ask("GET", "/v1/items/brand-new/related").status_code == 200


def test_a_post_that_fails_is_not_counted(shop: Shop) -> None:
    shop.store.close()
    with pytest.raises(StoreUnavailable):
        shop.run(shop.engine.post([liked(1)]))
    assert "zelda" not in shop.engine._serving.live.visitors._users
    assert shop.engine._serving._own == {}


def test_what_another_process_writes_is_followed(shop: Shop) -> None:
    def shown() -> set[str]:
        found = shop.list_for("alice", k=200, explore=False, exclude_seen=False, caps={})
        return {item["item_id"] for item in found["items"]}

    with Store.open(str(shop.store._database.url)) as other:
        other.put_items([Item("from-elsewhere", {"title": "From Elsewhere", "genres": ["drama"]})]).result()
        shop.engine.catch_up()
        assert "from-elsewhere" in shown()
        assert "squid-game" in shown()
        other.delete_item("from-elsewhere").result()
        other.delete_item("squid-game").result()
        shop.engine.catch_up()
    assert shown().isdisjoint({"from-elsewhere", "squid-game"})


def test_only_what_came_after_the_fit_is_read_at_the_start(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[int, Event]] = []
    since = Store.since

    def spied(store: Store, sequence: int, limit: int = 1000) -> list[tuple[int, Event]]:
        found = since(store, sequence, limit)
        read.extend(found)
        return found

    monkeypatch.setattr(Store, "since", spied)
    before = shop.store.last_sequence()
    assert before > 1000
    shop.store.post([liked(1)]).result()
    serving = Serving.load(shop.folder / "models", "v0001", shop.store)
    assert [number for number, _ in read] == [before + 1]
    assert "zelda" in serving.live.visitors._users


def test_without_a_note_of_the_fit_times_tell_what_came_after(shop: Shop) -> None:
    models = load_all(shop.folder / "models")
    save(models, shop.folder / "plain")
    shop.store.post([liked(1), replace(liked(2), user_id="cleo", time=time.time_ns() // 1000)]).result()
    serving = Serving.load(shop.folder / "plain", "v0001", shop.store)
    assert list(serving.live.visitors._users) == ["cleo"]


def test_what_was_dismissed_before_the_fit_stays_out(shop: Shop) -> None:
    def event(number: int, item: str, kind: str) -> Event:
        return Event(event_id=f"e{number}", user_id="bob", item_id=item, kind=kind, time=2**50 + number)

    shop.store.post(
        [
            event(1, "squid-game", "dismiss"),
            event(2, "the-crown", "dismiss"),
            event(3, "the-crown", "like"),
        ]
    ).result()
    _fit(shop.store, shop.folder / "models")
    shop.engine.follow_bundle()
    assert shop.engine.version == "v0004"
    items = shop.list_for("bob", k=200, explore=False, exclude_seen=False, caps={})["items"]
    assert "squid-game" not in {item["item_id"] for item in items}
    assert "the-crown" in {item["item_id"] for item in items}


def test_the_version_that_another_process_made_current_is_served(shop: Shop) -> None:
    folder = shop.folder / "models"
    assert shop.engine.version == "v0002"
    promote(folder, "v0001")
    shop.engine.follow_bundle()
    assert (shop.engine.version, shop.engine.served_before) == ("v0001", "v0002")
    (folder / "v0002" / "models" / "als" / "state.safetensors").write_bytes(b"")
    pointer = {"version": "v0002", "sha256": digest_of(folder / "v0002" / "bundle.json")}
    (folder / "CURRENT").write_text(json.dumps(pointer))
    for _ in range(2):
        shop.engine.follow_bundle()
        assert shop.engine.version == "v0001"
    assert shop.list_for("alice")["items"]


def test_a_new_version_takes_over_what_happened(shop: Shop) -> None:
    dismissed = Event(event_id="d", user_id="alice", item_id="squid-game", kind="dismiss", time=2**50)
    shop.run(shop.engine.post([dismissed]))
    shop.run(shop.engine.put_items([Item("brand-new", {"title": "Brand New", "genres": ["drama"]})]))
    shop.engine.promote("v0001")

    def shown(**options: Any) -> set[str]:
        return {item["item_id"] for item in shop.list_for("alice", k=200, explore=False, **options)["items"]}

    assert "squid-game" not in shown(exclude_seen=False)
    assert "brand-new" in shown()


def test_what_happens_after_a_fit_counts_though_a_clock_was_ahead(shop: Shop) -> None:
    now = time.time_ns() // 1000
    ahead = replace(liked(1), user_id="yves", time=now + 20 * 3_600_000_000)
    assert shop.store.post([ahead]).result().accepted == 1
    model = ItemKNN().fit(shop.store.dataset())
    save({"policy": Policy.of(model)}, shop.folder / "models")
    soon = time.time_ns() // 1000 + 60_000_000
    shop.run(shop.engine.post([replace(liked(2), time=soon)]))
    shop.engine.promote("v0003")
    assert weight(shop) > 0


def test_events_that_were_read_before_their_user_was_erased_do_not_come_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    since, read, go_on = shop.store.since, threading.Event(), threading.Event()

    def slowly(*args: Any) -> Any:
        rows = since(*args)
        read.set()
        assert go_on.wait(60)
        return rows

    shop.store.post([liked(1)]).result()
    monkeypatch.setattr(shop.store, "since", slowly)
    following = threading.Thread(target=shop.engine.catch_up)
    following.start()
    assert read.wait(60)
    threading.Timer(0.5, go_on.set).start()
    shop.run(shop.engine.erase_user("zelda"))
    following.join()
    assert "zelda" not in shop.engine._serving.live.visitors._users


def test_what_changes_while_a_version_is_being_loaded_is_not_lost(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = shop.list_for("bob", explore=False)["items"][0]["item_id"]
    load = Serving.load

    def and_then(*args: Any) -> Serving:
        serving = load(*args)  # has read the store; what follows comes before it takes over
        shop.run(shop.engine.put_items([Item("brand-new", {"title": "Brand New", "genres": ["drama"]})]))
        shop.run(shop.engine.delete_item(best))
        shop.run(shop.engine.erase_user("zelda"))
        return serving

    shop.run(shop.engine.post([liked(1)]))
    monkeypatch.setattr(Serving, "load", and_then)
    shop.engine.promote("v0001")
    assert shop.engine.version == "v0001"
    assert shop.run(shop.engine.knows("brand-new"))
    ranked = shop.ask("POST", "/v1/rank", {"items": [best, "brand-new"]}).json()["items"]
    assert [item["item_id"] for item in ranked] == ["brand-new"]
    assert "zelda" not in shop.engine._serving.live.visitors._users


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("2026-01-31T08:00:00Z", 1769846400_000000),
        ("2026-01-31T08:00:00", 1769846400_000000),
        ("2026-01-31T08:00:00+01:00", 1769842800_000000),
    ],
)
def test_the_times_of_a_window_are_of_utc_unless_they_name_a_zone(
    monkeypatch: pytest.MonkeyPatch, text: str, start: int
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert new_item(Item("tea", {"available_from": text})).start == start
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("window", [{"available_from": "soon"}, {"available_until": 5}])
def test_an_item_whose_window_cannot_be_read_is_not_shown(shop: Shop, window: dict[str, Any]) -> None:
    live = shop.engine._serving.live
    best = shop.list_for("alice", explore=False)["items"][0]["item_id"]
    live.put_items([new_item(Item(best, window, 1))])
    assert best not in [i["item_id"] for i in shop.list_for("alice", k=200, explore=False)["items"]]
