"""The rules of a layer's modules, found in their texts, and which of them use which. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mesh.decisions.modules import code, package_of, problem_at

_HEAD = re.compile(r"^(?:default[ \t]+)?([A-Za-z_]\w*)(\()?", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z_]\w*")
_CALL = re.compile(r"[A-Za-z_][\w.]*\(")
_NO_RULES = frozenset({"package", "import", "else"})


@dataclass(frozen=True, slots=True)
class Definition:
    """One definition of a rule or a function; a rule may have several."""

    path: str
    line: int
    package: str
    name: str
    is_function: bool
    text: str
    words: frozenset[str]

    @property
    def entrypoint(self) -> str:
        """Where its rule is asked for."""
        return f"{self.package}/{self.name}".replace(".", "/")

    @property
    def calls(self) -> bool:
        """Whether its body calls any function."""
        return _CALL.search(code(self.text).partition(" if ")[2] or code(self.text)) is not None


def definitions(modules: Mapping[str, str]) -> list[Definition]:
    """Every definition, by module and line."""
    found = []
    for path, text in sorted(modules.items()):
        plain, package = code(text), package_of(path, text)
        heads = [match for match in _HEAD.finditer(plain) if match[1] not in _NO_RULES]
        ends = [match.start() for match in heads[1:]] + [len(text)]
        for match, end in zip(heads, ends, strict=True):
            body = plain[match.end() : end]
            found.append(
                Definition(
                    path,
                    problem_at(path, text, match.start(), "").line,
                    package,
                    match[1],
                    match[2] is not None,
                    text[match.start() : end],
                    frozenset(_WORD.findall(body)),
                )
            )
    return found


def roots(failing: Iterable[str], every: list[Definition]) -> set[str]:
    """Those names that fail by themselves, and not for using another that fails."""
    names = set(failing)
    own = {
        name
        for name in names
        if not any(d.words & (names - {name}) for d in every if d.name == name)
    }
    return own or names


def recursive(every: list[Definition]) -> list[Definition]:
    """Those that use themselves, on whatever way."""
    uses: dict[str, set[str]] = {}
    names = {definition.name for definition in every}
    for definition in every:
        uses.setdefault(definition.name, set()).update(definition.words & names)
    return [one for one in every if one.name in _reached(one.name, uses)]


def _reached(name: str, uses: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(uses[name])
    while waiting:
        following = waiting.pop()
        if following not in seen:
            seen.add(following)
            waiting += uses[following]
    return seen
