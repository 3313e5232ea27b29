"""Running it: whether it lives, whether it can answer, what it counts, and which model serves."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from prometheus_client import CONTENT_TYPE_LATEST

from tastemaker.service.api.models import Health, ModelsResponse, ModelVersion
from tastemaker.service.api.problems import ProblemError, responses
from tastemaker.service.api.security import needs
from tastemaker.service.api.state import EngineOf, TelemetryOf

__all__ = ["router"]

router = APIRouter()
_admin = [Depends(needs("admin"))]
_ERRORS = responses(401, 403, 409, 429)


@router.get("/health", tags=["operations"])
async def health() -> Health:
    """Whether the process lives."""
    return Health(status="ok")


@router.get("/ready", tags=["operations"], responses=responses(503))
async def ready(engine: EngineOf) -> Health:
    """Whether it can answer, and what it does without at the moment."""
    degraded = await engine.degraded()
    return Health(status="degraded" if degraded else "ok", degraded=degraded)


@router.get("/metrics", tags=["operations"], dependencies=_admin, responses=responses(401, 403, 429))
async def metrics(telemetry: TelemetryOf, engine: EngineOf) -> Response:
    """Counters and times, in the text format of Prometheus."""
    telemetry.items.set(engine.n_items)
    return Response(telemetry.exposition(), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/models", tags=["models"], dependencies=_admin, responses=responses(401, 403, 429))
async def models(engine: EngineOf) -> ModelsResponse:
    """The saved versions, newest first, and which of them serves."""
    found = await asyncio.to_thread(engine.versions)
    return ModelsResponse(
        versions=[
            ModelVersion(version=v.name, models=list(v.models), serving=v.serving, saved=v.saved)
            for v in found
        ]
    )


@router.post("/v1/models/rollback", tags=["models"], dependencies=_admin, responses=_ERRORS)
async def roll_back(engine: EngineOf, telemetry: TelemetryOf) -> ModelsResponse:
    """Put the version that served before back into service."""
    before = engine.served_before
    if before is None:
        raise ProblemError(409, "no other version has served before this one")
    await asyncio.to_thread(engine.promote, before)
    telemetry.swaps.inc()
    return await models(engine)


@router.post(
    "/v1/models/{version}/promote",
    tags=["models"],
    dependencies=_admin,
    responses=_ERRORS | responses(404, 422),
)
async def promote(
    version: Annotated[str, Path(pattern=r"^v[0-9]{4,9}$")], engine: EngineOf, telemetry: TelemetryOf
) -> ModelsResponse:
    """Put a saved version into service. A damaged one is refused, and the one that serves goes on."""
    await asyncio.to_thread(engine.promote, version)
    telemetry.swaps.inc()
    return await models(engine)
