"""Which leases each agent may hold, and what agents were at when they acknowledged."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_CLASSES = ("public", "internal", "confidential", "restricted")
# The one lease of before was no longer than this.
_LONGEST_BEFORE = timedelta(days=1)


def upgrade() -> None:
    """Add the columns; an agent that is known may have a lease of before."""
    op.add_column("agent", sa.Column("given", sa.JSON, nullable=False, server_default="[]"))
    op.add_column("acknowledgement", sa.Column("previous", sa.BigInteger))
    end = (datetime.now(UTC) + _LONGEST_BEFORE).isoformat()
    agent = sa.table("agent", sa.column("given", sa.JSON))
    op.execute(agent.update().values(given=[[0, dict.fromkeys(_CLASSES, end)]]))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("acknowledgement", "previous")
    op.drop_column("agent", "given")
