"""Requests that go past the framework are answered as they are by it."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from service.conftest import Shop
from tastemaker.service.app import Settings
from tastemaker.service.store import Store

PATH = "/v1/recommendations"
JSON = {"content-type": "application/json"}
USUAL = {"content-type": "application/json; charset=utf-8"}  # not so plain: the framework answers


def told(answer: httpx.Response) -> Any:
    """What does not differ from one request to the next."""
    found = answer.json()
    if answer.status_code == 200:
        del found["recommendation_id"], found["meta"]["took_ms"]
    return answer.status_code, answer.headers["content-type"], found


@pytest.mark.parametrize(
    "body",
    [
        b'{"user_id": "alice", "k": 5, "explore": false}',
        b'{"user_id": "alice", "k": 5, "explore": false, "explain": true, "filter": "year > 2000", "caps": {"genres": 2}}',
        b'{"history": ["squid-game", {"item_id": "the-crown", "weight": 2}], "explore": false}',
        b'{"seed_items": ["squid-game"], "source": "similar", "exclude_seen": false}',
        b"{}",
        b'{"k": "7", "explore": "no"}',
        b'{"k": 0}',
        b'{"kk": 3, "user_id": "a\\u0000b"}',
        b'{"user_id": "\\ud800"}',
        b'{"filter": "nonsense > 1"}',
        b'{"source": "similar"}',
        b'{"context": {"x": NaN}}',
        b"nonsense",
        b"[1]",
        b"",
    ],
)
def test_it_says_what_the_framework_says(shop: Shop, monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    monkeypatch.setattr("secrets.randbits", lambda bits: 7)
    plain, usual = (shop.ask("POST", PATH, content=body, headers=headers) for headers in (JSON, USUAL))
    assert told(plain) == told(usual)


def test_a_plain_request_goes_past_the_framework_and_no_other_does(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    went: list[str] = []
    express = shop.app.app  # type: ignore[attr-defined]
    usual = express.app

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        went.append(scope["path"])
        await usual(scope, receive, send)

    object.__setattr__(express, "app", noted)
    assert shop.list_for("alice")["items"]
    assert went == []
    for headers in (USUAL, JSON | {"cookie": "tastemaker_key=x"}, JSON | {"origin": "http://localhost"}):
        assert shop.ask("POST", PATH, content=b"{}", headers=headers).status_code == 200
    assert shop.ask("POST", PATH, {"k": 0}).status_code == 422
    assert shop.ask("POST", "/v1/rank", {"items": ["squid-game"]}).status_code == 200
    assert len(went) == 5
    text = shop.ask("GET", "/metrics").text
    counted = 'tastemaker_requests_total{method="POST",route="/v1/recommendations",status="200"} 4.0'
    assert counted in text


def test_what_goes_wrong_inside_is_told_as_ever(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*args: Any, **options: Any) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(shop.engine, "recommend", fail)
    answer = shop.ask("POST", PATH, {"user_id": "alice"})
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_a_key_is_asked_for_there_too(make_shop: Callable[..., Shop]) -> None:
    def prepare(store: Store) -> str:
        return store.keys.create("test", ["events"])[1]

    shop = make_shop(Settings(origins=("https://shop.example",)), prepare=prepare)
    assert shop.ask("POST", PATH, {}).status_code == 403
    assert shop.ask("POST", PATH, {}, headers={"authorization": "Bearer tm_0_wrong"}).status_code == 401
    assert shop.ask("POST", PATH, {}, headers={"authorization": "Basic eDp5"}).status_code == 401
    right = shop.store.keys.create("page", ["recommend"])[1]
    assert shop.ask("POST", PATH, {}, headers={"authorization": f"Bearer {right}"}).status_code == 200
