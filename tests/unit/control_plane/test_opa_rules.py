"""What an OPA uploads is read without trust: it never breaks the reading, nor speaks of others."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from control_plane.opa.rules import LIBRARY, LOOKUP, read_log, read_status

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=()), max_size=30)
    | st.sampled_from([LOOKUP, LIBRARY, "bookings", "fleet", "user", "fares", "crew-planning"])
)
KEYS = st.sampled_from(
    [
        "labels", "id", "decision_id", "path", "input", "result", "subject", "kind", "teams",
        "product", "domain", "name", "dataset", "purpose", "allow", "reasons", "timestamp",
        "bundles", "revision", "version", "active_revision", "code", "message", "errors", "error",
    ]
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.just({"id": "opa-1"}) | ANYTHING,
        "decision_id": st.just("d-1") | ANYTHING,
        "path": st.sampled_from([LOOKUP, LIBRARY]) | ANYTHING,
        "input": st.dictionaries(KEYS, SCALARS | st.dictionaries(KEYS, SCALARS)) | ANYTHING,
        "result": st.dictionaries(KEYS, ANYTHING) | ANYTHING,
        "timestamp": st.datetimes().map(lambda time: f"{time.isoformat()}Z") | ANYTHING,
        "bundles": st.dictionaries(st.text(), ANYTHING) | ANYTHING,
        "error": ANYTHING,
    },
)


def known(product: str) -> bool:
    return product == "fares"


@given(st.lists(ENTRIES | ANYTHING, max_size=5))
@example([{"labels": {"id": "o"}, "decision_id": "d", "path": LOOKUP, "timestamp": "2026-11-24"}])
def test_whatever_a_log_holds_it_tells_of_its_own_domain_alone(entries: list[Any]) -> None:
    found = read_log(entries, "bookings", known, NOW)

    assert len(found.decisions) + len(found.refused) <= len(entries)
    for one in found.decisions:
        assert one.domain == "bookings"
        assert one.product in ("", "bookings.fares")
        assert one.allow or one.reasons
        assert not (one.allow and one.reasons)
        assert NOW - timedelta(days=31) <= one.time <= NOW
        texts = [one.id, one.opa, one.actor, one.purpose, one.summary, *one.reasons]
        assert all(text.isprintable() and len(text) < 500 for text in texts)
        json.dumps(texts, ensure_ascii=False).encode()


@given(ANYTHING)
def test_whatever_a_status_holds_it_is_read_or_not_taken(document: Any) -> None:
    found = read_status(document)

    if found is not None:
        texts = [found.id, found.version, found.problem]
        assert all(text.isprintable() and len(text) <= 200 for text in texts)
        "".join(texts).encode()


def test_an_entry_of_ours_without_an_id_is_refused_and_others_are_passed_over() -> None:
    entries = [{"path": LOOKUP}, {"path": LOOKUP, "decision_id": "d"}, {"path": "own/rule"}, 7]
    found = read_log(entries, "bookings", known, NOW)
    assert found.decisions == ()
    assert found.refused == ("no decision_id", "no labels.id", "no object")


def test_only_true_allows() -> None:
    for allow in (1, "true", [True], {"allow": True}, None):
        entry = {
            "path": LOOKUP,
            "decision_id": "d",
            "labels": {"id": "o"},
            "result": {"allow": allow},
        }
        (told,) = read_log([entry], "bookings", known, NOW).decisions
        assert (told.allow, told.reasons) == (False, ("policy.error",))
