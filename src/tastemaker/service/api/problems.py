"""Errors as problem details (RFC 9457): one form for all of them, and nothing of the inside in any."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import Send

from tastemaker.errors import StoreUnavailable, TastemakerError

__all__ = [
    "MEDIA_TYPE",
    "PROBLEM_SCHEMA",
    "ProblemError",
    "install",
    "problem_response",
    "responses",
    "send_problem",
    "unavailable",
]

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger("tastemaker.service")

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "examples": ["about:blank"]},
        "title": {"type": "string", "examples": ["Unprocessable Content"]},
        "status": {"type": "integer", "examples": [422]},
        "detail": {"type": "string", "examples": ["k: Input should be less than or equal to 200 (got 1000)"]},
        "errors": {
            "type": "array",
            "description": "What is wrong where, for a body that does not fit its schema.",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


class ProblemError(Exception):
    """An answer that is an error.

    Attributes:
        status: the HTTP status.
        detail: what was received, what was expected, what to do.
        headers: of the answer.
        extra: further members of the problem.
    """

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.extra = status, detail, dict(headers or {}), extra


def _body(status: int, detail: str, extra: Mapping[str, Any] | None = None) -> bytes:
    """The problem as JSON.

    >>> _body(404, "there is no item 'x'")
    b'{"type":"about:blank","title":"Not Found","status":404,"detail":"there is no item \\'x\\'"}'
    """
    known = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return orjson.dumps(known | dict(extra or {}))


def problem_response(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any
) -> Response:
    """The answer that tells of a problem."""
    return Response(_body(status, detail, extra), status, dict(headers or {}), MEDIA_TYPE)


async def send_problem(
    send: Send, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> None:
    """The same from a middleware, before there is a request."""
    body = _body(status, detail)
    lines = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), **(headers or {})}
    raw = [(name.encode(), value.encode()) for name, value in lines.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of the errors of a route."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {s: {"description": HTTPStatus(s).phrase, "content": {MEDIA_TYPE: schema}} for s in statuses}


def install(app: FastAPI) -> None:
    """Answer every error of the app with a problem."""
    app.add_exception_handler(ProblemError, _of_problem)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(TastemakerError, _of_tastemaker)
    app.add_exception_handler(Exception, _of_surprise)


async def _of_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return problem_response(error.status, error.detail, headers=error.headers, **error.extra)


async def _of_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem_response(error.status_code, str(error.detail), headers=error.headers)


async def _of_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {
            "pointer": "/" + "/".join(map(str, e["loc"][1:])),
            "detail": f"{e['msg']} (got {_short(e.get('input'))})",
        }
        for e in error.errors()[:20]
    ]
    first = errors[0]
    return problem_response(422, f"{first['pointer']}: {first['detail']}", errors=errors)


async def _of_tastemaker(_: Request, error: Exception) -> Response:
    """What was asked cannot be done; or not now."""
    if isinstance(error, StoreUnavailable):
        problem = unavailable(error)
        return problem_response(problem.status, problem.detail, headers=problem.headers)
    return problem_response(422, str(error))


def unavailable(error: StoreUnavailable) -> ProblemError:
    """What is told of a store that is away: not where it is, which the log has."""
    _log.warning("%s", error)
    return ProblemError(503, "the store cannot do this now; try again later", headers={"retry-after": "1"})


async def _of_surprise(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem_response(500, "something went wrong here; it has been written to the service's log")


def _short(value: Any) -> str:
    """A value as an error message quotes it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
