"""The index of reads, and which classes of columns were read of an entry's products."""

import sqlalchemy as sa
from alembic import op

from control_plane.migrations.columns import TEXT

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the index, one row for each dataset of a read."""
    op.create_table(
        "dataset_read",
        sa.Column("receipt", TEXT, primary_key=True),
        sa.Column("domain", TEXT, primary_key=True),
        sa.Column("agent", TEXT, primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("product", TEXT, nullable=False),
        sa.Column("dataset", TEXT, nullable=False),
        sa.Column("purpose", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("product_classes", sa.Integer, nullable=False),
        sa.Column("read_classes", sa.Integer, nullable=False),
    )
    op.create_index("dataset_read_by_time", "dataset_read", ["time"])
    op.create_index("dataset_read_by_actor", "dataset_read", ["actor", "time"])
    op.create_index("dataset_read_by_product", "dataset_read", ["product", "time"])
    op.add_column(
        "entry_product", sa.Column("classes", sa.Integer, nullable=False, server_default="0")
    )


def downgrade() -> None:
    """Drop what `upgrade` adds."""
    with op.batch_alter_table("entry_product") as table:
        table.drop_column("classes")
    op.drop_table("dataset_read")
