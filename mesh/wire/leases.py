"""Leases on the wire."""

from mesh.contracts.values import Classification
from mesh.leases import Leases
from mesh.v1 import agents_pb2
from mesh.wire.times import from_duration, to_duration


def leases_to_proto(leases: Leases) -> agents_pb2.Leases:
    """A length for each classification."""
    return agents_pb2.Leases(
        public=to_duration(leases[Classification.PUBLIC]),
        internal=to_duration(leases[Classification.INTERNAL]),
        confidential=to_duration(leases[Classification.CONFIDENTIAL]),
        restricted=to_duration(leases[Classification.RESTRICTED]),
    )


def leases_from_proto(message: agents_pb2.Leases) -> Leases:
    """The lengths that are set. Raises RequestInvalid for one out of range."""
    stated = {
        Classification.PUBLIC: message.public,
        Classification.INTERNAL: message.internal,
        Classification.CONFIDENTIAL: message.confidential,
        Classification.RESTRICTED: message.restricted,
    }
    return Leases({one: from_duration(length, "leases") for one, length in stated.items()})
