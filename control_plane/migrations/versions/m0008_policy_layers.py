"""What was pushed for each layer of the policy, what of it is in force, and what was made of it."""

import sqlalchemy as sa
from alembic import op

from control_plane.migrations.columns import TEXT

revision = "0008"
down_revision = "0007"

_ADDED = (
    ("layer", TEXT, "library"),
    ("chosen", sa.BigInteger, "0"),
    ("kind", TEXT, "activated"),
    ("actor", TEXT, "service:meshwarden"),
    ("agents", sa.JSON, "[]"),
    ("accepted", sa.JSON, "[]"),
)


def upgrade() -> None:
    """Create the tables; what was active until now is the library's layer."""
    with op.batch_alter_table("policy_activation") as table:
        for name, kind, before in _ADDED:
            table.add_column(sa.Column(name, kind, nullable=False, server_default=before))
    op.create_table(
        "policy_revision",
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("layer", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("commit_id", TEXT, nullable=False),
        sa.Column("dirty", sa.Boolean, nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("based_on", sa.BigInteger, nullable=False),
        sa.Column("checks", sa.JSON, nullable=False),
    )
    op.create_table(
        "policy_layer",
        sa.Column("layer", TEXT, primary_key=True),
        sa.Column("active", sa.BigInteger, nullable=False),
        sa.Column("staged", sa.BigInteger, nullable=False),
        sa.Column("agents", sa.JSON, nullable=False),
    )
    op.create_table(
        "policy_assembly",
        sa.Column("digest", TEXT, primary_key=True),
        sa.Column("library", TEXT, nullable=False),
        sa.Column("organisation", TEXT, nullable=False),
        sa.Column("domain", TEXT, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("activated", sa.BigInteger, nullable=False),
    )
    for statement in _KEPT:
        op.execute(statement)


def downgrade() -> None:
    """Drop them; what is left in force is the library alone."""
    for name in ("policy_assembly", "policy_layer", "policy_revision"):
        op.drop_table(name)
    op.execute("DELETE FROM policy_activation WHERE layer <> 'library'")
    with op.batch_alter_table("policy_activation") as table:
        for name, _, _ in _ADDED:
            table.drop_column(name)


_KEPT = (
    "UPDATE policy_activation SET chosen = revision",
    "INSERT INTO policy_revision (revision, layer, digest, author, time, commit_id, dirty, message,"
    " based_on, checks) SELECT revision, layer, digest, actor, activated, '', false, '', 0, '[]'"
    " FROM policy_activation",
    "INSERT INTO policy_layer (layer, active, staged, agents) SELECT layer, MAX(revision), 0, '[]'"
    " FROM policy_activation GROUP BY layer",
    "INSERT INTO policy_assembly (digest, library, organisation, domain, revision, activated)"
    " SELECT digest, digest, '', '', MAX(revision), MAX(activated) FROM policy_activation"
    " GROUP BY digest",
)
