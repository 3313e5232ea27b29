"""``tastemaker serve``: the store, the models and the pages behind one address."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tastemaker.errors import TastemakerError, require

__all__ = ["EXAMPLE", "serve"]

EXAMPLE = (
    "Examples: `tastemaker serve` · `tastemaker serve --db sqlite:///shop.db --models shop-models` · "
    "`tastemaker serve --db postgresql://shop@localhost/shop --models shop-models --host 0.0.0.0`"
)
_out = Console(highlight=False)


def serve(
    folder: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Where the demonstration is kept, when neither --db nor --models is given."
        ),
    ] = Path("tastemaker-demo"),
    db: Annotated[
        str | None,
        typer.Option(
            metavar="URL", envvar="TASTEMAKER_DB", help="The store: sqlite:///FILE or postgresql://…"
        ),
    ] = None,
    models: Annotated[Path | None, typer.Option(metavar="DIR", help="The folder of saved models.")] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on; beyond this machine only with a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for any that is free.")] = 8000,
    person: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A user to offer on the pages; may be repeated.")
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="A site whose pages may ask with a browser key; may be repeated."),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="A host name to answer as; by default any. May be repeated."),
    ] = None,
) -> None:
    """Serve recommendations, events and the pages; without --db and --models, the generated world."""
    for module in ("fastapi", "uvicorn", "sqlalchemy", "jinja2", "orjson", "prometheus_client"):
        require(module, "service")
    from tastemaker.service.app import Settings, create_app
    from tastemaker.service.demo import PEOPLE, fill
    from tastemaker.service.engine import Engine
    from tastemaker.service.run import run
    from tastemaker.service.store import Store

    if (db is None) != (models is None):
        raise TastemakerError("give both --db and --models, or neither for the demonstration")
    if db is None or models is None:
        folder.mkdir(parents=True, exist_ok=True)
        db, models = f"sqlite:///{folder / 'tastemaker.db'}", folder / "models"
        person = person or list(PEOPLE)
    with Store.open(db) as store:
        if not (models / "CURRENT").exists() and models.parent == folder:
            _out.print("making the generated world and fitting models on it, once …")
            fill(store, models)
        people = tuple(person or [user.user_id for user in store.search_users("", 20)])
        settings = Settings(
            host=host, port=port, origins=tuple(origin or ()), hosts=tuple(name or ()), people=people
        )
        engine = Engine.open(store, models)
        run(create_app(engine, settings), settings, lambda url: _out.print(f"serving [bold]{escape(url)}[/]"))
