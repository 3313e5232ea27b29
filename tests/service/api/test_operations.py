"""Keys, models and the rest of running it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.conftest import Shop
from tastemaker.errors import StoreUnavailable, TastemakerError
from tastemaker.service.app import Settings
from tastemaker.service.store import Store

Make = Callable[..., Shop]


def key_for(*scopes: str) -> Callable[[Store], str]:
    return lambda store: store.keys.create("test", scopes)[1]


ROUTES = [
    ("POST", "/v1/recommendations", "recommend"),
    ("POST", "/v1/events", "events"),
    ("PUT", "/v1/items/x", "catalogue"),
    ("DELETE", "/v1/users/x", "admin"),
    ("GET", "/v1/models", "admin"),
    ("POST", "/v1/models/rollback", "admin"),
    ("GET", "/metrics", "admin"),
]


@pytest.mark.parametrize("scope", ["recommend", "events", "catalogue"])
def test_a_key_opens_its_scope_alone(make_shop: Make, scope: str) -> None:
    shop = make_shop(prepare=key_for(scope))
    for method, path, needed in ROUTES:
        body = None if method in ("GET", "DELETE") else {}
        status = shop.ask(method, path, body).status_code
        assert (status == 403) == (needed != scope), (path, status)
        assert shop.ask(method, path, body, headers={"authorization": "Bearer tm_0_wrong"}).status_code == 401
        assert shop.ask(method, path, body, headers={"authorization": ""}).status_code == 401


def test_nothing_that_somebody_unknown_sends_is_read(make_shop: Make) -> None:
    shop = make_shop(prepare=key_for("recommend"))
    pieces = []

    async def body() -> AsyncIterator[bytes]:
        for piece in (b'{"user_ids": [', b'"alice"', b"]}"):
            pieces.append(piece)
            yield piece

    headers = {"content-type": "application/json"}
    path = "/v1/recommendations/batch"
    for wrong in ("", "Bearer tm_0_wrong"):
        answer = shop.ask("POST", path, content=body(), headers=headers | {"authorization": wrong})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert pieces == []
    assert shop.ask("POST", path, content=body(), headers=headers).status_code == 200
    assert len(pieces) == 3


def test_a_key_that_takes_long_to_look_up_keeps_nobody_else_waiting(
    make_shop: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(prepare=key_for("recommend"))
    looking, answered, in_time = threading.Event(), threading.Event(), []

    def look_up(*args: object) -> None:
        looking.set()
        in_time.append(answered.wait(60))

    monkeypatch.setattr(shop.store.keys, "_look_up", look_up)

    async def both() -> tuple[int, int]:
        slow = asyncio.create_task(
            shop._client.post("/v1/events", headers={"authorization": "Bearer tm_0_x"})
        )
        await asyncio.to_thread(looking.wait, 60)
        quick = await shop._client.get("/health")
        answered.set()
        return (await slow).status_code, quick.status_code

    assert shop.run(both()) == (401, 200)
    assert in_time == [True]


def test_a_store_that_is_away_is_not_told_of_to_others(
    make_shop: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop(prepare=key_for("catalogue"))

    def away() -> None:
        raise StoreUnavailable("the database postgresql://shop@10.0.0.7/shop is unavailable")

    assert shop.ask("GET", "/v1/items/squid-game").status_code == 200
    monkeypatch.setattr(shop.store._database, "reading", away)
    for headers in ({}, {"authorization": "Bearer tm_0_another"}):
        for method in ("GET", "PUT"):
            answer = shop.ask(method, "/v1/users/alice", {} if method == "PUT" else None, headers=headers)
            if headers or method == "GET":
                assert answer.status_code == 503
                assert answer.headers["retry-after"] == "1"
            assert "10.0.0.7" not in answer.text
    assert "10.0.0.7" in caplog.text


def test_health_needs_no_key_and_pages_ask_for_one(make_shop: Make) -> None:
    shop = make_shop(prepare=key_for("admin"))
    key = shop.headers.pop("authorization").split()[1]
    assert shop.ask("GET", "/health").status_code == 200
    page = shop.ask("GET", "/?user=alice")
    assert page.status_code == 401
    assert "Sign in" in page.text
    assert shop.ask("POST", "/sign-in", data={"key": "wrong", "next": "/"}).status_code == 401
    answer = shop.ask("POST", "/sign-in", data={"key": key, "next": "https://elsewhere.example/"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert shop.ask("GET", "/?user=alice", headers={"cookie": cookie.split(";")[0]}).status_code == 200


def test_it_refuses_to_be_reached_from_elsewhere_without_a_key(make_shop: Make) -> None:
    with pytest.raises(TastemakerError, match="keys create"):
        make_shop(Settings(host="0.0.0.0"))
    assert make_shop(Settings(host="0.0.0.0"), prepare=key_for("recommend")).list_for("alice")["items"]


@pytest.mark.parametrize(
    ("settings", "host"),
    [
        (Settings(host="127.0.0.2"), "127.0.0.2:8000"),
        (Settings(host="127.0.0.2"), "localhost"),
        (Settings(hosts=("Shop.example",)), "shop.example"),
    ],
)
def test_it_answers_where_it_listens_and_as_what_it_is_named(
    make_shop: Make, settings: Settings, host: str
) -> None:
    shop = make_shop(settings)
    assert shop.ask("GET", "/health", headers={"host": host}).status_code == 200
    assert shop.ask("GET", "/health", headers={"host": "evil.example"}).status_code == 421


def test_signing_in_where_no_key_is_needed(shop: Shop) -> None:
    assert shop.ask("POST", "/sign-in", data={"key": "none", "next": "/compare"}).status_code == 303
    answer = shop.ask("POST", "/sign-in", data={"key": "—", "next": "/"})
    assert (answer.status_code, "set-cookie" in answer.headers) == (422, False)


def test_another_origin_may_ask_when_it_is_named(make_shop: Make) -> None:
    origin = {"origin": "https://shop.example"}
    asked = {"user_id": "alice"}
    assert make_shop().ask("POST", "/v1/recommendations", asked, headers=origin).status_code == 403
    named = make_shop(Settings(origins=("https://Shop.example/",)))
    answer = named.ask("POST", "/v1/recommendations", asked, headers=origin)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"


def test_a_page_for_an_id_that_nobody_can_have_is_refused(shop: Shop) -> None:
    for path in ("/?user=a%00b", "/item/squid-game?user=%1f", "/compare?left=a%0Ab", "/search?user=%7f"):
        assert shop.ask("GET", path).status_code == 422
    assert shop.ask("GET", "/compare?left=alice&right=&user=").status_code == 200


def test_models_are_promoted_and_rolled_back(shop: Shop) -> None:
    assert shop.ask("POST", "/v1/models/rollback").status_code == 409
    found = shop.ask("POST", "/v1/models/v0001/promote").json()["versions"]
    assert {v["version"]: v["serving"] for v in found} == {"v0001": True, "v0002": False}
    assert shop.list_for("alice")["meta"]["model"] == "v0001"
    shop.ask("POST", "/v1/models/rollback")
    assert shop.list_for("alice")["meta"]["model"] == "v0002"
    assert shop.ask("POST", "/v1/models/v0099/promote").status_code == 422
    assert shop.ask("POST", "/v1/models/nonsense/promote").status_code == 422


def test_a_damaged_model_is_refused_and_the_old_one_serves(shop: Shop) -> None:
    state = next((shop.folder / "models" / "v0001").rglob("state.safetensors"))
    state.write_bytes(state.read_bytes()[:-10])
    answer = shop.ask("POST", "/v1/models/v0001/promote")
    assert answer.status_code == 422
    assert "damaged" in answer.json()["detail"]
    assert shop.list_for("alice")["meta"]["model"] == "v0002"


def test_swapping_under_load_fails_and_mixes_nothing(shop: Shop) -> None:
    """Answers of each version, known before, against those given while the versions take turns."""
    alone = {}
    for version in ("v0001", "v0002"):
        shop.engine.promote(version)
        alone[version] = shop.list_for("alice", explore=False)["items"]
    assert alone["v0001"] != alone["v0002"]
    versions: set[str] = set()

    def swap() -> None:
        for number in range(1000):
            shop.engine.promote(f"v000{1 + number % 2}")
            if number >= 50 and len(versions) == 2:
                return

    with ThreadPoolExecutor(1) as pool:
        swaps = pool.submit(swap)
        while not swaps.done():
            found = shop.list_for("alice", explore=False)
            versions.add(found["meta"]["model"])
            assert found["items"] == alone[found["meta"]["model"]]
        swaps.result()
    assert versions == {"v0001", "v0002"}


def test_what_was_counted_can_be_read(shop: Shop) -> None:
    shop.list_for("alice", k=7)
    text = shop.ask("GET", "/metrics").text
    assert 'tastemaker_requests_total{method="POST",route="/v1/recommendations",status="200"} 1.0' in text
    slots = [
        float(line.split()[-1]) for line in text.splitlines() if line.startswith("tastemaker_slots_total{")
    ]
    assert sum(slots) == 7


def test_every_reference_of_the_openapi_document_is_there(shop: Shop) -> None:
    document = shop.ask("GET", "/openapi.json")
    names = document.json()["components"]["schemas"]
    references = {part.split('"')[0] for part in document.text.split('"#/components/schemas/')[1:]}
    assert references <= set(names)
    for path in ("/v1/recommendations", "/v1/events", "/v1/rank", "/v1/items/{item_id}/related"):
        assert path in document.json()["paths"]
    for name in ("RecommendationRequest", "EventsRequest", "RecommendationResponse"):
        assert names[name]["examples"]
