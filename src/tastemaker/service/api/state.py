"""What routes take from the app that they belong to."""

from typing import Annotated

from fastapi import Depends, Request

from tastemaker.service.api.telemetry import Telemetry
from tastemaker.service.engine import Engine

__all__ = ["EngineOf", "TelemetryOf"]


async def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


async def _telemetry(request: Request) -> Telemetry:
    telemetry: Telemetry = request.app.state.telemetry
    return telemetry


EngineOf = Annotated[Engine, Depends(_engine)]
TelemetryOf = Annotated[Telemetry, Depends(_telemetry)]
