"""What a server says when a handler raised: the mesh's error, or INTERNAL with a call id."""

import logging
import uuid
from dataclasses import dataclass

import grpc

from mesh.errors import InternalError, MeshError
from mesh.wire.status import DETAILS_KEY, code, details, text

# A status travels in HTTP/2 headers, of which clients take 8 KiB, and holds the message twice.
_MAX_MESSAGE_BYTES = 2_500


@dataclass(frozen=True, slots=True)
class Failure:
    """How a call ends: code, message and trailing metadata."""

    code: grpc.StatusCode
    message: str
    trailing: tuple[tuple[str, bytes], ...]


def failure(error: Exception, method: str, log: logging.Logger) -> Failure:
    """The call's end for an error; an unknown one is logged whole and told by call id alone."""
    if not isinstance(error, MeshError):
        call_id = uuid.uuid4().hex
        log.error("call %s of %s failed", call_id, method, exc_info=error)
        error = InternalError(
            f"the service failed; its log has the details under call id {call_id}",
            call_id=call_id,
        )
    message = error.message.encode()
    if len(message) > _MAX_MESSAGE_BYTES:
        error.message = message[:_MAX_MESSAGE_BYTES].decode(errors="ignore") + " …"
    return Failure(code(error), text(error), ((DETAILS_KEY, details(error)),))
