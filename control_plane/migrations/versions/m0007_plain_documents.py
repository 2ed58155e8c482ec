"""On PostgreSQL records are stored as they are: most of one is sealed and does not get smaller."""

from alembic import op

revision = "0007"
down_revision = "0006"

_TABLES = ("usage_event", "held_event")


def upgrade() -> None:
    """Don't try to compress, which took as long as storing."""
    _store("EXTERNAL")


def downgrade() -> None:
    """Try, as PostgreSQL does by itself."""
    _store("EXTENDED")


def _store(how: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in _TABLES:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN document SET STORAGE {how}")
