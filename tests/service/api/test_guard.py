"""The guard around a small app that echoes its body."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from tastemaker.errors import TastemakerError
from tastemaker.service.api import problems
from tastemaker.service.api.guard import CONTENT_SECURITY_POLICY, Guard, Limits
from tastemaker.service.api.problems import ProblemError
from tastemaker.service.api.security import check_listening


def app() -> FastAPI:
    made = FastAPI()
    problems.install(made)

    @made.post("/echo")
    async def echo(request: Request) -> int:
        return len(await request.body())

    @made.get("/slow")
    async def slow() -> None:
        await asyncio.Event().wait()

    @made.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a secret of the inside")

    @made.get("/refused")
    async def refused() -> None:
        raise ProblemError(409, "not now", hint="later")

    return made


def ask(method: str, path: str, guard: Guard, **options: Any) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(guard, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **options)

    return asyncio.run(run())


def guard(seconds: float = 60.0, **options: Any) -> Guard:
    return Guard(app(), Limits(body=1000, bulk_body=2000, seconds=seconds), **options)


def test_every_answer_has_the_secure_headers() -> None:
    for path in ("/refused", "/broken", "/nowhere"):
        answer = ask("GET", path, guard())
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY


@pytest.mark.parametrize(("path", "status"), [("/refused", 409), ("/broken", 500), ("/nowhere", 404)])
def test_errors_are_problems_and_tell_nothing_of_the_inside(path: str, status: int) -> None:
    answer = ask("GET", path, guard())
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_a_long_body_is_refused_whether_its_length_is_told_or_not() -> None:
    assert ask("POST", "/echo", guard(), content=b"x" * 1000).json() == 1000
    assert ask("POST", "/echo", guard(), content=b"x" * 1001).status_code == 413

    async def in_pieces() -> Any:
        for _ in range(11):
            yield b"x" * 100

    assert ask("POST", "/echo", guard(), content=in_pieces()).status_code == 413


@pytest.mark.parametrize("length", ["", "-1", "1e3", "9" * 5000])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    assert ask("GET", "/refused", guard(), headers={"content-length": length}).status_code == 400


def test_an_answer_that_takes_too_long_is_cut_off() -> None:
    answer = ask("GET", "/slow", guard(0.2))
    assert answer.status_code == 503
    assert "0.2 s" in answer.json()["detail"]


def test_other_names_are_refused_against_rebinding() -> None:
    local = guard(hosts=frozenset({"localhost"}))
    assert ask("GET", "/refused", local).status_code == 409
    assert ask("GET", "/refused", local, headers={"host": "localhost:8000"}).status_code == 409
    assert ask("GET", "/refused", local, headers={"host": "LocalHost:8000"}).status_code == 409
    assert ask("GET", "/refused", local, headers={"host": "evil.example"}).status_code == 421


def test_pages_of_other_origins_may_not_send() -> None:
    other = {"origin": "https://shop.example"}
    assert ask("POST", "/echo", guard(), headers=other).status_code == 403
    assert (
        ask("POST", "/echo", guard(origins=frozenset({"https://shop.example"})), headers=other).status_code
        == 200
    )
    assert ask("POST", "/echo", guard(), headers={"origin": "http://localhost"}).status_code == 200
    assert ask("POST", "/echo", guard(), headers={"origin": "null"}).status_code == 403


def test_the_observer_sees_every_status() -> None:
    seen: list[int] = []

    def watched(seconds: float = 60.0) -> Guard:
        return guard(seconds, observe=lambda scope, status, took: seen.append(status))

    for path in ("/refused", "/broken"):
        ask("GET", path, watched())
    ask("GET", "/slow", watched(0.2))
    ask("POST", "/echo", watched(), content=b"x" * 5000)
    assert seen == [409, 500, 503, 413]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "shop.example", "127.shop.example"])
def test_it_does_not_listen_beyond_the_machine_without_a_key(host: str) -> None:
    with pytest.raises(TastemakerError, match="keys create"):
        check_listening(host, 0)
    assert check_listening(host, 1) is False
    assert check_listening("127.0.0.1", 1) is False  # who makes a key wants it asked for
