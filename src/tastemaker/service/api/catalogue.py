"""Items and users: one by one, and many at once as NDJSON or Parquet."""

import asyncio
import io
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar

import orjson
import polars as pl
import polars.selectors as cs
from fastapi import APIRouter, Depends, Path, Query, Request

from tastemaker.service.api.models import (
    ErasedUser,
    Found,
    ItemIn,
    ItemOut,
    Rejected,
    UserIn,
    UserOut,
    Written,
)
from tastemaker.service.api.problems import ProblemError, responses
from tastemaker.service.api.security import needs
from tastemaker.service.api.state import EngineOf
from tastemaker.service.engine import Engine
from tastemaker.service.store import Item, RejectedRows, User

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["catalogue"], dependencies=[Depends(needs("catalogue"))])
_ERRORS = responses(401, 403, 413, 422, 429, 503)
_GONE = responses(404)
_IdPath = Annotated[str, Path(max_length=256)]
_CHUNK = 1000
Row = TypeVar("Row", Item, User)


@router.put("/items/{item_id:path}", responses=_ERRORS)
async def put_item(item_id: _IdPath, body: ItemIn, engine: EngineOf) -> Written:
    """Put an item in place of what was known of it; it can be recommended at once."""
    return Written(written=await engine.put_items([Item(item_id, body.features)]))


@router.get("/items", responses=_ERRORS)
async def find_items(
    engine: EngineOf,
    q: Annotated[str, Query(max_length=200)],
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Found:
    """Items with these words."""
    found = await engine.search(q, limit)
    return Found(items=[ItemOut(item_id=item_id, features=dict(features)) for item_id, features in found])


@router.get("/items/{item_id:path}", responses=_ERRORS | _GONE)
async def get_item(item_id: _IdPath, engine: EngineOf) -> ItemOut:
    """What is known of an item."""
    item = await engine.item(item_id)
    if item is None:
        raise ProblemError(404, f"there is no item {item_id!r}")
    return ItemOut(item_id=item.item_id, features=dict(item.features))


@router.delete("/items/{item_id:path}", responses=_ERRORS | _GONE)
async def delete_item(item_id: _IdPath, engine: EngineOf) -> Written:
    """Delete an item: it is not shown any more. What people did with it stays."""
    if not await engine.delete_item(item_id):
        raise ProblemError(404, f"there is no item {item_id!r}")
    return Written(written=1)


@router.put("/users/{user_id:path}", responses=_ERRORS)
async def put_user(user_id: _IdPath, body: UserIn, engine: EngineOf) -> Written:
    """Put a user in place of what was known of them."""
    return Written(written=await engine.put_users([User(user_id, body.features)]))


@router.get("/users/{user_id:path}", responses=_ERRORS | _GONE)
async def get_user(user_id: _IdPath, engine: EngineOf) -> UserOut:
    """What is known of a user."""
    user = await engine.user(user_id)
    if user is None:
        raise ProblemError(404, f"there is no user {user_id!r}")
    return UserOut(user_id=user.user_id, features=dict(user.features))


@router.delete("/users/{user_id:path}", responses=_ERRORS, dependencies=[Depends(needs("admin"))])
async def erase_user(user_id: _IdPath, engine: EngineOf) -> ErasedUser:
    """Remove every trace of a user from the store and the log. What fitted models hold goes with the next fit."""
    gone = await engine.erase_user(user_id)
    return ErasedUser(
        events=gone.events,
        decisions=gone.decisions,
        users=gone.users,
        note="models that are fitted already keep what they learned of this user until they are fitted anew",
    )


@router.post("/{table}/bulk", responses=_ERRORS | responses(400))
async def put_many(table: Literal["items", "users"], request: Request, engine: EngineOf) -> Written:
    """Put many: NDJSON, one object a line with ``item_id`` (or ``user_id``) and ``features`` or the features beside it; or
    Parquet, one column a feature (content type ``application/vnd.apache.parquet``)."""
    body = await request.body()
    parquet = "parquet" in request.headers.get("content-type", "")
    key = "item_id" if table == "items" else "user_id"
    rows = await asyncio.to_thread(
        _from_parquet if parquet else _from_lines, body
    )  # others need not wait for it
    make: Callable[[str, dict[str, Any]], Any] = Item if table == "items" else User
    good, places, rejected = [], [], []
    for place, row in enumerate(rows):
        if isinstance(row, dict) and isinstance(row.get(key), str):
            features = row.get("features")
            rest = {name: value for name, value in row.items() if name not in (key, "features")}
            good.append(make(row[key], features if isinstance(features, dict) else rest))
            places.append(place)
        else:
            rejected.append(Rejected(index=place, reason=f"expected an object with the text {key!r}"))
    written = 0
    for start in range(0, len(good), _CHUNK):
        chunk, at = good[start : start + _CHUNK], places[start : start + _CHUNK]
        count, refused = await _put(engine, table, chunk)
        written += count
        rejected += [Rejected(index=at[place], reason=reason) for place, reason in refused]
    return Written(written=written, rejected=sorted(rejected, key=lambda r: r.index))


async def _put(engine: Engine, table: str, rows: Sequence[Any]) -> tuple[int, Sequence[tuple[int, str]]]:
    """Put what can be put."""
    put = engine.put_items if table == "items" else engine.put_users
    try:
        return await put(rows), ()
    except RejectedRows as error:
        bad = {place for place, _ in error.rejected}
        left = [row for place, row in enumerate(rows) if place not in bad]
        return (await put(left) if left else 0), error.rejected


def _from_lines(body: bytes) -> list[Any]:
    found: list[Any] = []
    for number, line in enumerate(body.splitlines(), 1):
        if line.strip():
            try:
                found.append(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                raise ProblemError(400, f"line {number} is not JSON: {error}") from error
    return found


def _from_parquet(body: bytes) -> list[Any]:
    """Rows as JSON has them: times and dates as text (ISO 8601, UTC), decimals as floats."""
    utc = [
        cs.datetime(time_zone=None).dt.replace_time_zone("UTC"),
        cs.datetime(time_zone="*").dt.convert_time_zone("UTC"),
    ]
    as_json = [
        cs.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
        cs.date().cast(pl.String),
        cs.decimal().cast(pl.Float64),
    ]
    try:
        return pl.read_parquet(io.BytesIO(body)).with_columns(*utc).with_columns(*as_json).to_dicts()
    except pl.exceptions.PolarsError as error:
        raise ProblemError(400, f"the body is not a Parquet file: {str(error).splitlines()[0]}") from error
