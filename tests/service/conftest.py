"""A small shop with a store, models and an engine, and the application around it, without a socket."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tastemaker.service.app import Settings, create_app
from tastemaker.service.demo import fill
from tastemaker.service.engine import Engine
from tastemaker.service.store import Store


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated world, made once."""
    folder = tmp_path_factory.mktemp("demo")
    with Store.open(f"sqlite:///{folder}/tastemaker.db") as store:
        fill(store, folder / "models", users=80, items=150)
    return folder


class Shop:
    """The application, asked as a client would; an event loop of its own lets time pass between requests only."""

    def __init__(self, folder: Path, settings: Settings | None = None, key: str | None = None) -> None:
        self.folder = folder
        self.store = Store.open(f"sqlite:///{folder}/tastemaker.db")
        self.engine = Engine.open(self.store, folder / "models")
        self.engine.deadline = self.engine.people.deadline = (
            60.0  # on a busy machine, too, nothing is left out
        )
        settings = settings or Settings(people=("alice", "bob"))
        settings = replace(settings, limits=replace(settings.limits, seconds=600.0))
        self.app = create_app(self.engine, settings)
        self.headers = {} if key is None else {"authorization": f"Bearer {key}"}
        self._runner = asyncio.Runner()
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://localhost")

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        headers = self.headers | options.pop("headers", {})
        return self._runner.run(self._client.request(method, path, json=body, headers=headers, **options))

    def run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)

    def list_for(self, user: str | None = None, **options: Any) -> dict[str, Any]:
        answer = self.ask("POST", "/v1/recommendations", {"user_id": user, **options})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()
        self.store.close()


@pytest.fixture
def make_shop(demo_folder: Path, tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    """Shops over copies of the generated world."""
    made: list[Shop] = []

    def make(settings: Settings | None = None, key: str | None = None, prepare: Any = None) -> Shop:
        folder = Path(tempfile.mkdtemp(dir=tmp_path)) / "shop"
        shutil.copytree(demo_folder, folder)
        if prepare is not None:
            with Store.open(f"sqlite:///{folder}/tastemaker.db") as store:
                key = prepare(store)
        made.append(Shop(folder, settings, key))
        return made[-1]

    yield make
    for shop in made:
        shop.close()


@pytest.fixture
def shop(make_shop: Callable[..., Shop]) -> Shop:
    """One shop, open to its own machine."""
    return make_shop()
