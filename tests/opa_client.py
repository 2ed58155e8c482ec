"""An OPA that knows the mesh from its own configuration file alone, and what it is asked."""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from mesh.decisions.opa_connections import opa_address
from mesh.times import rfc3339
from tests.differential.opa_server import OpaServer, free_port

LOOKUP = "mesh_opa/access/decision"


@dataclass(frozen=True, slots=True)
class Meshed:
    """What an OPA's configuration says of the mesh; `delay` is between polls that don't wait."""

    url: str
    token: Path
    key_id: str
    key: str
    domain: str = "bookings"
    scope: str = "bookings"
    delay: int = 1


def configuration(meshed: Meshed) -> dict[str, Any]:
    """OPA's configuration, as docs/opa.md has it but for its patience."""
    quick = {"min_delay_seconds": 1, "max_delay_seconds": 1}
    between = {"min_delay_seconds": meshed.delay, "max_delay_seconds": meshed.delay}
    return {
        "services": {
            "meshwarden": {
                "url": f"{meshed.url}/opa",
                "credentials": {"bearer": {"token_path": str(meshed.token)}},
            }
        },
        "keys": {meshed.key_id: {"algorithm": "ES256", "key": meshed.key}},
        "bundles": {
            "meshwarden": {
                "service": "meshwarden",
                "resource": f"bundles/{meshed.domain}.tar.gz",
                "polling": {**between, "long_polling_timeout_seconds": 30},
                "signing": {"keyid": meshed.key_id, "scope": meshed.scope},
            }
        },
        "decision_logs": {
            "service": "meshwarden",
            "resource": f"logs/{meshed.domain}",
            "reporting": quick,
        },
        "status": {"service": "meshwarden", "partition_name": meshed.domain},
    }


@contextmanager
def meshed_opa(folder: Path, meshed: Meshed) -> Iterator[OpaServer]:
    """A real OPA for the length of a block."""
    folder.mkdir(exist_ok=True)
    path = folder / "opa.yaml"
    path.write_text(yaml.safe_dump(configuration(meshed)))
    server = OpaServer(free_port(), ("--config-file", str(path)))
    server.start()
    try:
        yield server
    finally:
        server.stop()


def ask(opa: OpaServer, path: str, document: object) -> dict[str, Any]:
    """OPA's whole answer, such as `result` and `decision_id`."""
    with closing(opa_address(opa.url).connection(10)) as connection:
        body = json.dumps({"input": document})
        headers = {"Content-Type": "application/json"}
        connection.request("POST", f"/v1/data/{path}?strict-builtin-errors=true", body, headers)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        return answer


def question(**changed: object) -> dict[str, object]:
    """What somebody who decides with OPA sends: ana, for a purpose, now."""
    document: dict[str, object] = {
        "subject": {"kind": "user", "id": "ana", "teams": ["ops"]},
        "purpose": "crew-planning",
        "product": "reservations",
        "dataset": "passengers",
        "now": rfc3339(datetime.now(UTC)),
    }
    return document | changed


def decide(opa: OpaServer, **changed: object) -> dict[str, Any]:
    """The decision, empty while OPA has no bundle."""
    result: dict[str, Any] = ask(opa, LOOKUP, question(**changed)).get("result", {})
    return result


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def reason(self) -> str:
        """The reason id of a refusal."""
        return str(json.loads(self.body)["code"])


def call(
    address: str,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request to the control plane's HTTP server."""
    host, _, port = address.rpartition(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=30)) as connection:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())
