"""Events: what people did. Those accepted are on disk when the answer leaves; sending again is safe."""

import time
from typing import Any

import orjson
from fastapi import APIRouter, Depends, Request, Response

from tastemaker.service.api.models import EventIn, EventsResponse
from tastemaker.service.api.problems import ProblemError, responses
from tastemaker.service.api.security import needs
from tastemaker.service.api.state import EngineOf, TelemetryOf
from tastemaker.service.store import Event, Posted

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["events"], dependencies=[Depends(needs("events"))])
_MOST = 10_000
_KNOWN = frozenset(EventIn.model_fields)
_NEEDED = ("event_id", "user_id", "item_id", "kind")
_BODY = {
    "required": True,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/EventsRequest"}}},
}


@router.post(
    "/events",
    response_model=EventsResponse,
    responses=responses(400, 401, 403, 413, 422, 429, 503),
    openapi_extra={"requestBody": _BODY},
)
async def post_events(request: Request, engine: EngineOf, telemetry: TelemetryOf) -> Response:
    """Keep events. Each is accepted, known already, or rejected with the reason; one bad event does not cost the others."""
    events, places, rejected = _parsed(await request.body())
    posted = await engine.post(events) if events else Posted(0)
    bad = {at for at, _ in posted.rejected}
    good = [event for at, event in enumerate(events) if at not in bad] if bad else events
    rejected += [(places[at], reason) for at, reason in posted.rejected]
    telemetry.happened(
        [e.kind for e in good], sum(e.recommendation_id is not None for e in good), len(rejected)
    )
    answer = {
        "accepted": posted.accepted,
        "duplicates": [places[at] for at in posted.duplicates],
        "rejected": [{"index": index, "reason": reason} for index, reason in sorted(rejected)],
    }
    return Response(orjson.dumps(answer), media_type="application/json")


def _parsed(body: bytes) -> tuple[list[Event], list[int], list[tuple[int, str]]]:
    """The events, where each stood, and what has not the form of one. Their values are the store's to judge.

    Raises:
        ProblemError: if there are no events to look at.
    """
    now = time.time_ns() // 1000
    events, places, rejected = [], [], []
    for index, row in enumerate(_rows(body)):
        wrong = _complaint(row)
        if wrong is None:
            events.append(Event(**row | {"time": now if row.get("time") is None else row["time"]}))
            places.append(index)
        else:
            rejected.append((index, wrong))
    return events, places, rejected


def _rows(body: bytes) -> list[Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise ProblemError(400, "expected a JSON object with the key 'events', or one event")
    rows = found.get("events", [found])
    if not isinstance(rows, list) or len(rows) > _MOST:
        raise ProblemError(422, f"/events: expected a list of at most {_MOST:,} events")
    return rows


def _complaint(row: Any) -> str | None:
    """What keeps a value from being an event; None if nothing does.

    >>> _complaint({"event_id": "1", "user_id": "bob", "item": "tea", "kind": "view"})
    'item: an event has no such member'
    """
    if not isinstance(row, dict):
        return f"expected an object, got {row!r:.40}"
    if not row.keys() <= _KNOWN:
        first = min(row.keys() - _KNOWN)
        return f"{first}: an event has no such member"
    missing = [name for name in _NEEDED if name not in row]
    return f"{missing[0]}: missing" if missing else None
