"""What goes to topics and what comes from them: the outbox, and where reading a topic stands."""

import sqlalchemy as sa
from alembic import op

from control_plane.migrations.columns import TEXT

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the outbox's one row, and the tables of the indexer."""
    outbox = op.create_table(
        "outbox",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("published", sa.BigInteger, nullable=False),
        sa.Column("holder", TEXT, nullable=False),
        sa.Column("held_until", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(outbox, [{"id": 1, "published": 0, "holder": "", "held_until": 0}])
    op.create_table(
        "topic_position",
        sa.Column("topic", TEXT, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("next", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "held_event",
        sa.Column("domain", TEXT, primary_key=True),
        sa.Column("agent", TEXT, primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("arrived", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "log_gap",
        sa.Column("domain", TEXT, primary_key=True),
        sa.Column("agent", TEXT, primary_key=True),
        sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("noticed", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "refused_record",
        sa.Column("topic", TEXT, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("problem", TEXT, nullable=False),
        sa.Column("noticed", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("refused_record", "log_gap", "held_event", "topic_position", "outbox"):
        op.drop_table(table)
