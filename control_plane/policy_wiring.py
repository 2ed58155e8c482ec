"""The part of the composition root that puts policies together with who they reach."""

from control_plane.agents.feed import REMEMBERED
from control_plane.agents.standing import standings
from control_plane.agreements.store import enforceable
from control_plane.database import Database
from control_plane.policies.checks import LayerChecks
from control_plane.policies.rules import PolicyGates
from control_plane.policies.service import PolicyParts, PolicyService
from control_plane.settings import PolicySettings
from control_plane.sources import Sources
from mesh.decisions.opa_program import Opa
from mesh.decisions.policy import Policy


def policy_service(
    database: Database, library: Policy, settings: PolicySettings, sources: Sources
) -> PolicyService:
    """The service, with the agents that policies reach and the agreements they look at."""
    clock = sources.clock
    opa = None if settings.opa is None else Opa(settings.opa)
    parts = PolicyParts(
        database=database,
        checks=LayerChecks(library, opa, settings.coverage),
        fleet=lambda tx: standings(tx, clock()),
        clock=clock,
        new_id=sources.new_id,
        agreements=lambda tx, domain: enforceable(tx, domain, clock() - REMEMBERED),
        gates=PolicyGates(
            rehearsed=settings.rehearsal == "required",
            unchecked=settings.unchecked == "allowed",
        ),
    )
    return PolicyService(parts)
