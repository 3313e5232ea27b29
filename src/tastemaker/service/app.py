"""The application: API, pages and files, one engine behind them, one guard before them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

import tastemaker
from tastemaker.service.api import catalogue, events, operations, problems, recommendations
from tastemaker.service.api.documents import with_schemas
from tastemaker.service.api.express import Express
from tastemaker.service.api.guard import Guard, Limits
from tastemaker.service.api.security import Access, KeyFirst, check_listening
from tastemaker.service.engine import Engine
from tastemaker.service.web import pages

__all__ = ["Settings", "create_app"]

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_ABOUT = "Lists for people, from what they and others did; logged with the probability of every slot."


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the service listens.

    Attributes:
        host: the address to listen on.
        port: and the port.
        limits: of a request.
        origins: other origins whose pages may ask with a browser key.
        hosts: names under which it answers; empty: any, or this machine's alone when no key is needed.
        people: users to offer on the pages.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    limits: Limits = field(default_factory=Limits)
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    people: tuple[str, ...] = ()


def create_app(engine: Engine, settings: Settings | None = None) -> ASGIApp:
    """The application around an engine.

    Args:
        engine: with its store open and a model in service.
        settings: how it listens.

    Raises:
        TastemakerError: if it would be reached from other machines without a key.
    """
    settings = settings or Settings()
    keys = engine.store.keys
    is_open = check_listening(settings.host, sum(key.revoked is None for key in keys.all()))
    app = FastAPI(
        title="tastemaker",
        version=tastemaker.__version__,
        description=_ABOUT,
        docs_url=None,  # these pages would ask other hosts for their scripts
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.engine = engine
    app.state.telemetry = engine.telemetry
    app.state.access = access = Access(keys, is_open, settings.limits)
    app.state.people = settings.people
    problems.install(app)
    for module in (recommendations, events, catalogue, operations):
        app.include_router(module.router)
    pages.install(app)
    with_schemas(app)
    app.add_middleware(KeyFirst, access=access)
    origins = frozenset(origin.lower().rstrip("/") for origin in settings.origins)
    if origins:
        _allow_origins(app, origins)
    names = frozenset(map(str.lower, settings.hosts))
    if is_open and not names:
        names = _LOCAL_NAMES | {settings.host}
    express = Express(app, access, lambda wish: recommendations.listed(wish, engine))
    return Guard(express, settings.limits, origins, names, engine.telemetry.request)


def _allow_origins(app: FastAPI, origins: frozenset[str]) -> None:
    options: dict[str, Any] = {
        "allow_methods": ["GET", "POST"],
        "allow_headers": ["authorization", "content-type"],
    }
    app.add_middleware(CORSMiddleware, allow_origins=sorted(origins), max_age=3600, **options)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    engine: Engine = app.state.engine
    engine.start()
    yield
    await engine.stop()
