"""Lists: for a user or a session, of given candidates, for many users, beside an item; and any of them again from the log."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import StreamingResponse

from tastemaker.service.api.models import (
    BatchRequest,
    HistoryEntry,
    Id,
    RankRequest,
    RecommendationRequest,
    RecommendationResponse,
)
from tastemaker.service.api.problems import ProblemError, responses
from tastemaker.service.api.security import needs
from tastemaker.service.api.state import EngineOf
from tastemaker.service.asks import Answer, Ask, Taken
from tastemaker.service.engine import Engine

__all__ = ["listed", "router"]

router = APIRouter(prefix="/v1", tags=["recommendations"], dependencies=[Depends(needs("recommend"))])
_ERRORS = responses(401, 403, 413, 422, 429, 503)
_IdPath = Annotated[str, Path(max_length=256)]


@router.post("/recommendations", response_model=RecommendationResponse, responses=_ERRORS)
async def recommend(body: RecommendationRequest, engine: EngineOf) -> Response:
    """The best items for a user, a session or next to given items; logged with the probability of each slot."""
    return await listed(body, engine)


async def listed(body: RecommendationRequest, engine: Engine) -> Response:
    """The answer to a request for a list."""
    return _sent(await engine.recommend(_ask(body, k=body.k, seeds=body.seed_items, source=body.source)))


@router.post("/rank", response_model=RecommendationResponse, responses=_ERRORS)
async def rank(body: RankRequest, engine: EngineOf) -> Response:
    """Candidates of one's own, put in order; what may not be shown is left out."""
    return _sent(await engine.recommend(_ask(body, k=body.k or len(body.items), allow=body.items)))


@router.post("/recommendations/batch", responses=_ERRORS | {200: {"content": {"application/x-ndjson": {}}}})
async def batch(body: BatchRequest, engine: EngineOf) -> StreamingResponse:
    """Lists for many users, one a line. They are not logged, and nothing is explored."""

    async def lines() -> AsyncIterator[bytes]:
        async for found in engine.batch(body.user_ids, body.k, body.filter):
            yield orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE)

    await engine.check_filter(body.filter)
    return StreamingResponse(lines(), media_type="application/x-ndjson")


@router.get(
    "/recommendations/{recommendation_id}",
    response_model=RecommendationResponse,
    responses=_ERRORS | responses(404),
)
async def replay(recommendation_id: _IdPath, engine: EngineOf) -> Response:
    """A list of the log, drawn again from its candidates, utilities and seed; it is the one that was shown, to the bit."""
    found = await engine.replay(recommendation_id)
    if found is None:
        raise ProblemError(404, f"there is no list {recommendation_id!r} in the log")
    return _sent(found)


@router.get(
    "/items/{item_id:path}/related", response_model=RecommendationResponse, responses=_ERRORS | responses(404)
)
async def related(
    item_id: _IdPath,
    engine: EngineOf,
    mode: Annotated[Literal["similar", "also_bought"], Query()] = "similar",
    k: Annotated[int, Query(ge=1, le=200)] = 10,
    user_id: Annotated[Id | None, Query()] = None,
    filter: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """What is similar to an item, or what those who took it also took; without what the user has had or dismissed."""
    if not await engine.knows(item_id):
        raise ProblemError(404, f"there is no item {item_id!r}")
    ask = Ask(k=k, user_id=user_id, seeds=(item_id,), source=mode, filter=filter, surface=f"item/{mode}")
    return _sent(await engine.recommend(ask))


def _ask(body: RecommendationRequest | RankRequest, **more: Any) -> Ask:
    allow, seeds = more.pop("allow", None), more.pop("seeds", ())
    return Ask(
        surface=body.surface,
        user_id=body.user_id,
        history=None if body.history is None else tuple(_taken(entry) for entry in body.history),
        seeds=tuple(seeds),
        allow=None if allow is None else tuple(allow),
        filter=body.filter,
        exclude=tuple(body.exclude),
        exclude_seen=body.exclude_seen,
        diversify=body.diversify,
        caps=body.caps,
        explore=body.explore,
        explain=body.explain,
        context=body.context,
        **more,
    )


def _taken(entry: HistoryEntry | str) -> Taken:
    return Taken(entry) if isinstance(entry, str) else Taken(entry.item_id, entry.weight, entry.time)


def _sent(answer: Answer) -> Response:
    return Response(orjson.dumps(answer.described()), media_type="application/json")
