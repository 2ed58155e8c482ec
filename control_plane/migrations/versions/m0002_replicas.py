"""Several control planes on one database: which serve, whose sessions are whose, and their keys."""

import sqlalchemy as sa
from alembic import op

from control_plane.migrations.columns import TEXT

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the replicas' tables; sessions of before belong to no replica, so they are over."""
    op.create_table(
        "replica",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "signing_key",
        sa.Column("use", TEXT, primary_key=True),
        sa.Column("id", TEXT, nullable=False),
    )
    op.add_column("agent", sa.Column("session_replica", TEXT))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("agent", "session_replica")
    op.drop_table("signing_key")
    op.drop_table("replica")
