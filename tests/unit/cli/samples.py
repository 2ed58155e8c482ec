"""What the control plane of these tests knows: one airline's bookings."""

from datetime import timedelta

from mesh.v1 import (
    agents_pb2,
    agreements_pb2,
    audit_pb2,
    contracts_pb2,
    identity_pb2,
    opas_pb2,
)
from mesh.wire.times import to_timestamp
from tests.unit.cli.terminal import NOW

AGREEMENT_ID = "01935f6a-1c00-7000-8000-000000000001"
TOKEN = ".".join(("header", "claims", "signature"))
RECEIPT_ID = "01935f6a-2d00-7000-8000-00000000000a"


def column(name: str, classification: str, mask: str = "") -> contracts_pb2.Column:
    return contracts_pb2.Column(
        name=name,
        logical_type="string",
        physical_type="VARCHAR",
        classification=classification,
        category="contact" if classification == "confidential" else "",
        tags=["pii"] if classification != "public" else [],
        mask=mask,
        description=f"The {name}",
    )


def contract(domain: str = "bookings", product: str = "reservations") -> contracts_pb2.Contract:
    return contracts_pb2.Contract(
        domain=domain,
        product=product,
        version="1.0.0",
        contract_id="b3f1",
        status="active",
        title="Who flies where, for planning crews and service",
        owners=["bea", "team:reservations"],
        purposes=["crew-planning"],
        roles=[
            contracts_pb2.Role(
                name="analyst",
                description="Aggregates",
                row_filter='{"column":"country","op":"eq","value":"NL"}',
            )
        ],
        datasets=[
            contracts_pb2.Dataset(
                name="passengers",
                description="One row per passenger",
                columns=[
                    column("name", "restricted", "pseudonym"),
                    column("email", "confidential", "partial"),
                    column("tier", "public"),
                ],
            )
        ],
        document=b"apiVersion: v3.1.0\nkind: DataContract\n",
        digest=b"\x01" * 32,
        publisher="agent:bookings/bookings-1",
        publish_time=to_timestamp(NOW - timedelta(hours=3)),
        revision=7,
    )


def agreement(
    state: agreements_pb2.AgreementState.ValueType = agreements_pb2.AGREEMENT_STATE_REQUESTED,
) -> agreements_pb2.Agreement:
    return agreements_pb2.Agreement(
        id=AGREEMENT_ID,
        domain="bookings",
        product="reservations",
        contract_version="1.0.0",
        consumer="user:ana",
        role="analyst",
        purpose="crew-planning",
        datasets=["passengers"],
        justification="Rota of week 48",
        requester="user:ana",
        state=state,
        request_time=to_timestamp(NOW - timedelta(minutes=5)),
        expire_time=to_timestamp(NOW + timedelta(days=90)),
        approvers=["user:bea"],
        revision=9,
    )


def opa() -> opas_pb2.Opa:
    return opas_pb2.Opa(
        domain="bookings",
        id="5f3a-1",
        reporter="service:opa-bookings",
        version="1.22.2",
        active_revision=8,
        target_revision=9,
        policy_digest="ab" * 32,
        problem="bundle_error: failed to verify JWT signature",
        contact_time=to_timestamp(NOW - timedelta(seconds=4)),
    )


def agent() -> agents_pb2.Agent:
    return agents_pb2.Agent(
        domain="bookings",
        id="bookings-1",
        flight_uri="grpc://127.0.0.1:7001",
        version="0.1.0",
        connected=True,
        enrol_time=to_timestamp(NOW - timedelta(days=2)),
        contact_time=to_timestamp(NOW - timedelta(seconds=4)),
        acknowledged_revision=8,
        target_revision=9,
        refusal="",
        policy_digest="ab" * 32,
        products=[
            agents_pb2.ProductReport(
                file="reservations.yaml",
                product="bookings.reservations",
                version="1.0.0",
                outcome="refused",
                reason="contract.version_taken",
                message="1.0.0 is published with another content",
            )
        ],
        spooled_events=3,
        key_digest="cd" * 32,
    )


def entry(action: str = "read.completed", number: int = 1) -> audit_pb2.Entry:
    return audit_pb2.Entry(
        cursor=f"c{number}",
        time=to_timestamp(NOW - timedelta(minutes=number)),
        kind="read",
        action=action,
        actor="user:ana",
        product="bookings.reservations",
        reference=RECEIPT_ID,
        purpose="crew-planning",
        summary="5 rows of passengers",
        rows=5,
    )


def token(lifetime: timedelta = timedelta(hours=1)) -> identity_pb2.IssueTokenResponse:
    return identity_pb2.IssueTokenResponse(
        token=TOKEN,
        audience="mesh:domain:bookings",
        expire_time=to_timestamp(NOW + lifetime),
        principal=identity_pb2.Principal(kind="user", subject="ana", teams=["ops"]),
    )
