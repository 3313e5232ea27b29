"""The commands about the service's database: its keys, its tables, its contents as files."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tastemaker.errors import DataError, require

if TYPE_CHECKING:
    from tastemaker.service.store import Store

__all__ = ["DEFAULT", "Database", "db", "export", "keys", "open_store"]

DEFAULT = "sqlite:///tastemaker.db"
Database = Annotated[
    str,
    typer.Option(
        "--db",
        metavar="URL",
        envvar="TASTEMAKER_DB",
        help="The database: sqlite:///FILE or postgresql://USER@HOST/NAME.",
    ),
]
out = Console(highlight=False, soft_wrap=True)
keys = typer.Typer(help="Keys to the service.", no_args_is_help=True)
db = typer.Typer(help="The service's database.", no_args_is_help=True)


def open_store(url: str, *, upgrade: bool = False) -> "Store":
    """The store in a database.

    Raises:
        MissingExtraError: if what the store needs is not installed.
        StoreError: if there is none, or one of another version.
    """
    for module in ("sqlalchemy", "alembic"):
        require(module, "service")
    from tastemaker.service.store import Store

    return Store.open(url, upgrade=upgrade)


@keys.command(epilog="Example: `tastemaker keys create shop --scope recommend --scope events`")
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    scope: Annotated[
        list[str],
        typer.Option(metavar="SCOPE", help="recommend, events, catalogue or admin; may be repeated."),
    ],
    url: Database = DEFAULT,
) -> None:
    """Make a key and print it: once, for only its hash is kept. A new database is made if there is none."""
    with open_store(url, upgrade=True) as store:
        _, text = store.keys.create(name, scope)
    typer.echo(text)


@keys.command("list", epilog="Example: `tastemaker keys list`")
def list_keys(url: Database = DEFAULT) -> None:
    """List the keys: whose they are, what they open, whether they still do."""
    table = Table(box=None, header_style="bold")
    for column in ("id", "name", "scopes", "made", "revoked"):
        table.add_column(column)
    with open_store(url) as store:
        for key in store.keys.all():
            revoked = "" if key.revoked is None else _day(key.revoked)
            table.add_row(
                key.key_id, escape(key.name), ", ".join(sorted(key.scopes)), _day(key.created), revoked
            )
    out.print(table)


@keys.command(epilog="Example: `tastemaker keys revoke 1f0c9a3e`")
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id: see `tastemaker keys list`.")],
    url: Database = DEFAULT,
) -> None:
    """Have a key open nothing any more; in a service that runs, within a second."""
    with open_store(url) as store:
        if not store.keys.revoke(key_id):
            raise DataError(f"there is no key {key_id!r} that opens anything; see: tastemaker keys list")
    out.print(f"revoked {escape(key_id)}")


@db.command(epilog="Example: `tastemaker db upgrade --db sqlite:///tastemaker.db`")
def upgrade(url: Database = DEFAULT) -> None:
    """Bring the tables to the version that this program works with, making them if there are none."""
    open_store(url, upgrade=True).close()
    from tastemaker.service.store.upgrade import newest_version

    out.print(f"the tables have version {newest_version()}")


@db.command(epilog="Example: `tastemaker db vacuum`")
def vacuum(url: Database = DEFAULT) -> None:
    """Write the database's files anew, so that no byte of users who were erased remains. Do it when there is little to do."""
    with open_store(url) as store:
        store.vacuum()
    out.print("nothing that was erased remains in the files")


@db.command(epilog="Example: `tastemaker db prune --older-than 90d`, then `tastemaker db vacuum`")
def prune(
    older_than: Annotated[str, typer.Option(metavar="AGE", help="Such as 90d, 12w or 36h.")],
    url: Database = DEFAULT,
) -> None:
    """Delete old lists from the log. What people did stays, but old lists cannot be drawn or judged again."""
    age = _age(older_than)
    with open_store(url) as store:
        deleted = store.prune(time.time_ns() // 1000 - age)
    out.print(f"{deleted:,} lists from more than {escape(older_than)} ago are no longer in the log")


def _age(text: str) -> int:
    """Microseconds.

    >>> _age("36h") // 3_600_000_000
    36
    """
    number, unit = text[:-1], text[-1:]
    hours = {"h": 1, "d": 24, "w": 168}.get(unit)
    if hours is None or not number.isdecimal() or int(number) == 0:
        raise DataError(f"--older-than: expected a number of days, weeks or hours such as 90d, got {text!r}")
    return int(number) * hours * 3_600_000_000


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for the files.")],
    url: Database = DEFAULT,
) -> None:
    """Write events, decisions, items and users into Parquet files, all of one moment."""
    with open_store(url) as store:
        counts = store.export(folder)
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    out.print(f"{said} in {escape(str(folder))}")


def _day(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")
