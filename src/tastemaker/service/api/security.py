"""Who may do what: keys with scopes, and how often.

A service that only its own machine can reach needs no key as long as there is none; it then answers to the names of that machine
alone, so that no other site's page and no proxy can speak through it. If there is a key when it starts, or it can be reached from
elsewhere, every request but those for health needs one.
"""

import asyncio
import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Literal

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from tastemaker.errors import StoreUnavailable, TastemakerError
from tastemaker.service.api.guard import UNSAFE, Limits, is_loopback
from tastemaker.service.api.problems import ProblemError, send_problem, unavailable
from tastemaker.service.api.rate import RateLimiter
from tastemaker.service.store import BROWSER, Key, Keys

__all__ = ["COOKIE", "Access", "Caller", "KeyFirst", "Scope", "check_listening", "needs"]

Scope = Literal["recommend", "events", "catalogue", "admin"]
COOKIE = "tastemaker_key"

_bearer = HTTPBearer(auto_error=False, description="A key made by `tastemaker keys create`.")


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        name: of the key, or the address for those without.
        scopes: what they may do.
        rate: how many requests a second.
    """

    name: str
    scopes: frozenset[str]
    rate: float


_ALL: frozenset[str] = frozenset({"recommend", "events", "catalogue", "admin"})


@dataclass(frozen=True, eq=False)
class Access:
    """Keys, and how often their holders may ask.

    Attributes:
        keys: as stored.
        open: whether no key is needed.
        limits: of the requests a second.
    """

    keys: Keys
    open: bool
    limits: Limits
    limiter: RateLimiter = field(default_factory=RateLimiter)

    async def caller(self, request: Request, text: str | None) -> Caller | None:
        """Who sent a request, by the key in it; None for an unknown key."""
        address = _whence(request)
        if self.open:
            return Caller(address, _ALL, self.limits.rate)
        key = await self._key(text) if text else None
        if key is None:
            return None
        if key.scopes <= set(BROWSER):  # pages may carry it: each of their visitors counts alone
            return Caller(f"{key.key_id}@{address}", key.scopes, self.limits.browser_rate)
        return Caller(key.key_id, key.scopes, self.limits.rate)

    async def _key(self, text: str) -> Key | None:
        """The key with this text; a database that is slow keeps nobody else waiting."""
        return self.keys.remembered(text) or await asyncio.to_thread(self.keys.verify, text)

    async def admit(self, request: Request, text: str | None, scope: Scope) -> Caller:
        """Let a request through, or say what it lacks.

        Raises:
            ProblemError: 401 without a key that is known, 403 without the scope, 429 too soon after others.
        """
        caller = await self.known(request, text)
        if scope not in caller.scopes and "admin" not in caller.scopes:
            may = ", ".join(sorted(caller.scopes)) or "nothing"
            raise ProblemError(403, f"this needs a key with the scope '{scope}'; this one opens: {may}")
        self._slow_down(caller.name, caller.rate)
        return caller

    async def known(self, request: Request, text: str | None) -> Caller:
        """Who sent a request.

        Raises:
            ProblemError: 401 without a key that is known, 429 for too many of these.
        """
        caller = await self.caller(request, text)
        if caller is None:
            self._slow_down(f"unknown@{_whence(request)}", self.limits.browser_rate)
            raise ProblemError(
                401,
                "this needs a key: send it as 'Authorization: Bearer KEY'; 'tastemaker keys create' makes one",
                headers={"www-authenticate": "Bearer"},
            )
        return caller

    def _slow_down(self, name: str, rate: float) -> None:
        wait = self.limiter.wait(name, rate)
        if wait > 0:
            raise ProblemError(
                429,
                f"more than {rate:g} requests a second; try again in {wait:.2f} s",
                headers={"retry-after": str(max(1, round(wait)))},
            )


class _Needs:
    """The dependency of a route that needs a scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(
        self,
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None,
    ) -> Caller:
        access: Access = request.app.state.access
        return await access.admit(request, _text(request, credentials), self.scope)


def _text(request: Request, credentials: HTTPAuthorizationCredentials | None) -> str | None:
    return credentials.credentials if credentials else request.cookies.get(COOKIE)


@dataclass(frozen=True, eq=False)
class KeyFirst:
    """The layer that reads no body of somebody unknown: routes look at the key after the body.

    Attributes:
        app: what it protects under ``/v1``.
        access: who is known.
    """

    app: ASGIApp
    access: Access

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Let a request through whose key is known, and such as need none."""
        if scope["type"] == "http" and scope["method"] in UNSAFE and scope["path"].startswith("/v1/"):
            request = Request(scope)
            try:
                await self.access.known(request, _text(request, await _bearer(request)))
            except (ProblemError, StoreUnavailable) as error:
                problem = unavailable(error) if isinstance(error, StoreUnavailable) else error
                await send_problem(send, problem.status, problem.detail, problem.headers)
                return
        await self.app(scope, receive, send)


def needs(scope: Scope) -> _Needs:
    """A dependency that lets only callers with ``scope`` through."""
    return _Needs(scope)


def _whence(request: Request) -> str:
    """The address of who asks."""
    return _network(request.client.host) if request.client else "unknown"


@lru_cache(maxsize=4096)
def _network(host: str) -> str:
    """An address as it is; of version 6 its network, in which everybody may have as many addresses as they like."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    return str(address.ipv4_mapped or ipaddress.IPv6Network((address, 64), strict=False))


def check_listening(host: str, keys: int) -> bool:
    """Whether no key is needed to reach a service that listens on ``host``, of whose store ``keys`` keys are known.

    Raises:
        TastemakerError: if others could reach it without a key.

    >>> check_listening("127.0.0.1", 0), check_listening("0.0.0.0", 1)
    (True, False)
    """
    if keys:
        return False
    if not is_loopback(host):
        where = host if _is_address(host) else repr(host)
        raise TastemakerError(
            f"{where} can be reached from other machines, and there is no key yet; make one with 'tastemaker keys create', "
            "or listen on 127.0.0.1"
        )
    return True


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
