"""The OpenAPI document, with the schemas that no signature mentions."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from tastemaker.service.api.models import EventsRequest, ItemIn, UserIn
from tastemaker.service.api.problems import PROBLEM_SCHEMA

__all__ = ["with_schemas"]

_READ_RAW = (EventsRequest, ItemIn, UserIn)


def with_schemas(app: FastAPI) -> None:
    """Let ``/openapi.json`` tell of problems, and of bodies that routes read for themselves."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            _, raw = models_json_schema(
                [(model, "validation") for model in _READ_RAW], ref_template="#/components/schemas/{model}"
            )
            schemas = made.setdefault("components", {}).setdefault("schemas", {})
            made["components"]["schemas"] = {**raw["$defs"], **schemas, "Problem": PROBLEM_SCHEMA}
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
