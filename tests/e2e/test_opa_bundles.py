"""docs/opa.md, followed: real processes, and a real OPA with the configuration file of the page."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from examples.airline.processes import ROOT, Mesh
from tests.differential.opa_server import OpaServer, free_port
from tests.e2e.town import rows, start_town, wait_until
from tests.opa_client import LOOKUP, ask, decide

PAGE = (ROOT / "docs" / "opa.md").read_text()


def configuration(address: str, token: Path, key_id: str, pem: str) -> dict[str, Any]:
    """The page's whole file with our own address, key id and key."""
    (block,) = [
        one for one in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "services:" in one
    ]
    text = block.replace("bundle-0123456789abcdef", key_id)
    text = text.replace("https://mesh.example:7480", f"http://{address}")
    found: dict[str, Any] = yaml.safe_load(text.replace("/etc/opa/meshwarden.token", str(token)))
    found["keys"][key_id]["key"] = pem
    return found


@contextmanager
def configured_opa(mesh: Mesh, address: str) -> Iterator[OpaServer]:
    token, config = mesh.folder / "meshwarden.token", mesh.folder / "opa.yaml"
    issued = mesh.mesh(
        mesh.admin, "token", "issue", "--for", "service:opa-bookings", "--duty", "opa:bookings",
        "--lifetime", "24h",
    )  # fmt: skip
    token.write_text(issued.stdout)
    key = json.loads(mesh.mesh(mesh.admin, "opa", "key", "-o", "json").stdout)
    printed = mesh.mesh(mesh.admin, "opa", "key")
    assert key["id"] in printed.stderr
    config.write_text(yaml.safe_dump(configuration(address, token, key["id"], printed.stdout)))
    server = OpaServer(free_port(), ("--config-file", str(config)))
    server.start()
    try:
        yield server
    finally:
        server.stop()


def test_the_guide_holds(own_mesh: Mesh) -> None:
    address = f"127.0.0.1:{free_port()}"
    town = start_town(own_mesh, ("bookings",), settings={"opa": {"listen": address}})
    with configured_opa(own_mesh, address) as opa:

        def decided(**changed: object) -> dict[str, Any]:
            subject = {"kind": "user", "id": "ana", "teams": ["planning"]}
            return decide(opa, subject=subject, **changed)

        wait_until(lambda: bool(decided().get("allow")), "OPA has the bundle")
        assert {"pseudonym", "partial"} & {one["mask"] for one in decided()["masks"].values()}
        assert "purpose.mismatch" in decided(purpose="marketing")["reasons"]
        assert ask(opa, LOOKUP, {})["result"]["reasons"] == ["policy.error"]

        own_mesh.mesh(town.olga, "access", "revoke", town.agreement)
        wait_until(lambda: decided()["reasons"] == ["agreement.revoked"], "it is revoked in OPA")

        def told() -> list[dict[str, object]]:
            return [one for one in town.entries("--kind", "decision") if one["actor"] == "user:ana"]

        wait_until(
            lambda: {"decision.allowed", "decision.denied"} <= {one["action"] for one in told()},
            "the decisions are in the audit",
        )
        allowed = next(one for one in told() if one["action"] == "decision.allowed")
        assert allowed["product"] == "bookings.reservations"
        assert "without proof" in str(allowed["summary"])
        # Agents' evidence stays what it is: none of this is a read.
        assert not [one for one in town.entries("--kind", "read") if "OPA" in str(one["summary"])]
        (listed,) = rows(own_mesh, town.ada, "opa", "list")
        assert (listed["reporter"], listed["problem"]) == ("service:opa-bookings", None)
        wait_until(
            lambda: (
                [one["active_revision"] == one["target_revision"] for one in _listed(town.mesh)]
                == [True]
            ),
            "it says that it is up to date",
        )


def _listed(mesh: Mesh) -> list[dict[str, object]]:
    return rows(mesh, mesh.admin, "opa", "list")
