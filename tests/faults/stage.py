"""A mesh to break an agent in: one control plane, one agent, and whoever reads and governs."""

import os
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from domain_agent.control.link import load_or_make_key
from domain_agent.spool.files import Files
from examples.airline.processes import CONTRACTS, DATA, ROOT, Mesh, ProcessFailed, Service
from mesh.v1 import (
    agreements_pb2,
    agreements_pb2_grpc,
    erasures_pb2,
    erasures_pb2_grpc,
    identity_pb2,
    identity_pb2_grpc,
)
from tests.e2e.town import PURPOSE, published, wait_until

DOMAIN, AGENT, PRODUCT, TEAM = "bookings", "bookings-1", "reservations", "planning"
_CALL_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How an agent is started: sizes in bytes, far smaller than an operator can set them."""

    segment: int = 10_000
    quota: int = 1 << 20
    batch: int = 64 * 1024

    @property
    def arguments(self) -> tuple[str, ...]:
        """As the test entry takes them."""
        return (
            f"--segment={self.segment}", f"--quota={self.quota}", f"--batch={self.batch}",
        )  # fmt: skip


@dataclass(slots=True)
class Stage:
    """The mesh of one lane of rounds; readers of the team planning may read reservations."""

    mesh: Mesh
    channel: grpc.Channel
    agent: Service | None = None
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        """The agent's state folder."""
        return self.mesh.folder / DOMAIN / "state"

    @property
    def public_key(self) -> bytes:
        """The key that the agent signs its heads with."""
        return load_or_make_key(self.state / "agent.key", Files()).public_key().public_bytes_raw()

    def launch(
        self, sizes: Sizes, extra: Sequence[str] = (), inside: Sequence[str] = ()
    ) -> Service:
        """Start the agent by the test entry, without waiting until it serves.

        `inside` is a command that starts it in surroundings of its own.
        """
        config = self.mesh.folder / DOMAIN / "agent.yaml"
        log = self.mesh.folder / f"{AGENT}.log"
        kept = {key: value for key, value in os.environ.items() if not key.startswith("MESH_")}
        with log.open("a") as stderr:
            process = subprocess.Popen(
                [
                    *inside, sys.executable, "-m", "tests.faults.agent", *sizes.arguments, *extra,
                    "--config", str(config),
                ],
                cwd=self.mesh.folder,
                env={**kept, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )  # fmt: skip
        self.agent = Service(AGENT, process, log)
        return self.agent

    def serving(self) -> str | None:
        """Where the agent that was launched serves; None when it was killed before."""
        assert self.agent is not None
        try:
            return self.agent.wait_ready("serving ")
        except ProcessFailed:
            if self.agent.process.returncode == -signal.SIGKILL:
                return None
            raise

    def gone(self, seconds: float) -> int | None:
        """How the agent ended, waiting for it; None when it runs on."""
        assert self.agent is not None
        try:
            code = self.agent.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        assert self.agent.process.stdout is not None
        self.agent.process.stdout.close()
        self.agent = None
        return code

    def stop(self) -> None:
        """End the agent, if one runs."""
        if self.agent is not None:
            self.agent.stop()
            self.agent = None

    def token(self, user: str, domain: str = DOMAIN) -> str:
        """A token towards the agent, or, for another domain, the control plane."""
        key = f"{user}@{domain}"
        if key not in self.tokens:
            principal = identity_pb2.Principal(
                kind="user",
                subject=user,
                teams=[] if user == "olga" or user.startswith("lone-") else [TEAM],
                duties=["owner:bookings"] if user == "olga" else [],
            )
            stub = identity_pb2_grpc.IdentityServiceStub(self.channel)
            request = identity_pb2.IssueTokenRequest(principal=principal, domain=domain)
            self.tokens[key] = stub.IssueToken(
                request, metadata=_bearer(self.mesh.admin), timeout=_CALL_SECONDS
            ).token
        return self.tokens[key]

    def agree(self, consumer: str, requester: str, product: str = PRODUCT) -> str:
        """An active agreement; its id. The agent does not enforce it yet."""
        stub = agreements_pb2_grpc.AgreementServiceStub(self.channel)
        request = agreements_pb2.RequestAgreementRequest(
            request_id=str(uuid.uuid4()),
            domain=DOMAIN,
            product=product,
            role="analyst",
            purpose=PURPOSE,
            justification="a test",
            consumer=consumer,
        )
        asked = stub.RequestAgreement(
            request, metadata=_bearer(self.token(requester, "")), timeout=_CALL_SECONDS
        ).agreement
        stub.ApproveAgreement(
            agreements_pb2.ApproveAgreementRequest(id=asked.id),
            metadata=_bearer(self.token("olga", "")),
            timeout=_CALL_SECONDS,
        )
        return str(asked.id)

    def revoke(self, agreement: str) -> int:
        """End an agreement; the revision from which on it is."""
        answer = agreements_pb2_grpc.AgreementServiceStub(self.channel).RevokeAgreement(
            agreements_pb2.RevokeAgreementRequest(id=agreement, note="a test"),
            metadata=_bearer(self.token("olga", "")),
            timeout=_CALL_SECONDS,
        )
        return int(answer.agreement.revision)

    def erase(self, user: str) -> None:
        """Ask for everything personal of a user to become unreadable."""
        erasures_pb2_grpc.ErasureServiceStub(self.channel).ErasePrincipal(
            erasures_pb2.ErasePrincipalRequest(principal=f"user:{user}", reason="a test"),
            metadata=_bearer(self.mesh.admin),
            timeout=_CALL_SECONDS,
        )

    def erasures_open(self) -> int:
        """How many erasures wait for the agent."""
        found = erasures_pb2_grpc.ErasureServiceStub(self.channel).ListErasures(
            erasures_pb2.ListErasuresRequest(),
            metadata=_bearer(self.mesh.admin),
            timeout=_CALL_SECONDS,
        )
        return sum(bool(one.waiting) for one in found.erasures)

    def stored(self, after: int) -> list[tuple[int, bytes]]:
        """The records of the agent that the control plane has stored, as they lie in its tables."""
        path = next((self.mesh.folder / "control-plane").glob("*.db"))
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute(
                "SELECT sequence, document FROM usage_event"
                " WHERE domain = ? AND agent = ? AND sequence > ? ORDER BY sequence",
                (DOMAIN, AGENT, after),
            ).fetchall()


def _bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


@contextmanager
def staged(folder: Path, workers: int = 2, streams: int = 40) -> Iterator[Stage]:
    """A mesh whose agent has enrolled, published its product and been stopped again."""
    settings: dict[str, object] = {
        "worker": {"processes": workers, "threads": 1},
        "streams": streams,
        # Two cores may be busy with everything else.
        "engine": {"kind": "regopy", "deadline_ms": 2_000},
    }
    with Mesh(folder) as mesh:
        mesh.start_control_plane()
        for purpose in (PURPOSE, "customer-care", "delay-analysis", "revenue-reporting"):
            mesh.mesh(mesh.admin, "purpose", "add", purpose, purpose.title())
        mesh.start_agent(DOMAIN, DATA / DOMAIN, CONTRACTS / DOMAIN, settings=settings)
        published(mesh, f"{DOMAIN}.{PRODUCT}")
        with grpc.insecure_channel(mesh.server) as channel:
            stage = Stage(mesh, channel)
            stage.agree(f"team:{TEAM}", "steady")
            wait_until(lambda: _enforced(stage), "the agent enforces the agreement")
            mesh.agents.pop(DOMAIN).stop()
            try:
                yield stage
            finally:
                stage.stop()


def _enforced(stage: Stage) -> bool:
    stub = agreements_pb2_grpc.AgreementServiceStub(stage.channel)
    found = stub.ListAgreements(
        agreements_pb2.ListAgreementsRequest(domain=DOMAIN),
        metadata=_bearer(stage.token("olga", "")),
        timeout=_CALL_SECONDS,
    )
    return bool(found.agreements) and found.agreements[0].HasField("enforce_time")
