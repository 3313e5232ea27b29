from tastemaker.service.api.rate import RateLimiter


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
