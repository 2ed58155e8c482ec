"""What else came under an agent's sequences, and how many more records were refused."""

import sqlalchemy as sa
from alembic import op

from control_plane.migrations.columns import TEXT

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "candidate_record",
        sa.Column("domain", TEXT, primary_key=True),
        sa.Column("agent", TEXT, primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("leaf", sa.LargeBinary, primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("displaced", sa.Boolean, nullable=False),
        sa.Column("noticed", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "refused_count",
        sa.Column("topic", TEXT, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("noted", sa.BigInteger, nullable=False),
        sa.Column("more", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("refused_count", "candidate_record"):
        op.drop_table(table)
