"""The version of the tables, and their upgrade by migrations that come with the package."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from tastemaker.errors import StoreError
from tastemaker.service.store.database import Database

__all__ = ["newest_version", "require_newest", "upgrade", "version"]


def newest_version() -> str:
    """The version of the tables that this package works with."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    assert newest is not None  # there is at least one migration
    return newest


def version(database: Database) -> str | None:
    """The version of the tables in the database; None if it has none."""
    with database.reading() as connection:
        return _version(connection)


def upgrade(database: Database) -> bool:
    """Bring the tables to the newest version, in one transaction; whether there was anything to do.

    Raises:
        StoreError: if a newer version of the package made them.
        StoreUnavailable: if they cannot be written.
    """
    if _known(version(database)) == newest_version():
        return False
    with database.writing() as connection:  # alone: another process may have been quicker
        if _known(_version(connection)) == newest_version():
            return False
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return True


def require_newest(database: Database) -> None:
    """Raise a StoreError unless the tables have the newest version."""
    there = _known(version(database))
    if there != newest_version():
        what = "has no tables" if there is None else f"has tables of version {there}"
        raise StoreError(
            f"the database {what}, and this program works with {newest_version()}; run: tastemaker db upgrade"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    return config


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _known(there: str | None) -> str | None:
    """The version, if the migrations of this package lead to it."""
    ours = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if there is not None and there not in ours:
        raise StoreError(
            f"the database has tables of version {there}, which a newer tastemaker made; this one knows "
            f"{newest_version()} and leaves them alone: install the newer one"
        )
    return there
