"""Rehearsals of what was pushed, and what agents found."""

import sqlalchemy as sa
from alembic import op

from control_plane.migrations.columns import TEXT

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "rehearsal",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False, index=True),
        sa.Column("starter", TEXT, nullable=False),
        sa.Column("started", sa.BigInteger, nullable=False),
        sa.Column("active", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "rehearsal_agent",
        sa.Column("rehearsal", TEXT, primary_key=True),
        sa.Column("agent", TEXT, primary_key=True),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("base", TEXT, nullable=False),
        sa.Column("reported", sa.Boolean, nullable=False),
        sa.Column("distinct_inputs", sa.BigInteger, nullable=False),
        sa.Column("reads", sa.BigInteger, nullable=False),
        sa.Column("unreadable", sa.BigInteger, nullable=False),
        sa.Column("more", sa.BigInteger, nullable=False),
        sa.Column("problem", TEXT, nullable=False),
        sa.Column("findings", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("rehearsal_agent", "rehearsal"):
        op.drop_table(table)
