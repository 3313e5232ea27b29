"""Events over HTTP: what is accepted is kept once; what is wrong is told and costs nothing else."""

from typing import Any

import pytest

from service.conftest import Shop


def one(number: int, **more: Any) -> dict[str, Any]:
    return {"event_id": f"e{number}", "user_id": "alice", "item_id": "squid-game", "kind": "click", **more}


def test_each_event_is_judged_on_its_own(shop: Shop) -> None:
    batch = [
        one(1),
        one(1),
        one(2, kind="nonsense"),
        one(3, value="much"),
        one(4, kind="view", value=7),
        one(5, recommendation_id="no-such-list"),
        {"event_id": "e6"},
        "nonsense",
        one(7, kind="rating", value=4),
    ]
    found = shop.ask("POST", "/v1/events", {"events": batch}).json()
    assert (found["accepted"], found["duplicates"]) == (2, [1])
    assert [r["index"] for r in found["rejected"]] == [2, 3, 4, 5, 6, 7]
    again = shop.ask("POST", "/v1/events", {"events": batch}).json()
    assert (again["accepted"], again["duplicates"]) == (0, [0, 1, 8])


def test_an_event_can_cite_the_list_that_has_just_been_shown(shop: Shop) -> None:
    shown = shop.list_for("alice")
    cited = one(1, recommendation_id=shown["recommendation_id"], slot=0, kind="impression")
    assert shop.ask("POST", "/v1/events", {"events": [cited]}).json()["accepted"] == 1
    assert shop.engine.telemetry.caused == 1


def test_repeating_events_changes_nothing(shop: Shop) -> None:
    batch = {
        "events": [one(i, item_id=item, kind="like") for i, item in enumerate(("the-crown", "the-office"))]
    }
    shop.ask("POST", "/v1/events", batch)
    before = shop.list_for("alice", explore=False, k=50)["items"]
    for _ in range(9):
        assert shop.ask("POST", "/v1/events", batch).json()["accepted"] == 0
        shop.engine.catch_up()
    after = shop.list_for("alice", explore=False, k=50)["items"]
    assert [i["item_id"] for i in after] == [i["item_id"] for i in before]
    assert [i["score"] for i in after] == [i["score"] for i in before]


def test_bodies_that_are_no_events_are_refused(shop: Shop) -> None:
    assert shop.ask("POST", "/v1/events", content=b"nonsense").status_code == 400
    assert shop.ask("POST", "/v1/events", [1]).status_code == 400
    assert shop.ask("POST", "/v1/events", {"events": 3}).status_code == 422
    assert shop.ask("POST", "/v1/events", {"events": [one(1)] * 10_001}).status_code in (413, 422)


def test_a_store_that_cannot_write_acknowledges_nothing(shop: Shop) -> None:
    shop.store.close()
    answer = shop.ask("POST", "/v1/events", one(1))
    assert answer.status_code == 503
    assert "accepted" not in answer.json()


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("max_page_count = 1", "max_page_count = 1000000"),  # no page more: a full disk
        ("query_only = ON", "query_only = OFF"),  # a read-only file
    ],
)
def test_a_full_disk_and_a_read_only_file_acknowledge_nothing(shop: Shop, broken: str, mended: str) -> None:
    database = shop.store._database
    thick = {"events": [one(n, context={"padding": "x" * 2000}) for n in range(50)]}
    before = shop.store.last_sequence()
    with database.writing() as connection:
        connection.exec_driver_sql(f"PRAGMA {broken}")
    answer = shop.ask("POST", "/v1/events", thick)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "accepted" not in answer.json()
    assert shop.list_for("alice")["items"], "lists go on"
    assert shop.store.last_sequence() == before
    with database._writer.connect() as connection:
        connection.connection.driver_connection.execute(f"PRAGMA {mended}")
    assert shop.ask("POST", "/v1/events", thick).json()["accepted"] == 50
