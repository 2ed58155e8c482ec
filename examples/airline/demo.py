"""A small airline's mesh at work: `make demo`. Every step is checked."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb

from examples.airline.backing import backed_mesh
from examples.airline.policy_story import RESTRICTED_LEASE, PolicyStory
from examples.airline.processes import (
    DATA,
    ROOT,
    Mesh,
    ProcessFailed,
    start_airline,
    terminated_like_interrupted,
)
from examples.airline.reader import Reader
from examples.airline.relay import Relay
from examples.airline.story import Story, Surprise

PASSENGERS = "SELECT name, email, birth_date, country, loyalty_tier FROM reservations.passengers"
VERIFIER = ROOT / "docs" / "examples" / "verify_proof.py"
ENFORCED_SECONDS = 10.0
TAMPERED_EXIT_CODE = 10


@dataclass(frozen=True, slots=True)
class People:
    """Who acts, by their tokens of the control plane."""

    ana: str
    olga: str
    omar: str
    ada: str


class Demo:
    """The story, chapter by chapter."""

    def __init__(self, mesh: Mesh, story: Story, relay: Relay) -> None:
        self._mesh, self._story, self._relay = mesh, story, relay
        self._people = People(
            ana=mesh.token("ana", teams=["planning"]),
            olga=mesh.token("olga", duties=["owner:bookings"]),
            omar=mesh.token("omar", duties=["owner:operations"]),
            ada=mesh.token("ada", duties=["auditor"]),
        )

    def tell(self) -> None:
        """All of it."""
        self._declared()
        self._refused()
        agreement = self._approved()
        self._read_masked()
        receipt = self._explained()
        self._kept_apart()
        self._filtered()
        self._governed()
        self._attacked()
        self._revoked(agreement)
        self._audited(receipt)
        self._verified(receipt)
        self._erased()
        self._story.end()

    def _run(self, who: str, *arguments: str, expect: int = 0) -> str:
        """Run and show a command; what it printed as data."""
        self._story.command(who, *arguments)
        token: str = getattr(self._people, who)
        seen = self._mesh.mesh_on_terminal(token, *arguments, expect=expect)
        self._story.output(seen)
        return seen

    def _rows(self, who: str, *arguments: str) -> list[dict[str, object]]:
        """What a command says as JSON, not shown."""
        token: str = getattr(self._people, who)
        rows: list[dict[str, object]] = json.loads(
            self._mesh.mesh(token, *arguments, "-o", "json").stdout
        )
        return rows

    def _reader(self, domain: str, purpose: str) -> Reader:
        issued = self._mesh.mesh(self._people.ana, "token", "issue", "--domain", domain)
        uri = self._mesh.agents[domain].ready
        return Reader(uri, issued.stdout.strip(), purpose)

    def _declared(self) -> None:
        self._story.chapter("Four departments declared their products from files")
        self._run("ana", "product", "list")
        products = {row["product"] for row in self._rows("ana", "product", "list")}
        expected = {
            "operations.flights",
            "weather.observations",
            "fleet.aircraft",
            "bookings.reservations",
        }
        self._story.check(products == expected, "four products are published, one per department")

    def _refused(self) -> None:
        self._story.chapter("Ana wants to read passengers, and nobody agreed to that")
        self._run(
            "ana",
            "query",
            PASSENGERS,
            "--domain",
            "bookings",
            "--purpose",
            "crew-planning",
            expect=6,
        )
        refusal = self._reader("bookings", "crew-planning").refusal(PASSENGERS)
        self._story.check(
            "mesh access request" in refusal,
            "her own client (ADBC) is refused too, and is told what to do",
        )

    def _approved(self) -> str:
        self._story.chapter("She asks; Olga, who owns the product, approves")
        self._run(
            "ana", "access", "request", "bookings.reservations", "--role", "analyst",
            "--purpose", "crew-planning", "--justification", "which flights need more crew",
        )  # fmt: skip
        (request,) = self._rows("ana", "access", "list", "--state", "requested")
        agreement = str(request["id"])
        refused = self._mesh.mesh(self._people.ana, "access", "approve", agreement, expect=6)
        self._story.check("reason:" in refused.stderr, "Ana can't approve her own request")
        self._run("olga", "access", "approve", agreement)
        return agreement

    def _read_masked(self) -> None:
        self._story.chapter("She reads real rows with a standard client")
        reader = self._reader("bookings", "crew-planning")
        wait_until(lambda: reader.refusal(PASSENGERS) == "", "the agent enforces the approval")
        table = reader.read(f"{PASSENGERS} ORDER BY country LIMIT 1000")
        for row in table.slice(0, 3).to_pylist():
            self._story.tell("  ".join(str(value) for value in row.values()))
        self._story.check(table.num_rows == 1000, "ADBC fetched 1,000 of 200,000 passengers")
        self._story.check(
            set(table["name"].to_pylist()) == {"***"}
            and all("***@" in email for email in table["email"].to_pylist()),
            "names are constant, e-mail addresses keep their first letter and domain",
        )
        self._story.check(
            all((day.month, day.day) == (1, 1) for day in table["birth_date"].to_pylist()),
            "birth dates tell the year only",
        )
        joined = reader.read(
            "SELECT count(*) AS bookings, count(DISTINCT passenger_id) AS passengers "
            "FROM reservations.bookings JOIN reservations.passengers USING (passenger_id)"
        )
        raw = raw_rows(
            f"SELECT count(*), count(DISTINCT passenger_id) "
            f"FROM '{DATA}/bookings/bookings.parquet' JOIN '{DATA}/bookings/passengers.parquet' "
            "USING (passenger_id)"
        )
        self._story.check(
            list(joined.to_pylist()[0].values()) == list(raw[0]),
            f"pseudonyms still join: {raw[0][0]:,} bookings of {raw[0][1]:,} passengers",
        )

    def _explained(self) -> str:
        self._story.chapter("Why was that masked? The receipt says, and the decision recomputes")
        arguments = (
            "query", f"{PASSENGERS} LIMIT 2", "--domain", "bookings",
            "--purpose", "crew-planning",
        )  # fmt: skip
        seen = self._run("ana", *arguments)
        receipt = next(word for word in seen.split() if is_receipt(word))
        why = self._run("ada", "why", receipt)
        self._story.check(
            "equal" in why and "ALARM" not in why,
            "an auditor recomputed the decision from the evidence: equal",
        )
        return receipt

    def _kept_apart(self) -> None:
        self._story.chapter("A token for one department is worth nothing elsewhere")
        bookings = self._reader("bookings", "crew-planning")
        elsewhere = Reader(self._mesh.agents["fleet"].ready, bookings.token, "crew-planning")
        self._story.check(
            "UNAUTHENTICATED" in elsewhere.refusal("SELECT * FROM aircraft.planes").upper(),
            "the fleet's agent refuses it",
        )
        refused = self._mesh.mesh(bookings.token, "product", "list", expect=7)
        self._story.check("mesh:control" in refused.stderr, "so does the control plane")

    def _filtered(self) -> None:
        self._story.chapter("A role reads its rows only: United's planner sees United's flights")
        self._run(
            "ana", "access", "request", "operations.flights", "--role", "ua_planner",
            "--purpose", "delay-analysis", "--justification", "why are we late",
        )  # fmt: skip
        (request,) = self._rows("ana", "access", "list", "--state", "requested")
        self._mesh.mesh(self._people.omar, "access", "approve", str(request["id"]))
        reader = self._reader("operations", "delay-analysis")
        wait_until(lambda: reader.refusal("SELECT 1 FROM flights") == "", "the agent enforces it")
        seen = reader.read(
            "SELECT carrier, count(*) AS flights, round(avg(dep_delay), 1) AS delay "
            "FROM flights GROUP BY ALL"
        ).to_pylist()
        ((united, everything),) = raw_rows(
            "SELECT count(*) FILTER (carrier = 'UA'), count(*) "
            f"FROM '{DATA}/operations/flights.parquet'"
        )
        self._story.check(
            len(seen) == 1 and (seen[0]["carrier"], seen[0]["flights"]) == ("UA", united),
            f"{united:,} of {everything:,} flights, whatever her SQL says",
        )

    def _governed(self) -> None:
        policies = PolicyStory(
            self._mesh,
            self._story,
            lambda: self._reader("bookings", "crew-planning"),
            wait_until,
        )
        policies.rehearsed()
        other = self._reader("operations", "delay-analysis")
        policies.cut_off(self._relay.cut, self._relay.mend, other)

    def _attacked(self) -> None:
        self._story.chapter("With a valid token she tries to get around it")
        reader = self._reader("bookings", "crew-planning")
        path = DATA / "bookings" / "passengers.parquet"
        attacks = {
            "the file by its path": f"SELECT * FROM '{path}'",
            "a table function": f"SELECT * FROM read_parquet('{path}')",
            "writing over the source": f"COPY (SELECT 1) TO '{path}'",
            "hidden statistics": "SELECT stats(email) FROM reservations.passengers",
            "another purpose": "",
        }
        for what, sql in attacks.items():
            tried = reader if sql else Reader(reader.uri, reader.token, "marketing")
            refusal = tried.refusal(sql or PASSENGERS)
            reason = refusal.rpartition("[")[2].partition(",")[0]
            self._story.check("." in reason and " " not in reason, f"{what}: refused, {reason}")

    def _revoked(self, agreement: str) -> None:
        self._story.chapter("Olga revokes the agreement")
        reader = self._reader("bookings", "crew-planning")
        self._run("olga", "access", "revoke", agreement, "--note", "the rota is done")
        began = time.monotonic()
        wait_until(
            lambda: "revoked" in reader.refusal(PASSENGERS), "the agent enforces the revocation"
        )
        self._story.tell(f"Her next read was refused {time.monotonic() - began:.1f} s later.")

    def _audited(self, receipt: str) -> None:
        self._story.chapter("Every step is in the audit")

        def entries() -> list[dict[str, object]]:
            return self._rows("ada", "audit", "list", "--product", "bookings.reservations")

        def complete() -> bool:
            rows = entries()
            reads = [row for row in rows if row["kind"] == "read"]
            return receipt in {row["reference"] for row in reads} and not any(
                row["action"] == "read.started" for row in reads
            )

        wait_until(complete, "the evidence has arrived")
        self._run("ada", "audit", "list", "--product", "bookings.reservations", "--limit", "6")
        actions = {str(row["action"]) for row in entries()}
        wanted = {
            "contract.published",
            "agreement.requested",
            "agreement.approved",
            "agreement.revoked",
            "read.refused",
            "read.completed",
        }
        self._story.check(wanted <= actions, "declared, asked, approved, read, refused, revoked")
        self._run("ada", "status")

    def _verified(self, receipt: str) -> None:
        self._story.chapter("Ada checks the log without trusting whoever keeps it")
        ada = self._people.ada
        wait_until(self._all_verified, "the agents have signed for what is stored")
        self._run("ada", "audit", "verify")
        self._run("ada", "audit", "export", "evidence.jsonl")
        export = self._mesh.folder / "evidence.jsonl"
        line, tampered = tampered_with(export.read_text())
        (self._mesh.folder / "tampered.jsonl").write_text(tampered)
        self._story.tell(f"Somebody turns the refused read in line {line} into an allowed one.")
        caught = self._run("ada", "audit", "verify", "tampered.jsonl", expect=TAMPERED_EXIT_CODE)
        self._story.check("ALARM" in caught, "the tampered export is caught, and where")
        self._mesh.mesh(ada, "audit", "verify", "evidence.jsonl")
        self._mesh.mesh(ada, "audit", "prove", receipt, "--out", "proof.json")
        checked = subprocess.run(
            [sys.executable, str(VERIFIER), str(self._mesh.folder / "proof.json")],
            capture_output=True,
            text=True,
            check=False,
        )
        self._story.output(checked.stdout + checked.stderr)
        self._story.check(
            checked.returncode == 0, "30 lines that share no code with us check one receipt's proof"
        )

    def _all_verified(self) -> bool:
        logs = self._rows("ada", "audit", "status")
        return all(log["stored"] == log["signed"] == log["verified"] for log in logs)

    def _erased(self) -> None:
        self._story.chapter("Ana leaves, and asks to be forgotten")
        admin, request = self._mesh.admin, "subject request 2026-17"
        for agreement in self._rows("ana", "access", "list", "--state", "active"):
            self._mesh.mesh(self._people.ana, "access", "revoke", str(agreement["id"]))
        self._mesh.mesh(admin, "erasure", "request", "user:ana", "--reason", request, "--yes")
        wait_until(
            lambda: self._rows("ada", "erasure", "list")[0]["completed"] is not None,
            "every agent has destroyed its keys",
        )
        self._run("ada", "erasure", "list")
        named = self._rows("ada", "audit", "list", "--who", "user:ana")
        reads = self._rows("ada", "audit", "list", "--kind", "read")
        erased = [read for read in reads if read["actor"] == "erased"]
        self._story.check(not named and len(erased) > 0, f"{len(erased)} reads stay, by nobody")
        wait_until(self._all_verified, "the agents have signed for that too")
        self._mesh.mesh(self._people.ada, "audit", "verify")
        self._story.check(True, "the log still verifies, with every record in it")


def tampered_with(export: str) -> tuple[int, str]:
    """An export in which one refused read says another reason; the line it is in, from 1."""
    lines = export.splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if "read.refused" in line)
    lines[place] = lines[place].replace("read.refused", "read.started")
    return place + 1, "".join(lines)


def is_receipt(word: str) -> bool:
    """Whether a word looks like a receipt's id."""
    return len(word) == 36 and word.count("-") == 4


def raw_rows(sql: str) -> list[tuple[object, ...]]:
    """What an ungoverned DuckDB says, to compare with."""
    with duckdb.connect() as connection:
        return connection.sql(sql).fetchall()


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Wait a few seconds at most. Raises Surprise."""
    deadline = time.monotonic() + ENFORCED_SECONDS
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(0.1)
    raise Surprise(f"waited {ENFORCED_SECONDS:.0f} s in vain until {what}")


def main() -> None:
    """Tell the story; exit 1 at the first surprise, 130 when interrupted."""
    story = Story()
    try:
        with (
            terminated_like_interrupted(),
            tempfile.TemporaryDirectory(prefix="meshwarden-") as folder,
            backed_mesh(Path(folder), os.environ) as backing,
        ):
            story.tell(f"starting one control plane and four agents, on {backing.words} …")
            backing.mesh.leases = {"restricted": RESTRICTED_LEASE}
            backing.mesh.start_control_plane()
            with closing(Relay(backing.mesh.server)) as relay:
                start_airline(backing.mesh, {"bookings": {"control_plane": relay.address}})
                Demo(backing.mesh, story, relay).tell()
    except (Surprise, ProcessFailed) as surprise:
        sys.exit(f"\nNot as told: {surprise}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
