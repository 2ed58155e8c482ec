"""Agents on the wire."""

import hashlib

from control_plane.agents.rules import AgentReport, EnrolledAgent
from mesh.errors import RequestInvalid
from mesh.v1 import agents_pb2
from mesh.wire.times import to_timestamp

_MAX_PRODUCTS = 1_000
_MAX_CHARS = 512


def agent_to_proto(agent: EnrolledAgent, target_revision: int) -> agents_pb2.Agent:
    """The agent with the revision that it should be at."""
    return agents_pb2.Agent(
        domain=agent.domain,
        id=agent.id,
        flight_uri=agent.report.flight_uri,
        version=agent.report.version,
        connected=agent.connected,
        enrol_time=to_timestamp(agent.enrolled),
        contact_time=to_timestamp(agent.contact),
        acknowledged_revision=agent.acknowledged_revision,
        target_revision=target_revision,
        refusal=agent.refusal,
        policy_digest=agent.report.policy_digest,
        products=[
            agents_pb2.ProductReport.FromString(product) for product in agent.report.products
        ],
        spooled_events=agent.report.spooled_events,
        key_digest=hashlib.sha256(agent.public_key).hexdigest(),
    )


def report_from_proto(request: agents_pb2.ReportAgentRequest) -> AgentReport:
    """The report. Raises RequestInvalid when a field is larger than any honest one."""
    for field in ("flight_uri", "version", "policy_digest"):
        if len(getattr(request, field)) > _MAX_CHARS:
            raise RequestInvalid(f"{field} has at most {_MAX_CHARS} characters", field=field)
    if len(request.products) > _MAX_PRODUCTS:
        raise RequestInvalid(f"at most {_MAX_PRODUCTS} products", field="products")
    return AgentReport(
        flight_uri=request.flight_uri,
        version=request.version,
        products=tuple(product.SerializeToString() for product in request.products),
        spooled_events=max(request.spooled_events, 0),
        policy_digest=request.policy_digest,
    )
