"""What was in force when a rehearsal began is no longer kept: each agent's digests tell it."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Drop the column."""
    op.drop_column("rehearsal", "active")


def downgrade() -> None:
    """Add it again."""
    op.add_column(
        "rehearsal", sa.Column("active", sa.BigInteger, nullable=False, server_default="0")
    )
