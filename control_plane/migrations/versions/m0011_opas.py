"""Which bundle each OPA has, as it last said."""

import sqlalchemy as sa
from alembic import op

from control_plane.migrations.columns import TEXT

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "opa",
        sa.Column("domain", TEXT, primary_key=True),
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("reporter", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("revision", sa.BigInteger),
        sa.Column("policy_digest", TEXT, nullable=False),
        sa.Column("problem", TEXT, nullable=False),
        sa.Column("heard", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("opa")
