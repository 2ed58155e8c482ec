"""What a layer's modules may not do, found in their texts before anything is compiled. Pure.

Whatever passes still has to compile and to pass its tests; what is found here is what compilers
let pass, or what they take in different ways (docs/policies.md says why for each rule).
"""

import re
from collections.abc import Callable, Iterator, Mapping

from mesh.decisions.builtins import ALLOWED, REFUSED
from mesh.decisions.layers import layer_problems, requirements
from mesh.decisions.metadata import sentences
from mesh.decisions.modules import TEST_SUFFIX, Problem, code, problem_at
from mesh.errors import PolicyInvalid

# What the library has for layers to use.
SHARED = "data.mesh.clock"
_SHARED_FUNCTIONS = frozenset({"midnight", "time_of_day", "today_at", "weekday"})
_PATH = re.compile(r"[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)*\.rego")
_KEYWORDS = frozenset({"as", "contains", "default", "else", "every", "if", "in", "not", "some"})
_CALL = re.compile(r"(?<![\w.])([A-Za-z_]\w*(?:\s*\.\s*\w+)*)\s*\(")
_COMPUTED_CALL = re.compile(r"[\])\"`]\s*\(")
_FUNCTION = re.compile(r"^([A-Za-z_]\w*)\(", re.MULTILINE)
_RULE = re.compile(r"^(?:default[ \t]+)?([A-Za-z_]\w*)\b(?!\()", re.MULTILINE)
_VERDICT = re.compile(r"^(?:default[ \t]+)?(allow|decision|deny)\b", re.MULTILINE)
_NOT = re.compile(r"(?<![\w.])not\b(?:[ \t]+([A-Za-z_]\w*)[ \t]*(?=[;}\r\n]|\Z))?")
_WITH = re.compile(r"(?<![\w.])with\b")
_IMPORT = re.compile(r"^import[ \t]+(\S+)(?:[ \t]+as[ \t]+(\w+))?", re.MULTILINE)
_DATA = re.compile(r"(?<![\w.])data\s*\.\s*mesh\b(?:\s*\.\s*([A-Za-z_]\w*))?")
_FLOAT = re.compile(r"(?<![\w.])\d+(?:\.\d|[eE][+-]?\d)")
_TEMPLATE = re.compile(r"\$[\"`]")
_LITERAL_FIRST = re.compile(r"(?<![\w.])(glob\.match|regex\.match)\(\s*(.)")
_CONCAT = re.compile(
    r"(?<![\w.])concat\("
    r"(?!\s*\"[^\"]*\"\s*,\s*\[[^\[\]|]*+(?:\[[^\]]*+\][^\[\]|]*+)*+\])"
)


def lint(modules: Mapping[str, str]) -> list[Problem]:
    """Every problem of a layer's modules, by place; paths start with the layer."""
    functions = {name for text in modules.values() for name in _FUNCTION.findall(code(text))}
    found: list[Problem] = []
    for path, text in modules.items():
        if _PATH.fullmatch(path) is None:
            found.append(Problem(path, 1, "a module's path is lower-case words and ends in .rego"))
            continue
        try:
            found += layer_problems(path, text)
        except PolicyInvalid as error:
            found.append(Problem(path, 1, error.message.removeprefix(f"{path} ")))
        found += _calls(path, text, functions)
        for rule in _FOR_TESTS if path.endswith(TEST_SUFFIX) else _FOR_LAYERS:
            found += rule(path, text)
    return sorted(found)


def _calls(path: str, text: str, functions: set[str]) -> Iterator[Problem]:
    plain = code(text)
    imported = {alias or name.rpartition(".")[2] for name, alias in _IMPORT.findall(plain)}
    for match in _CALL.finditer(plain):
        name = re.sub(r"\s", "", match.group(1))
        package, _, last = name.rpartition(".")
        own = package in {"", *imported} or package.startswith("data.")
        if name in ALLOWED or name in _KEYWORDS or (last in functions | _SHARED_FUNCTIONS and own):
            continue
        why = REFUSED.get(name, "it is not among those that decide alike on both engines")
        message = f"`{name}` can't be used: {why}; docs/policies.md lists what can"
        yield problem_at(path, text, match.start(), message)
    for match in _COMPUTED_CALL.finditer(plain):
        message = "a function is called by its plain name, so that it can be checked"
        yield problem_at(path, text, match.start(), message)


def _verdicts(path: str, text: str) -> Iterator[Problem]:
    for match in _VERDICT.finditer(code(text)):
        message = (
            f"a layer has no rule `{match.group(1)}`: only the library allows; state what must "
            'hold, `require["<layer>.some_id"] if ...`'
        )
        yield problem_at(path, text, match.start(), message)


def _negations(path: str, text: str) -> Iterator[Problem]:
    plain = code(text)
    rules = set(_RULE.findall(plain))
    for match in _NOT.finditer(plain):
        if match.group(1) not in rules:
            message = (
                "`not` stands only before the name of a rule of this module; with a missing field "
                "inside, engines differ: state the good condition in a rule of its own"
            )
            yield problem_at(path, text, match.start(), message)


def _withs(path: str, text: str) -> Iterator[Problem]:
    for match in _WITH.finditer(code(text)):
        yield problem_at(path, text, match.start(), "`with` is for tests, in files *_test.rego")


def _imports(path: str, text: str) -> Iterator[Problem]:
    own = f"data.mesh.{path.partition('/')[0]}"
    for match in _IMPORT.finditer(code(text)):
        name = match.group(1)
        if name not in ("rego.v1", SHARED, own) and not name.startswith(f"{own}."):
            message = f"a layer imports `{own}` and `{SHARED}` only"
            yield problem_at(path, text, match.start(), message)


def _data(path: str, text: str) -> Iterator[Problem]:
    own = path.partition("/")[0]
    for match in _DATA.finditer(code(text)):
        if match.group(1) not in (own, SHARED.rpartition(".")[2]):
            message = f"this layer reads the input and `data.mesh.{own}`, nothing of another layer"
            yield problem_at(path, text, match.start(), message)


def _numbers(path: str, text: str) -> Iterator[Problem]:
    for match in _FLOAT.finditer(code(text)):
        message = "policies count in whole numbers; engines differ in the last digit of others"
        yield problem_at(path, text, match.start(), message)


def _templates(path: str, text: str) -> Iterator[Problem]:
    for match in _TEMPLATE.finditer(code(text)):
        message = "template strings can't be checked; write the text whole"
        yield problem_at(path, text, match.start(), message)


def _patterns(path: str, text: str) -> Iterator[Problem]:
    for match in _LITERAL_FIRST.finditer(code(text)):
        name, first = match.groups()
        if first not in '"`':
            message = f"the pattern of `{name}` is written as a text, so that it can be checked"
            yield problem_at(path, text, match.start(), message)
    for match in _CONCAT.finditer(code(text)):
        message = '`concat` joins a list that is written out, `concat(":", [a, b])`; others differ'
        yield problem_at(path, text, match.start(), message)


def _sentences(path: str, text: str) -> Iterator[Problem]:
    told = sentences([text])
    for position, id_ in requirements(text):
        if id_ not in told:
            message = (
                f"{id_} has no sentence for those it refuses: write METADATA above one of its "
                f"rules, `# title: {id_}` and `# description: ...`"
            )
            yield problem_at(path, text, position, message)


_Rule = Callable[[str, str], Iterator[Problem]]
_FOR_TESTS: tuple[_Rule, ...] = (_templates,)
_FOR_LAYERS: tuple[_Rule, ...] = (
    _verdicts,
    _negations,
    _withs,
    _imports,
    _data,
    _numbers,
    _templates,
    _patterns,
    _sentences,
)
