"""An agreement: who may read which product, for what purpose, under which role, until when."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AgreementState(StrEnum):
    REQUESTED = "requested"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Agreement:
    """One agreement; `consumer`, `requester`, `decider` and `ender` read `user:ana`, `team:ops`."""

    id: str
    domain: str
    product: str
    contract_version: str
    consumer: str
    role: str
    purpose: str
    datasets: tuple[str, ...]
    justification: str
    requester: str
    state: AgreementState
    requested: datetime
    expires: datetime
    decider: str | None = None
    decided: datetime | None = None
    note: str = ""
    ender: str | None = None
    ended: datetime | None = None
    revision: int = 0

    def state_at(self, now: datetime) -> AgreementState:
        """The state as of now: an active agreement past its end is expired."""
        if self.state is AgreementState.ACTIVE and now >= self.expires:
            return AgreementState.EXPIRED
        return self.state
