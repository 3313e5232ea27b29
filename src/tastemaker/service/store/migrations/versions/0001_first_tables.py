"""The first tables."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make all tables, and the salt of this store."""
    _events_and_decisions()
    _items_and_users()
    op.create_table(
        "keys",
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("revoked", sa.BigInteger),
    )
    settings = op.create_table(
        "settings",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.bulk_insert(settings, [{"name": "salt", "value": secrets.token_hex(32)}])


def _events_and_decisions() -> None:
    op.create_table(
        "events",
        sa.Column("sequence", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("recommendation_id", sa.Text),
        sa.Column("slot", sa.Integer),
        sa.Column("session_id", sa.Text),
        sa.Column("context", sa.Text),
        sa.UniqueConstraint("event_id", name="events_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("events_of_user", "events", ["user_id", "time"])
    op.create_table(
        "decisions",
        sa.Column("recommendation_id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text),
        sa.Column("history", sa.Text, nullable=False),
        sa.Column("surface", sa.Text, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("policy_version", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("k", sa.Integer, nullable=False),
        sa.Column("slots", sa.Text, nullable=False),
        sa.Column("log_probability", sa.Double, nullable=False),
        sa.Column("candidates", sa.LargeBinary, nullable=False),
        sa.Column("utilities", sa.LargeBinary, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("meta", sa.Text, nullable=False),
    )
    op.create_index("decisions_of_user", "decisions", ["user_id"])


def _items_and_users() -> None:
    op.create_table(
        "items",
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("features", sa.Text, nullable=False),
        sa.Column("search", sa.Text, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("deleted", sa.BigInteger),
    )
    op.create_table(
        "users",
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("features", sa.Text, nullable=False),
        sa.Column("search", sa.Text, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "features",
        sa.Column("table", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
    )
    op.create_table(
        "erased",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("returned", sa.BigInteger),
    )
