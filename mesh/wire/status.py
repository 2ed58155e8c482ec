"""Errors as gRPC statuses and back: google.rpc.ErrorInfo with the reason, never a class name."""

from collections.abc import Iterable, Mapping
from typing import cast

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from mesh import errors

DOMAIN = "meshwarden"
DETAILS_KEY = "grpc-status-details-bin"
_REASONS = {error.reason: error for kind in errors.KINDS for error in kind.__subclasses__()}
_KINDS_BY_STATUS = {kind.kind.grpc_status: kind for kind in errors.KINDS}


def code(error: errors.MeshError) -> grpc.StatusCode:
    """The gRPC status code of the error's kind."""
    return grpc.StatusCode[error.kind.grpc_status]


def text(error: errors.MeshError) -> str:
    """What clients show that read no details: the message, its reason id, and the receipt."""
    return error.message + _suffix(error.reason_id, error.metadata)


def _suffix(reason_id: str, metadata: Mapping[str, str]) -> str:
    receipt = metadata.get("receipt")
    return f" [{reason_id}]" if receipt is None else f" [{reason_id}, receipt {receipt}]"


def details(error: errors.MeshError, extra: Mapping[str, str] | None = None) -> bytes:
    """The serialised google.rpc.Status to send as `grpc-status-details-bin`."""
    info = error_details_pb2.ErrorInfo(
        reason=error.reason.replace(".", "_").upper(),
        domain=DOMAIN,
        metadata={"id": error.reason_id, **error.metadata, **(extra or {})},
    )
    packed = any_pb2.Any()
    packed.Pack(info)
    status = status_pb2.Status(code=code(error).value[0], message=text(error), details=[packed])
    return bytes(status.SerializeToString())


def from_rpc_error(error: grpc.RpcError, server: str) -> errors.MeshError:
    """The error a server raised, rebuilt from its status; an unknown one keeps its kind."""
    call_code: grpc.StatusCode = error.code()
    message: str = error.details() or ""
    metadata = cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ())
    for key, value in metadata:
        if key == DETAILS_KEY and isinstance(value, bytes):
            return _from_details(value, call_code)
    if call_code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return errors.ControlUnavailable(f"{server} can't be reached: {message}", server=server)
    kind = _KINDS_BY_STATUS.get(call_code.name, errors.Bug)
    return _unregistered(kind, "", message, {})


def _from_details(raw: bytes, call_code: grpc.StatusCode) -> errors.MeshError:
    status = status_pb2.Status.FromString(raw)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        detail.Unpack(info)
    reason = info.reason.lower().replace("_", ".", 1)
    metadata = dict(info.metadata)
    message = status.message.removesuffix(_suffix(metadata.get("id", reason), metadata))
    known = _REASONS.get(reason)
    if known is not None:
        if metadata.get("id") == reason:
            del metadata["id"]
        return known(message, **metadata)
    kind = _KINDS_BY_STATUS.get(call_code.name, errors.Bug)
    return _unregistered(kind, reason, message, metadata)


def _unregistered(
    kind: type[errors.MeshError], reason: str, message: str, metadata: dict[str, str]
) -> errors.MeshError:
    """A refusal from a newer server: its kind decides what to do, its reason id is kept."""
    remote: type[errors.MeshError] = type("RemoteError", (kind,), {"reason": reason})
    return remote(message, **metadata)
