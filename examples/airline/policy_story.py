"""The demo's chapters on policies: a rule, a hole that rehearsal finds, and a lease that ends."""

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from examples.airline.processes import Mesh
from examples.airline.reader import Reader
from examples.airline.story import Story

DIFFERENT, CONFLICT = 10, 5
RESTRICTED_LEASE = 8.0
_RULE = """package mesh.organisation

# Whoever plans crews needs no way to reach a passenger.
masks contains {"rule": "organisation.contact", "class": class.id, "mask": "drop"} if {
	some class in input.dataset.classes
	class.category == "contact"
	input.purpose != "customer-care"
}
"""
_TEST = """package mesh.organisation_test

import data.mesh.organisation

test_contact_data_is_dropped if {
	count(organisation.masks) == 1 with input.purpose as "crew-planning"
		with input.dataset.classes as [{"id": "c0", "category": "contact"}]
}
"""
_HOLE = _RULE.replace('class.category == "contact"', 'class.category == "contact-data"')
_HOLE_TEST = _TEST.replace('"category": "contact"', '"category": "contact-data"')
_MENDED_TEST = f"""{_TEST}
test_planning_reads_so_much if {{
	organisation.limits == {{{{"rows": 100000}}}} with input.purpose as "crew-planning"
}}
"""
_MENDED = f"""{_RULE}
limits contains {{"rows": 100000}} if input.purpose == "crew-planning"
"""


class PolicyStory:
    """Sam and Sue look after security; `wait_until` is the demo's."""

    def __init__(
        self,
        mesh: Mesh,
        story: Story,
        reader: Callable[[], Reader],
        wait_until: Callable[[Callable[[], bool], str], None],
    ) -> None:
        self._mesh, self._story, self._reader = mesh, story, reader
        self._wait_until = wait_until
        self._tokens = {name: mesh.token(name, duties=["security"]) for name in ("sam", "sue")}

    def rehearsed(self) -> None:
        """A rule, the hole in its next version, and the mended one."""
        self._story.chapter("Security adds a rule, and a hole in its next version is found in time")
        rule = self._pushed({"contact.rego": _RULE, "contact_test.rego": _TEST})
        self._run("sam", "policy", "rehearse", rule)
        self._activated(rule)
        self._story.check(
            "email" in self._reader().refusal("SELECT email FROM reservations.passengers"),
            "Ana has no e-mail addresses any more, for crew planning",
        )
        hole = self._pushed({"contact.rego": _HOLE, "contact_test.rego": _HOLE_TEST})
        found = self._run("sam", "policy", "rehearse", hole, expect=DIFFERENT)
        self._story.check(
            "user:ana" in found and "email" in found,
            "decided again with it, Ana's own reads would show her the column email",
        )
        refused = self._run("sue", "policy", "activate", hole, expect=CONFLICT)
        self._story.check("policy.exposes" in refused, "so it does not go into force")
        mended = self._pushed({"contact.rego": _MENDED, "contact_test.rego": _MENDED_TEST})
        self._run("sam", "policy", "rehearse", mended)
        slowest = self._activated(mended)
        self._story.check(slowest < 1_000, f"the mended one is live on four agents in {slowest} ms")
        self._run("sam", "policy", "status")
        self._run("sue", "policy", "rollback", "organisation", "--to-none", "--wait", "10")
        self._story.check(
            self._reader().refusal("SELECT email FROM reservations.passengers") == "",
            "one command goes back to what was before",
        )

    def cut_off(self, cut: Callable[[], None], mend: Callable[[], None], other: Reader) -> None:
        """An agent that hears nothing stops by itself, the strictest data first."""
        self._story.chapter("The agent of bookings is cut off from the control plane")
        passengers = "SELECT count(*) FROM reservations.passengers"
        reader = self._reader()
        cut()
        began = time.monotonic()
        self._wait_until(
            lambda: "agent.lease_expired" in reader.refusal(passengers), "its lease has ended"
        )
        self._story.check(
            time.monotonic() - began < 2 * RESTRICTED_LEASE,
            f"passengers have a restricted column: refused {time.monotonic() - began:.0f} s later",
        )
        self._story.check(other.refusal("SELECT 1 FROM flights") == "", "the others go on")
        mend()
        self._wait_until(lambda: reader.refusal(passengers) == "", "it is heard again")
        self._story.tell("The line is mended, and passengers are served again.")

    def _pushed(self, modules: Mapping[str, str]) -> str:
        folder = self._mesh.folder / "organisation"
        folder.mkdir(exist_ok=True)
        for name, text in modules.items():
            (Path(folder) / name).write_text(text)
        seen = self._run("sam", "policy", "push", "organisation", "--layer", "organisation")
        return re.search(r"Kept as revision (\d+)", " ".join(seen.split()))[1]  # type: ignore[index]

    def _activated(self, revision: str) -> int:
        """Milliseconds until the last agent had it."""
        seen = self._run("sue", "policy", "activate", revision, "--wait", "10")
        return int(re.search(r"slowest took (\d+) ms", " ".join(seen.split()))[1])  # type: ignore[index]

    def _run(self, who: str, *arguments: str, expect: int = 0) -> str:
        self._story.command(who, *arguments)
        seen = self._mesh.mesh_on_terminal(self._tokens[who], *arguments, expect=expect)
        self._story.output(seen)
        return seen
