"""Events: what people did. Those accepted are on disk when the answer leaves; sending again is safe."""

import time
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import TypeAdapter, ValidationError

from tastemaker.service.api.models import EventIn, EventsRequest, EventsResponse, Rejected
from tastemaker.service.api.problems import ProblemError, responses
from tastemaker.service.api.security import needs
from tastemaker.service.api.state import EngineOf, TelemetryOf
from tastemaker.service.store import Event

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["events"], dependencies=[Depends(needs("events"))])
_MOST = 10_000
_one, _many, _loose = TypeAdapter(EventIn), TypeAdapter(EventsRequest), TypeAdapter(dict[str, Any])
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
    posted = await engine.post(events) if events else None
    if posted is not None:
        rejected += [Rejected(index=places[at], reason=reason) for at, reason in posted.rejected]
    duplicates = [places[at] for at in posted.duplicates] if posted is not None else []
    telemetry.happened(
        [e.kind for e in events],
        sum(e.recommendation_id is not None for e in events),
        "rejected" if rejected else "ok",
    )
    answer = EventsResponse(
        accepted=posted.accepted if posted is not None else 0,
        duplicates=duplicates,
        rejected=sorted(rejected, key=lambda r: r.index),
    )
    return Response(answer.__pydantic_serializer__.to_json(answer), media_type="application/json")


def _parsed(body: bytes) -> tuple[list[Event], list[int], list[Rejected]]:
    """The events that have the right form, where each stood, and what is wrong with the others.

    Raises:
        ProblemError: if there are no events to look at.
    """
    now = time.time_ns() // 1000
    try:
        good = _many.validate_json(body).events
        return [_event(e, now) for e in good], list(range(len(good))), []
    except ValidationError:
        pass
    events, places, rejected = [], [], []
    for index, row in enumerate(_rows(body)):
        try:
            events.append(_event(_one.validate_python(row), now))
            places.append(index)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = "/".join(map(str, first["loc"])) or "the event"
            rejected.append(Rejected(index=index, reason=f"{where}: {first['msg']}"))
    return events, places, rejected


def _rows(body: bytes) -> list[Any]:
    try:
        found = _loose.validate_json(body)
    except ValidationError as error:
        raise ProblemError(400, "expected a JSON object with the key 'events', or one event") from error
    rows = found.get("events", [found])
    if not isinstance(rows, list) or len(rows) > _MOST:
        raise ProblemError(422, f"/events: expected a list of at most {_MOST:,} events")
    return rows


def _event(e: EventIn, now: int) -> Event:
    return Event(
        event_id=e.event_id,
        user_id=e.user_id,
        item_id=e.item_id,
        kind=e.kind,
        time=now if e.time is None else e.time,
        value=e.value,
        recommendation_id=e.recommendation_id,
        slot=e.slot,
        session_id=e.session_id,
        context=e.context,
    )
