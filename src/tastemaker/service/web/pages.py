"""The pages and the files that they need."""

from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, FastAPI, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from tastemaker.service.api.problems import ProblemError
from tastemaker.service.api.security import COOKIE, Access, Scope
from tastemaker.service.api.state import EngineOf, TelemetryOf
from tastemaker.service.web import art
from tastemaker.service.web.compare import comparison
from tastemaker.service.web.home import home, item_rows
from tastemaker.service.web.system import system
from tastemaker.service.web.templating import STATIC, environment, query_of
from tastemaker.service.web.view import card_of, features_of

__all__ = ["install"]

router = APIRouter(include_in_schema=False)
_FOUND = 60
_Text = Annotated[str | None, Query(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]


def install(app: FastAPI) -> None:
    """Add the pages to the app."""
    app.include_router(router)
    app.mount("/static", _Files(directory=STATIC), name="static")


class _Files(StaticFiles):
    """Files whose addresses change with them, so that browsers may keep them."""

    async def get_response(self, path: str, scope: Any) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers["cache-control"] = "public, max-age=31536000, immutable"
        return answer


@router.get("/")
async def home_page(request: Request, engine: EngineOf, user: _Text = None) -> Response:
    """A user's home screen; the first of the offered ones' by default."""
    people = request.app.state.people
    chosen = user or (people[0] if people else None)
    return await _page(request, "home.html", "recommend", lambda: home(engine, chosen))


@router.get("/item/{item_id:path}")
async def item_page(
    request: Request, engine: EngineOf, item_id: Annotated[str, Path(max_length=256)], user: _Text = None
) -> Response:
    """One item, with what is similar and what others took too."""

    async def content() -> dict[str, Any]:
        if not await engine.knows(item_id):
            raise HTTPException(404, f"The catalogue has no item {item_id!r}.")
        features = engine.features([item_id])[0]
        person = await engine.person(user)
        card = card_of(item_id, features, user, liked=item_id in person.liked)
        rows = await item_rows(engine, user, item_id)
        return {"page": "item", "user": user, "card": card, "features": features_of(features), "rows": rows}

    return await _page(request, "item.html", "recommend", content)


@router.get("/search")
async def search_page(
    request: Request, engine: EngineOf, q: Annotated[str, Query(max_length=200)] = "", user: _Text = None
) -> Response:
    """What the catalogue has with these words."""

    async def content() -> dict[str, Any]:
        found = await engine.search(q, _FOUND) if q.strip() else []
        cards = [card_of(item_id, features, user) for item_id, features in found]
        return {"page": "search", "user": user, "query": q, "cards": cards, "more": len(found) == _FOUND}

    return await _page(request, "search.html", "recommend", content)


@router.get("/compare")
async def compare_page(
    request: Request,
    engine: EngineOf,
    left: _Text = None,
    right: _Text = None,
    left_model: _Text = None,
    right_model: _Text = None,
    user: _Text = None,
) -> Response:
    """Two users' lists, or two models', side by side."""
    people = (*request.app.state.people, None, None)
    sides = ((left or user or people[0], left_model), (right or people[1], right_model))
    return await _page(request, "compare.html", "recommend", lambda: comparison(engine, sides, user))


@router.get("/system")
async def system_page(
    request: Request, engine: EngineOf, telemetry: TelemetryOf, user: _Text = None
) -> Response:
    """What the system does."""
    return await _page(request, "system.html", "admin", lambda: system(engine, telemetry, user))


@router.get("/art/{name}-{number}.svg")
async def poster(name: str, number: Annotated[str, Path(pattern="^[0-9a-f]{8}$")]) -> Response:
    """A generated cover."""
    if name not in art.PALETTES:
        raise HTTPException(404, f"there is no palette {name!r}")
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(art.draw(name, int(number, 16)), media_type="image/svg+xml", headers=headers)


@router.get("/favicon.ico")
async def favicon() -> Response:
    """The mark, for browsers that ask for it here."""
    return Response((STATIC / "mark.svg").read_bytes(), media_type="image/svg+xml")


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Remember the key of the one who sits before the browser."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    key, target = (form.get(name, [""])[0] for name in ("key", "next"))
    access: Access = request.app.state.access
    try:
        await access.known(request, key)
    except ProblemError as problem:
        told = "This key is not known here." if problem.status == 401 else problem.detail
        return _sign_in_page(told, target, problem.status)
    if not key.isascii():  # which opens a service that asks for none, but no cookie can hold
        return _sign_in_page("A key has no such letters.", target, 422)
    to = target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/"
    answer = RedirectResponse(to, 303)
    answer.set_cookie(
        COOKIE,
        key,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        max_age=30 * 86400,
    )
    return answer


async def _page(request: Request, template: str, scope: Scope, content: Any) -> Response:
    """A page, for those who may see it; else the way in."""
    access: Access = request.app.state.access
    try:
        await access.admit(request, request.cookies.get(COOKIE), scope)
    except ProblemError as problem:
        if problem.status != 401:
            return _told(request, problem.status, problem.detail)
        target = f"{request.url.path}?{request.url.query}".rstrip("?")
        return _sign_in_page("This service asks for a key: tastemaker keys create makes one.", target, 401)
    try:
        drawn = await content()
    except HTTPException as error:
        return _told(request, error.status_code, str(error.detail))
    return HTMLResponse(environment().get_template(template).render(_common(request, drawn)))


def _common(request: Request, drawn: dict[str, Any]) -> dict[str, Any]:
    return {"query": "", "people": request.app.state.people, "as_user": query_of(user=drawn["user"]), **drawn}


def _told(request: Request, status: int, detail: str) -> Response:
    title = {403: "Not with this key", 404: "Not here", 429: "Slower, please"}.get(
        status, "That did not work"
    )
    drawn = {"page": "problem", "user": None, "title": title, "detail": detail}
    return HTMLResponse(environment().get_template("problem.html").render(_common(request, drawn)), status)


def _sign_in_page(detail: str, target: str, status: int) -> Response:
    page = environment().get_template("signin.html").render(detail=detail, next=target)
    return HTMLResponse(page, status)
