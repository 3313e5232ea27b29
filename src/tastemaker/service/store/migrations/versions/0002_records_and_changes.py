"""Keep what a list was drawn from once, as bytes; number the changes of items; find dismissals without reading all events."""

import json
from base64 import b64decode

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_AT_ONCE = 1000


def upgrade() -> None:
    """Bring tables of the first version forward."""
    _one_record()
    op.add_column("items", sa.Column("change", sa.BigInteger, nullable=False, server_default="0"))
    op.create_index("items_by_change", "items", ["change"])
    op.execute("UPDATE items SET change = 1")
    op.execute("INSERT INTO settings (name, value) VALUES ('changes', '1')")
    only = sa.text("kind = 'dismiss'")
    op.create_index("events_dismissed", "events", ["sequence"], sqlite_where=only, postgresql_where=only)


def _one_record() -> None:
    """Move the records out of the requests; candidates and utilities are in them."""
    op.add_column("decisions", sa.Column("record", sa.LargeBinary))
    table = sa.table(
        "decisions",
        sa.column("recommendation_id", sa.Text),
        sa.column("request", sa.Text),
        sa.column("record", sa.LargeBinary),
    )
    connection = op.get_bind()
    ids = list(connection.scalars(sa.select(table.c.recommendation_id)))
    for start in range(0, len(ids), _AT_ONCE):
        those = table.c.recommendation_id.in_(ids[start : start + _AT_ONCE])
        for id_, text in connection.execute(
            sa.select(table.c.recommendation_id, table.c.request).where(those)
        ).all():
            request = json.loads(text)
            if record := request.pop("record", None):
                moved = {"request": json.dumps(request, ensure_ascii=False), "record": b64decode(record)}
                connection.execute(table.update().where(table.c.recommendation_id == id_).values(moved))
    for name in ("candidates", "utilities"):
        op.drop_column("decisions", name)
