"""Purposes on the wire."""

from control_plane.purposes.rules import Purpose
from mesh.v1 import purposes_pb2
from mesh.wire.times import to_timestamp


def purpose_to_proto(purpose: Purpose) -> purposes_pb2.Purpose:
    """The purpose as the service and snapshots tell it."""
    return purposes_pb2.Purpose(
        id=purpose.id,
        title=purpose.title,
        creator=purpose.creator,
        create_time=to_timestamp(purpose.created),
        revision=purpose.revision,
    )
