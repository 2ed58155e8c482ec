"""Flight SQL commands: protobuf messages inside google.protobuf.Any, in and out."""

from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message

from mesh import errors
from mesh.arrow import flight_pb2 as flight
from mesh.arrow import flight_sql_pb2 as sql

_PREFIX = "type.googleapis.com/"
_PACKAGE = sql.DESCRIPTOR.package
_KNOWN: dict[str, type[Message]] = {
    f"{_PREFIX}{_PACKAGE}.{name}": getattr(sql, name)
    for name in sql.DESCRIPTOR.message_types_by_name
}
WRITES = (
    sql.CommandStatementUpdate,
    sql.CommandPreparedStatementUpdate,
    sql.CommandStatementIngest,
)


def decode(data: bytes) -> Message:
    """The message inside. Raises RequestInvalid for what is no Flight SQL message we know."""
    try:
        packed = any_pb2.Any.FromString(data)
        known = _KNOWN.get(packed.type_url)
        if known is not None:
            return known.FromString(packed.value)
    except DecodeError:
        pass
    raise errors.RequestInvalid(
        "The request is no Flight SQL command that this agent knows; use a Flight SQL client."
    )


def encode(message: Message) -> bytes:
    """The message inside a google.protobuf.Any."""
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed.SerializeToString()


def described(descriptor: flight.FlightDescriptor) -> Message:
    """The command of a descriptor. Raises RequestInvalid for a path: nothing is served by path."""
    if descriptor.type != flight.FlightDescriptor.CMD:
        raise errors.RequestInvalid(
            "Datasets are read with SQL, not by path; use a Flight SQL client."
        )
    return decode(descriptor.cmd)
