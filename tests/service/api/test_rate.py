import asyncio
from collections.abc import Callable

from fastapi import Request

from service.conftest import Shop
from tastemaker.service.api.guard import Limits
from tastemaker.service.api.problems import ProblemError
from tastemaker.service.api.rate import RateLimiter
from tastemaker.service.api.security import Access


def test_a_bucket_fills_at_its_rate() -> None:
    now = [0.0]
    limiter = RateLimiter(clock=lambda: now[0])
    assert [limiter.wait("a", rate=100.0) for _ in range(50)] == [0.0] * 50
    assert limiter.wait("a", rate=100.0) == 0.01
    now[0] = 0.01
    assert limiter.wait("a", rate=100.0) == 0.0
    assert limiter.wait("a", rate=100.0) > 0


def test_callers_have_buckets_of_their_own() -> None:
    limiter = RateLimiter(clock=lambda: 0.0)
    while limiter.wait("loud", rate=10.0) == 0.0:
        pass
    assert limiter.wait("quiet", rate=10.0) == 0.0


def test_memory_is_bounded() -> None:
    limiter = RateLimiter(clock=lambda: 0.0)
    for caller in range(20_000):
        limiter.wait(str(caller), rate=10.0)
    assert len(limiter._buckets) == 10_000


def test_addresses_of_one_network_share_a_bucket(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(prepare=lambda store: store.keys.create("page", ["recommend"])[1])
    key = shop.headers["authorization"].split()[1]
    access = Access(shop.store.keys, False, Limits(browser_rate=1.0), RateLimiter(clock=lambda: 0.0))

    def admitted(address: str) -> int:
        request = Request({"type": "http", "headers": [], "client": (address, 1)})
        try:
            asyncio.run(access.admit(request, key, "recommend"))
        except ProblemError as problem:
            return problem.status
        return 200

    assert [admitted(f"2001:db8::{n:x}") for n in range(11)] == [200] * 10 + [429]
    assert [admitted(a) for a in ("2001:db8:0:1::1", "10.0.0.1", "::ffff:10.0.0.2", "testclient")] == [
        200
    ] * 4
    assert [admitted("10.0.0.2") for _ in range(10)] == [200] * 9 + [429]
