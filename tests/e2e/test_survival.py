"""What must hold when parts are stopped, starved or cheated."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from examples.airline.processes import CONTRACTS, DATA, Mesh, equal_leases
from examples.airline.reader import Reader
from tests.e2e.town import (
    PASSENGERS,
    PURPOSE,
    Town,
    agree,
    published,
    reader,
    rows,
    start_town,
    wait_until,
)

ONE = f"{PASSENGERS} LIMIT 1"


def restart_agent(town: Town, domain: str = "bookings") -> None:
    town.mesh.agents.pop(domain).stop()
    town.mesh.start_agent(domain, DATA / domain, CONTRACTS / domain)


def stop_control_plane(mesh: Mesh) -> str:
    """Stop it; where it listened."""
    listened = mesh.server
    assert mesh.control is not None
    mesh.control.stop()
    return listened


def test_the_agent_starts_and_serves_from_its_snapshot_with_the_control_plane_down(
    own_mesh: Mesh,
) -> None:
    town = start_town(own_mesh, ("bookings",))
    ana = town.reader()
    listened = stop_control_plane(own_mesh)
    restart_agent(town)
    moved = type(ana)(own_mesh.agents["bookings"].ready, ana.token, ana.purpose)
    assert moved.read(ONE).num_rows == 1
    own_mesh.start_control_plane(listened)
    wait_until(
        lambda: any(row["action"] == "read.completed" for row in town.entries("--kind", "read")),
        "evidence that waited in the spool arrives",
    )


def test_evidence_resumes_after_either_side_restarts(own_mesh: Mesh) -> None:
    town = start_town(own_mesh, ("bookings",))
    for _ in range(3):
        town.reader().read(ONE)
        restart_agent(town)
    listened = stop_control_plane(own_mesh)
    own_mesh.start_control_plane(listened)
    town.reader().read(ONE)

    def whole() -> bool:
        reads = town.entries("--kind", "read", "--limit", "500")
        done = [row for row in reads if row["action"] == "read.completed"]
        return len(done) >= 4 and all(row["action"] != "read.started" for row in reads)

    wait_until(whole, "each read is there once, with its end")
    references = [row["reference"] for row in town.entries("--kind", "read", "--limit", "500")]
    assert len(references) == len(set(references))


def test_an_agent_cut_off_for_longer_than_its_lease_refuses(own_mesh: Mesh) -> None:
    own_mesh.leases = equal_leases(3.0)
    town = start_town(own_mesh, ("bookings",))
    ana = town.reader()
    stop_control_plane(own_mesh)
    wait_until(lambda: "lease" in ana.refusal(ONE), "the lease ends")


def test_a_revocation_ends_a_running_stream(own_mesh: Mesh) -> None:
    town = start_town(own_mesh, ("bookings",))
    ana = town.reader()
    script = Path(__file__).with_name("slow_reader.py")
    with subprocess.Popen(
        [sys.executable, str(script), ana.uri, ana.token, ana.purpose],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout is not None
        assert client.stdin is not None
        assert client.stdout.readline() == "began\n"
        own_mesh.mesh(town.olga, "access", "revoke", town.agreement, "--note", "enough")
        wait_until(lambda: "revoked" in ana.refusal(ONE), "the agent enforces the revocation")
        client.stdin.write("go on\n")
        client.stdin.flush()
        assert "revoked" in client.stdout.read()


def test_with_no_room_for_evidence_reads_are_refused_until_there_is(own_mesh: Mesh) -> None:
    town = start_town(own_mesh, ("bookings",))
    token = town.reader().token
    stop_control_plane(own_mesh)
    own_mesh.agents.pop("bookings").stop()
    spool = own_mesh.folder / "bookings" / "state" / "spool"
    own_mesh.start_agent("bookings", DATA / "bookings", CONTRACTS / "bookings", inside=tmpfs(spool))
    agent = own_mesh.agents["bookings"]
    inside = Path(f"/proc/{agent.process.pid}/root")
    filler = inside / spool.relative_to("/") / "filler"
    ana = Reader(agent.ready, token, PURPOSE)
    assert ana.read(ONE).num_rows == 1
    fill(filler)
    wait_until(lambda: "evidence" in ana.refusal(ONE), "the disk is full")
    assert "evidence" in ana.refusal(ONE)
    filler.unlink()
    assert ana.read(ONE).num_rows == 1


def tmpfs(folder: Path) -> tuple[str, ...]:
    """A command prefix: a mount namespace in which the folder is a small tmpfs."""
    script = (
        'set -e; kept=$(mktemp -d); cp -a "$1/." "$kept"; '
        'mount -t tmpfs -o size=256k tmpfs "$1"; cp -a "$kept/." "$1"; shift; exec "$@"'
    )
    return ("unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(folder))


def fill(path: Path) -> None:
    """Write until the disk is full, which is very small."""
    with path.open("wb", buffering=0) as file:
        try:
            for _ in range(1_024):
                file.write(b"\0" * 1024)
        except OSError:
            return
    raise AssertionError(f"{path} is on a larger disk than meant")


def test_two_agents_of_one_domain_with_the_same_id_are_told_apart(own_mesh: Mesh) -> None:
    start_town(own_mesh, ("bookings",))
    token = own_mesh.mesh(own_mesh.admin, "agent", "join-token", "bookings").stdout
    second = own_mesh.folder / "second"
    second.mkdir()
    (second / "join.token").write_text(token)
    settings = yaml.safe_load((own_mesh.folder / "bookings" / "agent.yaml").read_text())
    (second / "agent.yaml").write_text(yaml.safe_dump(settings))
    done = subprocess.run(
        [sys.executable, "-m", "domain_agent", "--config", str(second / "agent.yaml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 5
    assert "agent.id_taken" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_source_whose_columns_differ_from_the_contract_is_refused(own_mesh: Mesh) -> None:
    data = own_mesh.folder / "data"
    data.mkdir()
    for file in (DATA / "bookings").glob("*.parquet"):
        (data / file.name).symlink_to(file)
    own_mesh.start_control_plane()
    for purpose in ("crew-planning", "customer-care", "delay-analysis", "revenue-reporting"):
        own_mesh.mesh(own_mesh.admin, "purpose", "add", purpose, purpose.title())
    own_mesh.start_agent("bookings", data, CONTRACTS / "bookings")
    ana = own_mesh.token("ana")
    published(own_mesh, "bookings.reservations")
    agree(own_mesh, ana, own_mesh.token("olga", duties=["owner:bookings"]))
    asks = reader(own_mesh, ana, "bookings")
    assert "outside" in asks.refusal(ONE)

    passengers = pq.read_table(DATA / "bookings" / "passengers.parquet").slice(0, 100)
    replaced = data / "passengers.parquet"
    replaced.unlink()
    pq.write_table(passengers, replaced)
    assert asks.read(ONE).num_rows == 1

    drifted = passengers.append_column("ssn", pa.array(["1"] * 100))
    pq.write_table(drifted, data / "new.parquet")
    (data / "new.parquet").replace(replaced)
    refusal = asks.refusal(ONE)
    assert "differs from its contract" in refusal
    replaced.unlink()
    assert "not where the contract says" in asks.refusal(ONE)


def test_an_agent_without_a_join_token_says_what_to_do(own_mesh: Mesh) -> None:
    own_mesh.start_control_plane()
    config = own_mesh.folder / "agent.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "domain": "bookings",
                "id": "bookings-1",
                "control_plane": own_mesh.server,
                "state": "state",
                "products": "products",
                "roots": ["."],
            }
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "domain_agent", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 4
    assert "mesh agent join-token" in done.stderr


def test_a_contract_added_while_running_is_published_and_a_bad_one_is_reported(
    own_mesh: Mesh,
) -> None:
    products = own_mesh.folder / "products"
    products.mkdir()
    own_mesh.start_control_plane()
    for purpose in ("crew-planning", "customer-care", "delay-analysis", "revenue-reporting"):
        own_mesh.mesh(own_mesh.admin, "purpose", "add", purpose, purpose.title())
    own_mesh.start_agent("bookings", DATA / "bookings", products)
    (products / "broken.yaml").write_text("version: [")
    contract = next((CONTRACTS / "bookings").glob("*.yaml"))
    (products / contract.name).write_bytes(contract.read_bytes())
    published(own_mesh, "bookings.reservations")

    def reported() -> bool:
        shown = own_mesh.mesh(own_mesh.admin, "agent", "show", "bookings/bookings-1", "-o", "json")
        return "contract.invalid" in shown.stdout

    wait_until(reported, "the agent reports the broken file")
    assert len(rows(own_mesh, own_mesh.admin, "product", "list")) == 1
