"""Lists over HTTP: personal, filtered, ranked, related, logged and replayed."""

import asyncio
import io
import math
import random
import sqlite3
import threading
from datetime import datetime
from typing import Any

import orjson
import polars as pl
import pytest

from service.conftest import Shop
from tastemaker.errors import StoreUnavailable
from tastemaker.service.api import catalogue
from tastemaker.service.people import People


def ids(found: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in found["items"]]


def event(shop: Shop, kind: str, item: str, user: str = "alice", **more: Any) -> dict[str, Any]:
    made = {"event_id": f"{user}-{kind}-{item}", "user_id": user, "item_id": item, "kind": kind, **more}
    answer = shop.ask("POST", "/v1/events", made)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_alice_and_bob_see_different_lists(shop: Shop) -> None:
    lists = [ids(shop.list_for(user, k=20, explore=False)) for user in ("alice", "bob")]
    assert len(set(lists[0]) & set(lists[1])) < 10
    assert all(len(set(found)) == 20 for found in lists)


def test_a_list_says_how_it_came_about(shop: Shop) -> None:
    found = shop.list_for("alice", k=8, explain=True)
    assert [item["rank"] for item in found["items"]] == list(range(1, 9))
    assert all(0 < item["propensity"] <= 1 and item["reason"] and item["title"] for item in found["items"])
    together = sum(math.log(item["propensity"]) for item in found["items"])
    assert found["meta"]["log_probability"] == pytest.approx(together)
    assert found["meta"]["degraded"] == []
    assert found["meta"]["model"] == "v0002"


def test_the_log_replays_a_list_as_it_was(shop: Shop) -> None:
    for wish in (
        {},
        {"diversify": 0.7},
        {"caps": {"genres": 1}},
        {"seed_items": ["squid-game"]},
        {"source": "trending"},
    ):
        shown = shop.list_for("alice", k=10, explain=True, **wish)
        assert all(item["reason"] for item in shown["items"])
        again = shop.ask("GET", f"/v1/recommendations/{shown['recommendation_id']}").json()
        assert again["items"] == shown["items"]
        assert again["meta"]["log_probability"] == shown["meta"]["log_probability"]
    plain = shop.list_for("alice")
    again = shop.ask("GET", f"/v1/recommendations/{plain['recommendation_id']}").json()
    assert again["items"] == plain["items"]
    assert {item["reason"] for item in plain["items"]} == {None}
    assert shop.ask("GET", "/v1/recommendations/nonsense").status_code == 404


def test_an_event_changes_the_next_list(shop: Shop) -> None:
    first, second, *_ = ids(shop.list_for("alice", explore=False))
    event(shop, "dismiss", first)
    event(shop, "purchase", second)
    after = ids(shop.list_for("alice", k=200, explore=False, exclude_seen=False))
    assert not {first, second} & set(after)
    event(shop, "view", "the-crown", user="someone-new", value=1.0)
    assert ids(shop.list_for("someone-new", explore=False)) != ids(shop.list_for(None, explore=False))


def test_events_of_another_process_count_too(shop: Shop) -> None:
    from tastemaker.service.store import Event, Store

    first = ids(shop.list_for("alice", explore=False))[0]
    with Store.open(f"sqlite:///{shop.folder}/tastemaker.db") as other:
        other.post([Event(event_id="x", user_id="alice", item_id=first, kind="dismiss", time=2**50)]).result()
    shop.engine.catch_up()
    assert first not in ids(shop.list_for("alice", k=200, explore=False))


def test_what_may_not_be_shown_is_not(shop: Shop) -> None:
    features = {item.item_id: item.features for item in shop.store.items()}
    rng = random.Random(0)
    seen = {u: {i.item_id for i in shop.store.history([u])[u]} for u in ("alice", "bob", "chris")}
    for _ in range(300):
        user = rng.choice([*seen, None, "nobody-known"])
        year, price = rng.randint(1980, 2026), rng.uniform(3, 18)
        denied = rng.sample(sorted(features), rng.choice([0, 5, 150]))
        history = rng.sample(sorted(features), rng.choice([0, 3]))
        wish: dict[str, Any] = {
            "k": rng.choice([1, 10, 60]),
            "exclude": denied,
            "filter": f"year > {year} AND price < {price}",
        }
        if history:
            wish["history"] = history
        found = shop.list_for(user, **wish)
        got = ids(found)
        assert len(got) == len(set(got))
        assert not set(got) & (set(denied) | set(history) | seen.get(user or "", set()))
        assert all(features[i]["year"] > year and features[i]["price"] < price for i in got)
        assert (len(got) < wish["k"]) == (found["meta"]["shortfall"] is not None)


def test_windows_and_deletions_hide_items(shop: Shop) -> None:
    best = ids(shop.list_for("alice", explore=False))
    features = shop.ask("GET", f"/v1/items/{best[0]}").json()["features"]
    body = {"features": features | {"available_until": "2020-01-01T00:00:00Z"}}
    assert shop.ask("PUT", f"/v1/items/{best[0]}", body).status_code == 200
    assert shop.ask("DELETE", f"/v1/items/{best[1]}").status_code == 200
    after = ids(shop.list_for("alice", k=200, explore=False))
    assert not set(best[:2]) & set(after)
    assert shop.ask("DELETE", f"/v1/items/{best[1]}").status_code == 404


def test_whatever_is_answered_is_in_the_log(shop: Shop) -> None:
    long = ["x" * 200 + str(number) for number in range(1000)]
    assert len(long) * 200 > 65_536
    catalogue = [item.item_id for item in shop.store.items()]
    wishes: list[tuple[str, dict[str, Any]]] = [
        ("/v1/recommendations", {"history": long}),
        ("/v1/recommendations", {"seed_items": [*catalogue[:1], *("語" * 200 + i for i in catalogue[:99])]}),
        ("/v1/rank", {"items": [*catalogue, *long], "context": {"page": "y" * 60_000}}),
    ]
    for path, wish in wishes:
        shown = shop.ask("POST", path, wish).json()
        again = shop.ask("GET", f"/v1/recommendations/{shown['recommendation_id']}")
        assert again.status_code == 200, again.text
        assert ids(again.json()) == ids(shown)
    refused = shop.ask("POST", "/v1/recommendations", {"context": {"page": "y" * 70_000}})
    assert refused.status_code == 422
    assert "context" in refused.json()["detail"]
    assert shop.list_for("bob")["meta"]["degraded"] == []


@pytest.mark.parametrize("window", [{"available_from": "soon"}, {"available_until": 5}])
def test_a_window_that_is_no_time_is_refused_and_does_no_harm(shop: Shop, window: dict[str, Any]) -> None:
    answer = shop.ask("PUT", "/v1/items/later", {"features": window})
    assert answer.status_code == 422
    assert "2026-01-31T08:00:00Z" in answer.json()["detail"]
    assert shop.ask("GET", "/v1/items/later").status_code == 404
    lines = f'{{"item_id": "later", {orjson.dumps(window).decode()[1:]}\n{{"item_id": "now"}}'
    found = shop.ask("POST", "/v1/items/bulk", content=lines.encode()).json()
    assert (found["written"], [r["index"] for r in found["rejected"]]) == (1, [0])
    shop.engine.promote("v0001")  # which reads all items anew


def test_a_new_item_is_recommended_by_its_content(shop: Shop) -> None:
    like = shop.ask("GET", "/v1/items/squid-game").json()["features"] | {"title": "Squid Game 2"}
    assert shop.ask("PUT", "/v1/items/squid-game-2", {"features": like}).json()["written"] == 1
    assert "squid-game-2" in ids(shop.list_for(None, source="new"))
    found = shop.ask(
        "POST", "/v1/rank", {"user_id": "bob", "items": ["squid-game-2", "the-crown", "unknown"]}
    ).json()
    assert {"squid-game-2"} <= set(ids(found))
    related = shop.ask("GET", "/v1/items/squid-game-2/related?k=5").json()
    assert len(related["items"]) == 5


def test_a_session_counts_by_weight_and_in_the_order_of_its_times(shop: Shop) -> None:
    items = [item.item_id for item in shop.store.items()[:40]]

    def shown(history: list[Any]) -> list[Any]:
        found = shop.list_for(None, history=history, k=30, explore=False, explain=True)["items"]
        return [(item["item_id"], item["reason"]) for item in found]  # reasons are of the latest

    timed = [{"item_id": item, "time": 100 - place} for place, item in enumerate(items)]
    assert shown(timed) == shown(items[::-1]) != shown(items)
    assert shown([*timed[:39], items[39]]) == shown(items)  # where one has no time, as they come
    heavy = [{"item_id": items[0], "weight": 50.0}, *items[1:]]
    assert shown(heavy) != shown(items)


def test_ids_with_slashes_are_ids_like_others(shop: Shop) -> None:
    like = shop.ask("GET", "/v1/items/squid-game").json()["features"]
    assert shop.ask("PUT", "/v1/items/films/2021/squid", {"features": like}).json()["written"] == 1
    assert shop.ask("GET", "/v1/items/films/2021/squid").json()["item_id"] == "films/2021/squid"
    for path in ("films/2021/squid", "films%2F2021%2Fsquid"):
        assert len(shop.ask("GET", f"/v1/items/{path}/related?k=5").json()["items"]) == 5


def test_related_items_leave_out_the_item_and_what_the_user_has_had(shop: Shop) -> None:
    had = {i.item_id for i in shop.store.history(["alice"])["alice"]}
    for mode in ("similar", "also_bought"):
        found = ids(shop.ask("GET", f"/v1/items/squid-game/related?mode={mode}&user_id=alice&k=20").json())
        assert found
        assert "squid-game" not in found
        assert not had & set(found)
    assert shop.ask("GET", "/v1/items/nonsense/related").status_code == 404


def test_batches_are_the_unexplored_lists_and_are_not_logged(shop: Shop) -> None:
    answer = shop.ask("POST", "/v1/recommendations/batch", {"user_ids": ["alice", "bob", "nobody"], "k": 5})
    lines = [orjson.loads(line) for line in answer.content.splitlines()]
    assert [line["user_id"] for line in lines] == ["alice", "bob", "nobody"]
    assert lines[0]["items"] == ids(shop.list_for("alice", k=5, explore=False))
    assert (
        shop.ask(
            "POST", "/v1/recommendations/batch", {"user_ids": ["a"], "filter": "nonsense > 1"}
        ).status_code
        == 422
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"k": 0}, "greater than or equal to 1"),
        ({"kk": 3}, "Extra inputs"),
        ({"user_id": "a\x00b"}, "pattern"),
        ({"filter": "nonsense > 1"}, "no feature"),
        ({"filter": "year >"}, "not a SQL condition"),
        ({"caps": {"nonsense": 1}}, "no feature"),
        ({"source": "similar"}, "seed_items"),
    ],
)
def test_what_cannot_be_asked_is_told(shop: Shop, body: dict[str, Any], words: str) -> None:
    answer = shop.ask("POST", "/v1/recommendations", body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.text


def gone(*_: object, **__: object) -> Any:
    raise OSError("gone")


def test_the_store_cut_off_leaves_lists_that_say_so(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, *_ = ids(shop.list_for("alice", explore=False))
    event(shop, "dismiss", first)
    shop.run(shop.engine.person("alice"))
    shop.store._database.close()
    monkeypatch.setattr(shop.store._database, "reading", gone)
    monkeypatch.setattr(shop.store._database, "glance", gone)
    found = shop.list_for("alice", k=200, explore=False)
    assert "features" in found["meta"]["degraded"]
    assert found["meta"]["feature_age"] is not None
    assert first not in ids(found)
    assert second in ids(found)
    assert not {i for i, *_ in shop.engine.people._memory["alice"].history} & set(ids(found))
    assert shop.ask("GET", "/ready").json()["status"] == "degraded"


def test_memory_of_a_user_expires(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    shop.engine.people.clock = lambda: now[0]
    assert shop.list_for("alice")["meta"]["feature_age"] == 0.0
    monkeypatch.setattr(shop.store, "user", gone)
    now[0] = 10.0
    meta = shop.list_for("alice")["meta"]
    assert (meta["feature_age"], meta["feature_expired"]) == (10.0, False)
    now[0] = 1000.0
    meta = shop.list_for("alice")["meta"]
    assert (meta["feature_age"], meta["feature_expired"]) == (1000.0, True)


def test_a_row_is_read_by_the_loop_itself_until_that_is_slow(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, threads, people = shop.store.user, [], shop.engine.people

    def noted(user: str, *, wait: bool = True) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return read(user, wait=wait)

    monkeypatch.setattr(shop.store, "user", noted)
    now = [100.0]
    people.clock = lambda: now[0]
    for deadline in (60.0, 0.0, 60.0, 60.0):  # the second read is later than it may be
        people.deadline = deadline
        assert shop.list_for("alice")["meta"]["degraded"] == []
    now[0] += 100
    shop.list_for("alice")
    assert threads == [True, True, False, False, True]


def test_a_file_that_another_process_keeps_to_itself_is_waited_for_beside_the_loop(shop: Shop) -> None:
    shop.run(shop.engine.people.features("alice"))
    other = sqlite3.connect(shop.folder / "tastemaker.db", isolation_level=None)
    people = People(shop.store, deadline=60.0)
    assert shop.run(people.features("alice")).late is False
    shop.store._database.close()  # only who opens the file anew would have to wait
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable, match="locked"):
        shop.store.user("alice", wait=False)

    async def both() -> bool:
        read = asyncio.create_task(people.features("alice"))
        await asyncio.sleep(0)
        other.close()
        return (await read).late

    assert shop.run(both()) is False
    people.close()


def test_bulk_takes_lines_and_parquet(shop: Shop) -> None:
    lines = b'{"item_id": "a1", "title": "A", "year": 2020}\n\n{"item_id": "a2", "features": {"year": "late"}}\n{"x": 1}\n'
    answer = shop.ask("POST", "/v1/items/bulk", content=lines).json()
    assert answer["written"] == 1
    assert [r["index"] for r in answer["rejected"]] == [1, 2]
    table = pl.DataFrame({"user_id": ["p1", "p2"], "age": [20, 30]})
    file = io.BytesIO()
    table.write_parquet(file)
    headers = {"content-type": "application/vnd.apache.parquet"}
    assert shop.ask("POST", "/v1/users/bulk", content=file.getvalue(), headers=headers).json()["written"] == 2
    assert shop.ask("GET", "/v1/users/p2").json()["features"] == {"age": 30}
    assert shop.ask("POST", "/v1/items/bulk", content=b"nonsense").status_code == 400


def test_types_that_json_has_not_come_as_what_it_has(shop: Shop) -> None:
    moment = datetime(2024, 1, 31, 8, 30)
    table = pl.DataFrame(
        {
            "item_id": ["later"],
            "here": [moment],
            "there": pl.Series([moment]).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Seoul"),
            "coarse": pl.Series([moment], dtype=pl.Datetime("ms")),
            "day": [moment.date()],
            "price": pl.Series(["1.50"]).cast(pl.Decimal(10, 2)),
            "available_from": [datetime(2099, 1, 1)],
        }
    )
    file = io.BytesIO()
    table.write_parquet(file)
    headers = {"content-type": "application/vnd.apache.parquet"}
    answer = shop.ask("POST", "/v1/items/bulk", content=file.getvalue(), headers=headers).json()
    assert answer == {"written": 1, "rejected": []}
    features = shop.ask("GET", "/v1/items/later").json()["features"]
    assert features.pop("available_from").startswith("2099-01-01T00:00:00")
    assert features == {
        **dict.fromkeys(("here", "there", "coarse"), "2024-01-31T08:30:00.000000Z"),
        "day": "2024-01-31",
        "price": 1.5,
    }
    assert shop.store.schema("items")["there"] == "datetime"
    assert "later" not in ids(shop.ask("POST", "/v1/rank", {"items": ["later"]}).json())


def test_an_upload_is_read_beside_the_event_loop(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    read, threads = catalogue._from_lines, []

    def noted(body: bytes) -> Any:
        threads.append(threading.current_thread())
        return read(body)

    monkeypatch.setattr(catalogue, "_from_lines", noted)
    assert shop.ask("POST", "/v1/items/bulk", content=b'{"item_id": "a1"}').json()["written"] == 1
    assert threads[0] is not threading.main_thread()


def test_an_erased_user_leaves_no_trace(shop: Shop) -> None:
    event(shop, "like", "squid-game", user="zelda")
    shown = shop.list_for("zelda")["recommendation_id"]
    gone = shop.ask("DELETE", "/v1/users/zelda").json()
    assert (gone["events"], gone["decisions"]) == (1, 1)
    assert shop.ask("GET", f"/v1/recommendations/{shown}").status_code == 404
    assert shop.list_for("zelda", explore=False)["items"] == shop.list_for(None, explore=False)["items"]
