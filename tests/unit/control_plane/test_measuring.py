"""What is measured of enforcement, against an oracle that looks at each agent and each change."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from control_plane.agents.measuring import Measured, Step, measured
from control_plane.timeline.rules import Distributed
from mesh.contracts.values import Classification
from tests.unit.snapshot.scenes import NOW

CLASSES = {
    "bookings.open": frozenset({Classification.PUBLIC}),
    "bookings.mixed": frozenset({Classification.PUBLIC, Classification.RESTRICTED}),
}
PRODUCTS = ("", *CLASSES)
ACKNOWLEDGED = st.tuples(
    st.sampled_from(["bookings", "fleet"]),
    st.integers(0, 12),
    st.integers(1, 6),
    st.integers(0, 99),
)


@st.composite
def changes(draw: st.DrawFn) -> list[Distributed]:
    revisions = draw(st.sets(st.integers(1, 14)))
    return [
        Distributed(
            revision,
            NOW + timedelta(seconds=revision),
            draw(st.sampled_from([None, "bookings", "fleet"])),
            draw(st.sampled_from(PRODUCTS)),
        )
        for revision in sorted(revisions, reverse=True)
    ]


@given(changes(), st.lists(ACKNOWLEDGED))
def test_each_class_has_the_slowest_of_its_changes(
    distributed: list[Distributed], told: list[tuple[str, int, int, int]]
) -> None:
    steps = [
        Step(domain, previous, previous + more, NOW + timedelta(seconds=previous + more + late))
        for domain, previous, more, late in told
    ]
    found = measured(distributed, steps, CLASSES.__getitem__)
    for one in Classification:
        slowest = [
            max(delays)
            for change in distributed
            if not change.product or one in CLASSES[change.product]
            if (
                delays := [
                    step.time - change.time
                    for step in steps
                    if change.domain in (None, step.domain)
                    and step.previous < change.revision <= step.revision
                ]
            )
        ]
        expected = Measured(max(slowest), len(slowest)) if slowest else None
        assert found.get(one) == expected
