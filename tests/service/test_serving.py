"""Events count once, whoever reads them first: the one who posted, or the one who follows the store."""

from typing import Any

import pytest

from service.conftest import Shop
from tastemaker.errors import StoreUnavailable
from tastemaker.service.store import Event, Item


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


def test_a_post_that_fails_is_not_counted(shop: Shop) -> None:
    shop.store.close()
    with pytest.raises(StoreUnavailable):
        shop.run(shop.engine.post([liked(1)]))
    assert "zelda" not in shop.engine._serving.live.visitors._users
    assert shop.engine._serving._own == {}


def test_a_new_version_takes_over_what_happened(shop: Shop) -> None:
    dismissed = Event(event_id="d", user_id="alice", item_id="squid-game", kind="dismiss", time=2**50)
    shop.run(shop.engine.post([dismissed]))
    shop.run(shop.engine.put_items([Item("brand-new", {"title": "Brand New", "genres": ["drama"]})]))
    shop.engine.promote("v0001")

    def shown(**options: Any) -> set[str]:
        return {item["item_id"] for item in shop.list_for("alice", k=200, explore=False, **options)["items"]}

    assert "squid-game" not in shown(exclude_seen=False)
    assert "brand-new" in shown()
