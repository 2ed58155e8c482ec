"""How long an agent may act without hearing from the control plane, for each classification."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from mesh.contracts.values import Classification

_ORDER = tuple(Classification)


@dataclass(frozen=True, slots=True)
class Leases:
    """One length for each classification; none, or one that is not positive, is no lease."""

    lengths: Mapping[Classification, timedelta]

    def __getitem__(self, classification: Classification) -> timedelta:
        """How long for a class. What is strict is not served longer than what is milder."""
        milder = _ORDER[: _ORDER.index(classification) + 1]
        return min(self.lengths.get(one, timedelta()) for one in milder)

    @property
    def shortest(self) -> timedelta:
        """The strictest class's."""
        return self[Classification.RESTRICTED]


NO_LEASES = Leases(MappingProxyType({}))
DEFAULT_LEASES = Leases(
    MappingProxyType(
        {
            Classification.PUBLIC: timedelta(days=7),
            Classification.INTERNAL: timedelta(hours=24),
            Classification.CONFIDENTIAL: timedelta(hours=1),
            Classification.RESTRICTED: timedelta(minutes=5),
        }
    )
)
