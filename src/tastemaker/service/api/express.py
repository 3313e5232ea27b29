"""The call that comes a hundred times a second, past the framework.

Routing, dependencies and validation of FastAPI take a good part of the time of a list. A plain request for one is answered here
by the same function; whatever is out of the ordinary, errors above all, goes the usual way and is answered there.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tastemaker.service.api.models import RecommendationRequest
from tastemaker.service.api.security import Access

__all__ = ["Express"]

_PATH: Final = "/v1/recommendations"


class _Route:
    """As the telemetry looks at a route."""

    path = _PATH


@dataclass(frozen=True, eq=False)
class Express:
    """The layer before the app.

    Attributes:
        app: the usual way.
        access: who may ask.
        answer: the route's own function, but for the framework.
    """

    app: ASGIApp
    access: Access
    answer: Callable[[RecommendationRequest], Awaitable[Response]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a plain request for a list; hand on all others."""
        if not _is_plain(scope):
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            await self.access.admit(
                request, request.headers.get("authorization", "")[7:] or None, "recommend"
            )
            wish = RecommendationRequest.model_validate_json(await request.body())
            found = await self.answer(wish)
        except ClientDisconnect:
            return
        except Exception:  # whatever it is, the usual way meets it again, and knows how to tell it
            await self.app(scope, _Again(request, receive), send)
            return
        scope["route"] = _Route
        await found(scope, receive, send)


def _is_plain(scope: Scope) -> bool:
    """Whether a request asks for a list, as JSON of a known length, without a cookie, and not from a page."""
    if scope["type"] != "http" or scope["path"] != _PATH or scope["method"] != "POST":
        return False
    headers: dict[bytes, bytes] = dict(scope["headers"])
    bearer = headers.get(b"authorization", b"Bearer ").startswith(b"Bearer ")
    json = headers.get(b"content-type") == b"application/json" and b"content-length" in headers
    return json and bearer and b"origin" not in headers and b"cookie" not in headers


@dataclass(eq=False)
class _Again:
    """Receives a body once more, as far as it has been read; then what follows it."""

    request: Request
    receive: Receive
    told: bool = False

    async def __call__(self) -> Message:
        body: Any = getattr(self.request, "_body", None)
        if self.told or body is None:
            return await self.receive()
        self.told = True
        return {"type": "http.request", "body": body, "more_body": False}
