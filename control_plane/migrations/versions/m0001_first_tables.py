"""The first tables."""

import sqlalchemy as sa
from alembic import op

from control_plane.migrations.columns import TEXT

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table, and the one row whose lock orders commits."""
    _timeline()
    _audit()
    _vault()
    _governance()
    _agreements()
    _policies()
    _agents()


def downgrade() -> None:
    """Drop every table."""
    for table in (
        "join_token",
        "acknowledgement",
        "agent",
        "policy_activation",
        "policy_module",
        "agreement",
        "contract",
        "purpose",
        "agreement_read",
        "receipt",
        "erasure_agent",
        "erasure",
        "principal_key",
        "usage_event",
        "entry_product",
        "entry",
        "counter",
    ):
        op.drop_table(table)


def _timeline() -> None:
    counter = op.create_table(
        "counter",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counter, [{"id": 1, "revision": 0, "position": 0}])
    op.create_table(
        "entry",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False, unique=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("domain", TEXT),
        sa.Column("agent", TEXT, nullable=False),
        sa.Column("product", TEXT, nullable=False),
        sa.Column("reference", TEXT, nullable=False),
        sa.Column("purpose", TEXT, nullable=False),
        sa.Column("summary", TEXT, nullable=False),
        sa.Column("revision", sa.BigInteger, unique=True),
        sa.Column("distributed", sa.Boolean, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("reasons", sa.JSON, nullable=False),
    )
    op.create_index("entry_by_time", "entry", ["time", "id"])
    op.create_index("entry_by_actor", "entry", ["actor", "time"])
    op.create_index("entry_by_domain", "entry", ["domain", "time"])
    op.create_index("entry_by_reference", "entry", ["reference"])
    op.create_index("entry_by_reach", "entry", ["distributed", "domain", "revision"])
    op.create_table(
        "entry_product",
        sa.Column("entry", sa.BigInteger, sa.ForeignKey("entry.id"), primary_key=True),
        sa.Column("product", TEXT, primary_key=True),
    )
    op.create_index("entry_product_by_product", "entry_product", ["product", "entry"])


def _audit() -> None:
    op.create_table(
        "usage_event",
        sa.Column("domain", TEXT, primary_key=True),
        sa.Column("agent", TEXT, primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("receipt", TEXT, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("stored", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("domain", "agent", "id"),
    )
    op.create_index("usage_event_by_receipt", "usage_event", ["receipt"])
    op.create_table(
        "receipt",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("domain", TEXT, primary_key=True),
        sa.Column("agent", TEXT, primary_key=True),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
    )
    op.create_index("receipt_by_actor", "receipt", ["actor"])
    op.create_index("receipt_by_key", "receipt", ["domain", "agent", "key"])
    op.create_table(
        "agreement_read",
        sa.Column("agreement", TEXT, primary_key=True),
        sa.Column("domain", TEXT, primary_key=True),
        sa.Column("agent", TEXT, primary_key=True),
        sa.Column("receipt", TEXT, primary_key=True),
        sa.Column("time", sa.BigInteger, nullable=False),
    )


def _vault() -> None:
    op.create_table(
        "principal_key",
        sa.Column("domain", TEXT, primary_key=True),
        sa.Column("agent", TEXT, primary_key=True),
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("principal", TEXT, nullable=False),
        sa.Column("quarter", TEXT, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
    )
    op.create_index("principal_key_by_principal", "principal_key", ["principal"])
    op.create_table(
        "erasure",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("principal", TEXT),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("requested", sa.BigInteger, nullable=False),
        sa.Column("completed", sa.BigInteger),
        sa.Column("keys", sa.Integer, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "erasure_agent",
        sa.Column("erasure", TEXT, sa.ForeignKey("erasure.id"), primary_key=True),
        sa.Column("domain", TEXT, primary_key=True),
        sa.Column("agent", TEXT, primary_key=True),
    )
    op.create_index("erasure_agent_by_agent", "erasure_agent", ["domain", "agent"])


def _governance() -> None:
    op.create_table(
        "purpose",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("title", TEXT, nullable=False),
        sa.Column("creator", TEXT, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "contract",
        sa.Column("domain", TEXT, primary_key=True),
        sa.Column("product", TEXT, primary_key=True),
        sa.Column("version", TEXT, primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("publisher", TEXT, nullable=False),
        sa.Column("published", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False, unique=True),
    )


def _agreements() -> None:
    op.create_table(
        "agreement",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("request_id", TEXT),
        sa.Column("domain", TEXT, nullable=False),
        sa.Column("product", TEXT, nullable=False),
        sa.Column("contract_version", TEXT, nullable=False),
        sa.Column("consumer", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("purpose", TEXT, nullable=False),
        sa.Column("datasets", sa.JSON, nullable=False),
        sa.Column("justification", TEXT, nullable=False),
        sa.Column("requester", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("requested", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("decider", TEXT),
        sa.Column("decided", sa.BigInteger),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("ender", TEXT),
        sa.Column("ended", sa.BigInteger),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("requester", "request_id"),
    )
    op.create_index("agreement_by_domain", "agreement", ["domain", "state"])
    op.create_index("agreement_by_consumer", "agreement", ["consumer"])
    op.create_index("agreement_by_end", "agreement", ["state", "expires"])


def _policies() -> None:
    op.create_table(
        "policy_module",
        sa.Column("digest", TEXT, primary_key=True),
        sa.Column("path", TEXT, primary_key=True),
        sa.Column("text", TEXT, nullable=False),
    )
    op.create_table(
        "policy_activation",
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("activated", sa.BigInteger, nullable=False),
    )
    op.create_index("policy_activation_by_digest", "policy_activation", ["digest"])


def _agents() -> None:
    op.create_table(
        "agent",
        sa.Column("domain", TEXT, primary_key=True),
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("enrolled", sa.BigInteger, nullable=False),
        sa.Column("contact", sa.BigInteger, nullable=False),
        sa.Column("session", TEXT),
        sa.Column("session_until", sa.BigInteger),
        sa.Column("acknowledged_revision", sa.BigInteger, nullable=False),
        sa.Column("refusal", TEXT, nullable=False),
        sa.Column("flight_uri", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("products", sa.JSON, nullable=False),
        sa.Column("spooled_events", sa.BigInteger, nullable=False),
        sa.Column("policy_digest", TEXT, nullable=False),
    )
    op.create_table(
        "acknowledgement",
        sa.Column("domain", TEXT, primary_key=True),
        sa.Column("agent", TEXT, primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
    op.create_index("acknowledgement_by_revision", "acknowledgement", ["domain", "revision"])
    op.create_table(
        "join_token",
        sa.Column("hash", sa.LargeBinary, primary_key=True),
        sa.Column("domain", TEXT, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("used_by", sa.LargeBinary),
    )
