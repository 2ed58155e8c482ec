"""The cast of the end-to-end tests, and what they ask of the mesh."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from examples.airline.processes import CONTRACTS, DATA, Mesh
from examples.airline.reader import Reader

PURPOSE = "crew-planning"
WAIT_SECONDS = 15.0
PASSENGERS = "SELECT passenger_id, name, email, country FROM reservations.passengers"


@dataclass(frozen=True, slots=True)
class Town:
    """A running mesh with its people's tokens, and ana's agreement for bookings."""

    mesh: Mesh
    ana: str
    olga: str
    ada: str
    agreement: str

    def reader(self, domain: str = "bookings", purpose: str = PURPOSE) -> Reader:
        """Ana with a fresh token for a domain's agent."""
        return reader(self.mesh, self.ana, domain, purpose)

    def entries(self, *options: str) -> list[dict[str, object]]:
        """The audit, newest first, as an auditor sees it."""
        return rows(self.mesh, self.ada, "audit", "list", *options)


def rows(mesh: Mesh, token: str, *arguments: str) -> list[dict[str, object]]:
    """What a command prints as JSON."""
    found: list[dict[str, object]] = json.loads(mesh.mesh(token, *arguments, "-o", "json").stdout)
    return found


def reader(mesh: Mesh, token: str, domain: str, purpose: str = PURPOSE) -> Reader:
    """Somebody's reader at a domain's agent."""
    issued = mesh.mesh(token, "token", "issue", "--domain", domain).stdout.strip()
    return Reader(mesh.agents[domain].ready, issued, purpose)


def start_town(
    mesh: Mesh,
    domains: tuple[str, ...] = ("bookings", "fleet"),
    settings: Mapping[str, object] | None = None,
) -> Town:
    """Bring up the control plane and the agents of some domains, with ana's agreement active."""
    mesh.start_control_plane(settings=settings)
    for purpose in (PURPOSE, "customer-care", "delay-analysis", "revenue-reporting", "marketing"):
        mesh.mesh(mesh.admin, "purpose", "add", purpose, purpose.title())
    for domain in domains:
        mesh.start_agent(domain, DATA / domain, CONTRACTS / domain)
    ana = mesh.token("ana", teams=["planning"])
    olga = mesh.token("olga", duties=["owner:bookings"])
    published(mesh, "bookings.reservations")
    agreement = agree(mesh, ana, olga)
    return Town(mesh, ana, olga, mesh.token("ada", duties=["auditor"]), agreement)


def published(mesh: Mesh, product: str) -> None:
    """Wait until a product is there."""
    wait_until(
        lambda: product in {r["product"] for r in rows(mesh, mesh.admin, "product", "list")},
        f"{product} is published",
    )


def agree(mesh: Mesh, consumer: str, owner: str, product: str = "bookings.reservations") -> str:
    """Ask and approve, and wait until the agent enforces it; the agreement's id."""
    mesh.mesh(
        consumer, "access", "request", product, "--role", "analyst",
        "--purpose", PURPOSE, "--justification", "a test",
    )  # fmt: skip
    request = rows(mesh, consumer, "access", "list", "--state", "requested")[0]
    agreement = str(request["id"])
    mesh.mesh(owner, "access", "approve", agreement)
    domain = product.partition(".")[0]
    probe = reader(mesh, consumer, domain)
    wait_until(lambda: "agreement" not in probe.refusal(PASSENGERS), "the agent enforces it")
    return agreement


def wait_until(holds: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Wait for a condition. Raises AssertionError when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain until {what}"
        time.sleep(0.05)


def overwrite(path: Path, content: bytes) -> None:
    """Replace a file whole, as a producer would."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(content)
    new.replace(path)
