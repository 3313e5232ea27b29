"""What every request passes before it is looked at, and every answer before it leaves: one thin ASGI layer.

Host names (against DNS rebinding), origins (against forged requests), the size of the body, the time that an answer may take, and
the headers that keep a browser from doing more with a page than it should.
"""

import asyncio
import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tastemaker.service.api.problems import send_problem

__all__ = ["UNSAFE", "Guard", "Limits", "is_loopback"]

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Methods that change something, or send a body."""
_LONGEST_LENGTH = 18  # digits of a Content-Length

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURE_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=()"),
)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a socket that listens on ``host``.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0"), is_loopback("127.example.com")
    (True, False, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much one request may ask for.

    Attributes:
        body: bytes of a body.
        bulk_body: bytes of the body of a bulk upload.
        seconds: until an answer must have begun.
        bulk_seconds: the same for bulk uploads and batches.
        rate: requests a second that one caller may send on and on, and half a second's worth more at once.
        browser_rate: the same for one address that uses a browser key or none.
    """

    body: int = 4 << 20
    bulk_body: int = 256 << 20
    seconds: float = 10.0
    bulk_seconds: float = 600.0
    rate: float = 20_000.0
    browser_rate: float = 200.0


@dataclass(frozen=True, eq=False)
class Guard:
    """The layer around the app.

    Attributes:
        app: what it guards.
        limits: how much one request may ask for.
        origins: other origins whose pages may send requests (with a browser key).
        hosts: names under which the service answers, in lower case; empty: any.
        observe: told of every answer: method, path template, status, seconds.
    """

    app: ASGIApp
    limits: Limits
    origins: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    observe: Callable[[Scope, int, float], None] = field(default=lambda scope, status, seconds: None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send, time.perf_counter())
        refusal = self._refusal(scope)
        if refusal is not None:
            await send_problem(answer, *refusal)
        else:
            await self._pass(scope, receive, answer)
        self.observe(scope, answer.status, time.perf_counter() - answer.start)

    async def _pass(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        bulk = is_bulk(scope["path"])
        limit = self.limits.bulk_body if bulk else self.limits.body
        seconds = self.limits.bulk_seconds if bulk else self.limits.seconds
        try:
            async with asyncio.timeout(seconds):
                await self.app(scope, _Body(receive, limit), answer)
        except TimeoutError:
            if not answer.begun:
                await send_problem(answer, 503, f"no answer within {seconds:g} s; try again later")
        except Exception:  # it has been answered and logged inside; the server need not print it again
            if not answer.begun:
                raise

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Why a request is answered before its body is read: a status and the reason."""
        headers = {k: v for k, v in scope["headers"] if k in (b"host", b"origin", b"content-length")}
        host = headers.get(b"host", b"").decode("latin-1")
        if self.hosts and _name(host) not in self.hosts:
            return (
                421,
                f"this service does not answer as {host!r}; reach it as {', '.join(sorted(self.hosts))}",
            )
        origin = headers.get(b"origin", b"").decode("latin-1")
        if scope["method"] in UNSAFE and origin and not self._allowed(origin, host):
            return (
                403,
                f"pages of {origin} may not send requests here; start the service with --origin {origin}",
            )
        length = headers.get(b"content-length", b"0")
        limit = self.limits.bulk_body if is_bulk(scope["path"]) else self.limits.body
        if not length.isdigit() or len(length) > _LONGEST_LENGTH:
            return 400, "the header Content-Length must be a number of bytes"
        return (413, _too_large(limit)) if int(length) > limit else None

    def _allowed(self, origin: str, host: str) -> bool:
        return origin in self.origins or origin.split("://", 1)[-1] == host


def is_bulk(path: str) -> bool:
    """Whether a request may be large and take long: bulk uploads, batches, and changes of the model."""
    return path.endswith(("/bulk", "/batch")) or path.startswith("/v1/models/")


def _too_large(limit: int) -> str:
    return f"the body has more than {limit:,} bytes; send less at once"


def _name(host: str) -> str:
    """The name in a Host header, in lower case and without the port.

    >>> _name("LocalHost:8000"), _name("[::1]:8000")
    ('localhost', '::1')
    """
    return (host[1:].split("]")[0] if host.startswith("[") else host.split(":")[0]).lower()


class _Body:
    """Receives a body up to a limit."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit, self._left = receive, limit, limit

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise HTTPException(413, _too_large(self._limit))
        return message


class _Answer:
    """Sends an answer with the secure headers, and remembers its status."""

    def __init__(self, send: Send, start: float) -> None:
        self._send, self.start = send, start
        self.begun, self.status = False, 500

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun, self.status = True, message["status"]
            present = {name for name, _ in message.get("headers", [])}
            more = [(k, v) for k, v in SECURE_HEADERS if k not in present]
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await self._send(message)
