"""What only the server decides about contracts: who may publish, and what a version is worth."""

from dataclasses import dataclass
from datetime import datetime

from mesh.contracts.values import Contract
from mesh.errors import AgentDomainForeign, ContractVersionTaken, DutyMissing
from mesh.identity.duties import ADMIN, OWNER, has_any
from mesh.identity.principal import Principal, PrincipalKind


@dataclass(frozen=True, slots=True)
class Published:
    """A contract version as it was published."""

    contract: Contract
    document: bytes
    digest: bytes
    publisher: str
    published: datetime
    revision: int


def check_publisher(principal: Principal, contract: Contract) -> None:
    """Refuse those who may not publish for the domain.

    Raises AgentDomainForeign or DutyMissing.
    """
    if principal.kind is PrincipalKind.AGENT:
        own = principal.subject.partition("/")[0]
        if own != contract.domain:
            raise AgentDomainForeign(
                f"the agent serves {own}, the contract declares {contract.name};"
                " an agent publishes its own domain only",
                domain=contract.domain,
            )
    elif not has_any(principal, ADMIN, f"{OWNER}:{contract.domain}"):
        raise DutyMissing(
            f"publishing {contract.name} takes the duty owner:{contract.domain} or admin",
            action="contract.publish",
        )


def check_version(known: Published, digest: bytes) -> None:
    """Refuse another content for a published version. Raises ContractVersionTaken."""
    if known.digest != digest:
        contract = known.contract
        raise ContractVersionTaken(
            f"{contract.name} {contract.version} is published with another content;"
            " raise the version in the document and publish that",
            product=contract.name,
            version=contract.version,
        )
