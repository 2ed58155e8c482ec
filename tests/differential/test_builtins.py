"""Every built-in that policies may use gives the same on both engines, or nothing on both."""

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.decisions.builtins import ALLOWED, REFUSED
from mesh.decisions.engines import Engine
from mesh.decisions.opa_engine import OpaEngine
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.errors import PolicyError
from mesh.evidence.canonical import canonical
from tests.differential.opa_server import running_opa

ENTRYPOINT = "mesh/builtins/result"
# The same examples each time, but for `--hypothesis-profile=long`, which looks for new ones.
FEW = settings().max_examples <= 100
NOTHING = b"nothing"
REGEXES = ("^[a-z]+$", "a|b", "^team-[0-9]{1,3}$", "[^\\\\s]+@[^\\\\s]+", "")
GLOBS = ("*", "eu-*", "a?c", "[a-c]*", "{eu,us}-*", "user:*")

# Other texts never reach a policy: the decider denies before.
PLAIN = st.characters(exclude_categories=["Cc", "Cs"], exclude_characters='"\\')
TEXTS = st.text(PLAIN, max_size=12) | st.sampled_from(
    ["", "a", "abc", "eu-west", "team-12", "ana@mesh.example", "user:ana", "é", "12", "-3", "1.5"]
)
NUMBERS = st.integers(1 - 2**53, 2**53 - 1)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
LISTS = st.lists(SCALARS, max_size=6)
OBJECTS = st.dictionaries(TEXTS, SCALARS, max_size=4)

# The call of each, and what it is called with.
CALLS: dict[str, tuple[str, list[st.SearchStrategy[Any]]]] = {
    "abs": ("abs(input.a)", [NUMBERS]),
    "array.concat": ("array.concat(input.a, input.b)", [LISTS, LISTS]),
    "concat": ('concat(":", [input.a, input.b])', [TEXTS, TEXTS]),
    "contains": ("contains(input.a, input.b)", [TEXTS, TEXTS]),
    "count": ("count(input.a)", [LISTS | OBJECTS | TEXTS]),
    "endswith": ("endswith(input.a, input.b)", [TEXTS, TEXTS]),
    "object.get": ("object.get(input.a, input.b, input.c)", [OBJECTS, TEXTS, SCALARS]),
    "object.keys": ("count(object.keys(input.a) & {input.b, input.c})", [OBJECTS, TEXTS, TEXTS]),
    "object.union": ("object.union(input.a, input.b)", [OBJECTS, OBJECTS]),
    "split": ("split(input.a, input.b)", [TEXTS, st.sampled_from([":", ",", "-", "ab"])]),
    "startswith": ("startswith(input.a, input.b)", [TEXTS, TEXTS]),
    "trim_prefix": ("trim_prefix(input.a, input.b)", [TEXTS, TEXTS]),
    "trim_suffix": ("trim_suffix(input.a, input.b)", [TEXTS, TEXTS]),
    **{
        f"is_{kind}": (f"is_{kind}(input.a)", [VALUES])
        for kind in ("array", "boolean", "null", "number", "object", "set", "string")
    },
    **{f"regex.match {p}": (f"regex.match(`{p}`, input.a)", [TEXTS]) for p in REGEXES},
    **{f"glob.match {p}": (f'glob.match("{p}", [], input.a)', [TEXTS]) for p in GLOBS},
    **{f"glob.match : {p}": (f'glob.match("{p}", [":"], input.a)', [TEXTS]) for p in GLOBS},
}
# Called with what no author intends: the wrong kind of value.
ODD = {f"odd {name}": (call, [VALUES for _ in given_]) for name, (call, given_) in CALLS.items()}
ALL = {**CALLS, **ODD}


def module() -> str:
    rules = [
        f"result := x if {{\n\tinput.call == {number}\n\tx := {call}\n}}\n"
        for number, (call, _) in enumerate(ALL.values())
    ]
    return "package mesh.builtins\n\n" + "\n".join(rules)


@dataclass
class Engines:
    """Both, with the same module."""

    regopy: Engine
    opa: Engine

    def answers(self, document: dict[str, Any]) -> tuple[bytes, bytes]:
        return _answer(self.regopy, document), _answer(self.opa, document)


def _answer(engine: Engine, document: dict[str, Any]) -> bytes:
    try:
        return canonical(engine.evaluate(canonical(document)))
    except PolicyError:
        return NOTHING


@pytest.fixture(scope="module")
def opa_url() -> Iterator[str]:
    with running_opa() as server:
        yield server.url


@contextmanager
def engines_on(policy: Policy, url: str) -> Iterator[Engines]:
    """Both engines for the length of a block, with a policy."""
    both = RegopyEngine(ENTRYPOINT, 0.5), OpaEngine(url, ENTRYPOINT, 0.5, "builtins")
    for engine in both:
        engine.load(policy)
    yield Engines(*both)
    for engine in both:
        engine.close()


@pytest.fixture(scope="module")
def engines(opa_url: str) -> Iterator[Engines]:
    with engines_on(Policy({"library/builtins.rego": module()}), opa_url) as engines:
        yield engines


def test_every_built_in_that_is_allowed_is_called_here() -> None:
    assert {name.partition(" ")[0] for name in CALLS} == ALLOWED
    assert not ALLOWED & REFUSED.keys()


@pytest.mark.parametrize("name", list(ALL))
@settings(deadline=None, derandomize=FEW)
@given(data=st.data())
def test_engines_agree(engines: Engines, name: str, data: st.DataObject) -> None:
    values = [data.draw(strategy) for strategy in ALL[name][1]]
    document = {"call": list(ALL).index(name), **dict(zip("abc", values, strict=False))}
    regopy, opa = engines.answers(document)
    assert regopy == opa, (name, document)


STATED = {
    "text": ['""', '"a"', '"abc"', '"ab-c"', '"user:ana"', '"T08:00:00"', '"é"'],
    "number": ["0", "7", "-12", "100", "1"],
    "list": ["[]", '["a", "b"]', "[1, 10, 9]"],
    "object": ["{}", '{"a": 1}', '{"abc": "x", "": []}'],
}
KINDS = {
    "abs": ["number"],
    "array.concat": ["list", "list"],
    "count": ["list"],
    "object.get": ["object", "text", "text"],
    "object.keys": ["object", "text", "text"],
    "object.union": ["object", "object"],
    "regex.match": ["text"],
    "glob.match": ["text"],
}


PARAMETERS = ("", "a", "a, b", "a, b, c")


def stated(name: str) -> list[tuple[str, str]]:
    """The call as a function's body, and the values of the module's own to hand it."""
    call, parameters = CALLS[name]
    kinds = KINDS.get(name.partition(" ")[0], ["text"] * len(parameters))
    values = itertools.product(*(STATED[kind] for kind in kinds))
    body = re.sub(r"input\.([abc])", r"\1", call)
    return [(body, ", ".join(given)) for given in itertools.islice(values, 60)]


@pytest.mark.parametrize("name", list(CALLS))
def test_engines_agree_on_what_a_module_states(name: str, opa_url: str) -> None:
    """Values of a module's own take another way through rego-cpp than the input's do."""
    calls = stated(name)
    rules = [
        f"f{number}({PARAMETERS[len(CALLS[name][1])]}) := {body}\n\n"
        f"stated{number} := f{number}({given})\n\n"
        f"result := stated{number} if input.call == {number}\n"
        for number, (body, given) in enumerate(calls)
    ]
    policy = Policy({"library/builtins.rego": "package mesh.builtins\n\n" + "\n".join(rules)})
    with engines_on(policy, opa_url) as engines:
        for number, call in enumerate(calls):
            regopy, opa = engines.answers({"call": number})
            assert regopy == opa, call
