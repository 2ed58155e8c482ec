"""Deciding: what is remembered, for how long, and that whatever goes wrong denies."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from mesh.decisions.deciding import Decider
from mesh.decisions.documents import decision_document
from mesh.decisions.inputs import DecisionInput
from mesh.decisions.policy import Policy
from mesh.errors import PolicyError, PolicyInvalid
from tests.unit.decisions.examples import library_policy, reading

UNTIL = "2026-12-01T00:00:00Z"
ALLOWING: dict[str, object] = {
    "allow": True,
    "reasons": [],
    "masks": {"c0": {"mask": "clear", "rules": ["library.classification"]}},
    "rows": [],
    "limits": {},
    "valid_until": UNTIL,
}
DENYING: dict[str, object] = ALLOWING | {
    "allow": False,
    "reasons": ["agreement.missing"],
    "masks": {},
    "valid_until": None,
}
TIMELESS = "package mesh.access\n\ndecision := input.purpose\n"
OTHER_TIMELESS = "package mesh.access\n\ndecision := input.action\n"


class Answering:
    """An engine that answers what it is told to, and counts."""

    name = "answering"

    def __init__(self, answer: object = None) -> None:
        self.answer = ALLOWING if answer is None else answer
        self.evaluations = 0
        self.before: Callable[[], None] = lambda: None
        self.refuses = False

    def load(self, policy: Policy) -> None:
        if self.refuses:
            raise PolicyInvalid("the policy does not compile")

    def evaluate(self, document: bytes) -> object:
        self.evaluations += 1
        answer = self.answer
        self.before()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Nothing to free."""


def asked(now: str = "2026-11-24T22:00:00Z", **changed: object) -> DecisionInput:
    dataset = {
        "name": "routes",
        "classes": [
            {"id": "c0", "classification": "public", "category": None, "tags": [], "mask": None}
        ],
    }
    return DecisionInput(reading(**({"now": now, "dataset": dataset} | changed)), {"origin": "c0"})


def decider(engine: Answering, policy: Policy | None = None, capacity: int = 10) -> Decider:
    made = Decider(engine, capacity)
    made.load(policy or library_policy())
    return made


def test_a_decision_is_remembered_with_the_input_it_was_made_on() -> None:
    engine = Answering()
    deciding = decider(engine)

    first = deciding.decide(asked("2026-11-24T22:00:00Z"))
    later = deciding.decide(asked("2026-11-24T22:00:05Z"))

    assert (first.cached, later.cached) == (False, True)
    assert engine.evaluations == 1
    assert later.decision == first.decision
    assert later.document["now"] == "2026-11-24T22:00:00Z"
    assert later.policy_digest == library_policy().digest == deciding.policy_digest


@pytest.mark.parametrize(
    ("now", "remembered"),
    [
        ("2026-11-24T22:00:00Z", True),
        ("2026-11-30T23:59:59Z", True),
        (UNTIL, False),
        ("2026-12-24T00:00:00Z", False),
        ("2026-11-24T21:59:59Z", False),
        ("2026-11-24T22:00:01+01:00", False),
        ("2026-11-25", False),
    ],
)
def test_a_decision_is_used_from_its_evaluation_until_it_may_change(
    now: str, remembered: bool
) -> None:
    engine = Answering()
    deciding = decider(engine)
    deciding.decide(asked("2026-11-24T22:00:00Z"))

    assert deciding.decide(asked(now)).cached is remembered


@pytest.mark.parametrize(
    "changed",
    [
        {"purpose": "marketing"},
        {"subject": {"kind": "user", "id": "bea", "teams": ["ops"]}},
        {"agreement": None},
        {"agent": {"domain": "bookings", "id": "bookings-2"}},
    ],
)
def test_another_input_is_another_decision(changed: Mapping[str, object]) -> None:
    deciding = decider(Answering())
    deciding.decide(asked())
    other = DecisionInput({**asked().document, **changed}, {})

    assert deciding.decide(other).cached is False


def test_without_an_end_a_policy_that_reads_now_is_asked_every_time() -> None:
    deciding = decider(Answering(DENYING))

    assert [deciding.decide(asked()).cached for _ in range(2)] == [False, False]


def test_without_an_end_a_policy_that_never_reads_now_is_remembered() -> None:
    deciding = decider(Answering(DENYING), Policy({"library/access.rego": TIMELESS}))

    assert [deciding.decide(asked()).cached for _ in range(2)] == [False, True]


def test_a_package_that_reads_now_and_states_no_end_is_never_remembered() -> None:
    modules = {
        "library/access.rego": TIMELESS,
        "library/hours.rego": 'package mesh.hours\n\nopen if input.now < "2026"\n',
    }
    deciding = decider(Answering(), Policy(modules))

    assert [deciding.decide(asked()).cached for _ in range(2)] == [False, False]


def test_the_least_used_decision_is_forgotten_first() -> None:
    engine = Answering()
    deciding = decider(engine, capacity=2)
    deciding.decide(asked(purpose="a"))
    deciding.decide(asked(purpose="b"))
    deciding.decide(asked(purpose="a"))
    deciding.decide(asked(purpose="c"))

    assert deciding.decide(asked(purpose="a")).cached is True
    assert deciding.decide(asked(purpose="b")).cached is False


def test_a_new_policy_forgets_what_the_old_one_decided() -> None:
    engine = Answering()
    deciding = decider(engine, Policy({"library/access.rego": TIMELESS}))
    deciding.decide(asked())

    deciding.load(Policy({"library/access.rego": OTHER_TIMELESS}))

    assert deciding.decide(asked()).cached is False


def test_a_refused_policy_leaves_the_old_one_with_its_decisions() -> None:
    engine = Answering()
    deciding = decider(engine)
    deciding.decide(asked())
    engine.refuses = True

    with pytest.raises(PolicyInvalid):
        deciding.load(Policy({"library/access.rego": TIMELESS}))

    assert deciding.policy_digest == library_policy().digest
    assert deciding.decide(asked()).cached is True


def test_a_load_waits_for_evaluations_so_none_is_filed_under_the_wrong_policy() -> None:
    old, new = (Policy({"library/access.rego": text}) for text in (TIMELESS, OTHER_TIMELESS))
    engine = Answering()
    deciding = decider(engine, old)
    evaluating, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        evaluating.set()
        assert go_on.wait(10)

    engine.before = hold
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(deciding.decide, asked())
        assert evaluating.wait(10)
        engine.before = lambda: None
        loading = threads.submit(deciding.load, new)
        assert deciding.policy_digest == old.digest
        go_on.set()
        loading.result(10)

        assert slow.result(10).policy_digest == old.digest
    assert deciding.policy_digest == new.digest
    assert deciding.decide(asked()).cached is False


def denied_by_error(deciding: Decider, question: DecisionInput) -> bool:
    decided = deciding.decide(question)
    again = deciding.decide(question)
    return (
        not decided.decision.allow
        and not again.cached
        and decision_document(decided.decision) == DENYING | {"reasons": ["policy.error"]}
    )


def test_nothing_is_allowed_without_a_policy() -> None:
    deciding = Decider(Answering())

    assert denied_by_error(deciding, asked())
    assert deciding.policy_digest is None
    assert deciding.decide(asked()).policy_digest == ""


@pytest.mark.parametrize(
    "answer",
    [
        PolicyError("too late"),
        ValueError("anything"),
        OSError("gone"),
        {},
        True,
        ALLOWING | {"masks": {}},
        ALLOWING | {"masks": {"c1": {"mask": "clear", "rules": ["library.classification"]}}},
        ALLOWING
        | {"masks": {c: {"mask": "clear", "rules": ["library.contract"]} for c in ("c0", "c1")}},
    ],
)
def test_whatever_goes_wrong_denies_and_is_not_remembered(answer: object) -> None:
    assert denied_by_error(decider(Answering(answer)), asked())


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"now": "2026-11-24T22:00:00Z"},
        {"now": "2026-11-24T22:00:00Z", "dataset": {"classes": []}},
        {"now": "2026-11-24T22:00:00Z", "dataset": {"classes": [{}]}},
        {"now": "2026-11-24T22:00:00Z", "dataset": {"classes": [{"id": "c0"}]}, "x": object()},
    ],
)
def test_an_input_that_is_none_denies(document: Mapping[str, object]) -> None:
    assert denied_by_error(decider(Answering()), DecisionInput(document, {}))


def test_a_layer_without_declarations_is_refused() -> None:
    modules = {**library_policy().modules, "organisation/a.rego": "package mesh.organisation\n"}

    with pytest.raises(PolicyInvalid, match=r"declared\.rego"):
        decider(Answering(), Policy(modules))


@pytest.mark.parametrize("text", ['say "hi"', "a\\b", "a\nb", "\x00", "\x1f"])
def test_texts_that_engines_match_differently_deny(text: str) -> None:
    engine = Answering()
    decider = Decider(engine)
    decider.load(library_policy())
    odd = asked(subject={"kind": "user", "id": "ana", "teams": [text]})
    assert decider.decide(odd).decision.reasons == ("policy.error",)
    assert engine.evaluations == 0


def test_a_row_filter_may_have_any_text_as_policies_hand_it_on_unread() -> None:
    decider = Decider(Answering())
    decider.load(library_policy())
    agreement = reading()["agreement"]
    assert isinstance(agreement, Mapping)
    filter_ = {"column": "origin", "op": "eq", "value": 'say "hi"\n'}
    assert decider.decide(asked(agreement={**agreement, "row_filter": filter_})).decision.allow
