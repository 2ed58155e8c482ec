"""Becoming known to the control plane: once, with a join token and the agent's own key."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography.hazmat.primitives import serialization

from domain_agent.control.link import CALL_SECONDS, AgentIdentity, Link
from domain_agent.spool.files import Files
from mesh.errors import AgentDomainForeign, RequestInvalid
from mesh.v1 import agents_pb2, agents_pb2_grpc
from mesh.wire.status import from_rpc_error


@dataclass(frozen=True, slots=True)
class Trust:
    """The control plane's public keys by id, from the enrolment: for tokens and for snapshots."""

    token_keys: Mapping[str, bytes]
    snapshot_keys: Mapping[str, bytes]


def load_trust(path: Path) -> Trust | None:
    """What an earlier enrolment left, or None."""
    if not path.exists():
        return None
    document = json.loads(path.read_text(encoding="utf-8"))
    return Trust(
        {key: bytes.fromhex(value) for key, value in document["token_keys"].items()},
        {key: bytes.fromhex(value) for key, value in document["snapshot_keys"].items()},
    )


def enrol(link: Link, identity: AgentIdentity, join_token: str, path: Path, files: Files) -> Trust:
    """Bind the agent's id to its key, and keep whom to trust. Raises the server's refusal."""
    public = identity.key.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    request = agents_pb2.EnrolAgentRequest(
        join_token=join_token,
        id=identity.id,
        public_key=public,
        proof=identity.key.sign(f"meshwarden-enrol:{join_token}:{identity.id}".encode()),
    )
    try:
        reply = agents_pb2_grpc.AgentServiceStub(link.channel).EnrolAgent(
            request, timeout=CALL_SECONDS, wait_for_ready=True
        )
    except grpc.RpcError as error:
        raise from_rpc_error(error, link.target) from error
    if reply.domain != identity.domain:
        raise AgentDomainForeign(
            f"the join token is for domain {reply.domain}, but agent.yaml says {identity.domain}",
            domain=reply.domain,
        )
    trust = Trust(
        {key.id: key.public_key for key in reply.keys if key.use == "token"},
        {key.id: key.public_key for key in reply.keys if key.use == "snapshot"},
    )
    document = {
        "token_keys": {key: value.hex() for key, value in trust.token_keys.items()},
        "snapshot_keys": {key: value.hex() for key, value in trust.snapshot_keys.items()},
    }
    files.replace(path, json.dumps(document, indent=2).encode())
    return trust


def read_join_token(path: Path | None) -> str:
    """The join token an operator left in a file. Raises RequestInvalid."""
    if path is None or not path.exists():
        raise RequestInvalid(
            "the agent is not enrolled: put the output of `mesh agent join-token DOMAIN` into "
            f"{path or 'a file named by join_token_file in agent.yaml'}",
            field="join_token_file",
        )
    return path.read_text(encoding="utf-8").strip()
