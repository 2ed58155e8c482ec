"""What a Rego module's text tells without compiling it. Where it can't tell, it assumes the worse.

Text inside strings and comments is blanked first, so that only code is looked at.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mesh.decisions.policy import Policy
from mesh.errors import PolicyInvalid

# A template string holds code; blanking would hide it, so its opening is kept to be found.
# One that is not closed is kept too, to its end: scanning it again and again would take for ever.
_OPAQUE = re.compile(
    r"""#[^\n]*|(?P<template>\$)?(?:"(?:\\.|[^"\\\n])*+(?P<open>"?)|`[^`]*+(?P<raw>`?))"""
)
_PACKAGE = re.compile(r"^package[ \t]+([a-zA-Z_][\w.]*)[ \t]*$", re.MULTILINE)
_TEST = re.compile(r"^(test_\w+)\b", re.MULTILINE)
_NAME = re.compile(r"(?<![\w.])(input|data)\b(?:\.([a-zA-Z_]\w*))?")
_VALID_UNTIL = re.compile(r"^valid_until\b", re.MULTILINE)
_WITH_INPUT = re.compile(r"\bwith[ \t]+input[ \t]+as\b")

# Every look at a module needs its code, and one look follows the other.
_LOOKED_AT = 8

TEST_SUFFIX = "_test.rego"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong with a module, and where; lines count from 1. Without a path, of them all."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}" if self.path else self.message


@lru_cache(maxsize=_LOOKED_AT)
def code(text: str) -> str:
    """The text with the inside of every string and comment blanked; positions stay."""

    def blanked(match: re.Match[str]) -> str:
        found = match.group()
        if found.startswith("#"):
            return " " * len(found)
        if match.group("open") == "" or match.group("raw") == "":
            return found
        start = 2 if match.group("template") else 1
        inner = "".join("\n" if char == "\n" else " " for char in found[start:-1])
        return found[:start] + inner + found[-1]

    return _OPAQUE.sub(blanked, text)


def without_comments(text: str) -> str:
    """The text with every comment blanked; positions stay."""

    def blanked(match: re.Match[str]) -> str:
        found = match.group()
        return " " * len(found) if found.startswith("#") else found

    return _OPAQUE.sub(blanked, text)


def package_of(path: str, text: str) -> str:
    """The package a module declares. Raises PolicyInvalid without exactly one."""
    start, end = package_span(path, text)
    return text[start:end]


def package_span(path: str, text: str) -> tuple[int, int]:
    """Where a module's package is named. Raises PolicyInvalid without exactly one."""
    found = list(_PACKAGE.finditer(code(text)))
    if len(found) != 1:
        raise PolicyInvalid(
            f"{path} declares its package in one line, such as `package mesh.organisation`"
        )
    return found[0].span(1)


def tests_in(text: str) -> list[str]:
    """The names of a module's `test_` rules, in order, each once."""
    return list(dict.fromkeys(_TEST.findall(code(text))))


def reads_now(text: str) -> bool:
    """Whether a module may look at `input.now`: it names it, or the input as a whole."""
    plain = _WITH_INPUT.sub("", code(text))
    if '$"' in plain or "$`" in plain:
        return True
    return any(root == "input" and field in ("", "now") for root, field in _NAME.findall(plain))


def names_data(text: str) -> Iterator[tuple[int, str]]:
    """Every reference to `data`, as its position and the name that follows, or nothing."""
    for match in _NAME.finditer(code(text)):
        if match.group(1) == "data":
            yield match.start(), match.group(2) or ""


def check_data(path: str, text: str) -> None:
    """Raise PolicyInvalid when a module may look at other data than its own policy's."""
    for problem in data_problems(path, text):
        raise PolicyInvalid(str(problem))


def data_problems(path: str, text: str) -> Iterator[Problem]:
    """Every reference to other data than the policy's own."""
    for position, name in names_data(text):
        if name != "mesh":
            yield problem_at(
                path,
                text,
                position,
                "policies read the input and `data.mesh.`..., nothing else, so that decisions can "
                "be recomputed",
            )


def problem_at(path: str, text: str, position: int, message: str) -> Problem:
    """A problem at a position of a module's text."""
    return Problem(path, text.count("\n", 0, position) + 1, message)


def turns_by_itself(policy: Policy) -> bool:
    """Whether a module may look at `now` although its package states no `valid_until`."""
    packages = {path: package_of(path, text) for path, text in policy.modules.items()}
    stating = {
        packages[path] for path, text in policy.modules.items() if _VALID_UNTIL.search(code(text))
    }
    return any(
        reads_now(text) and packages[path] not in stating for path, text in policy.modules.items()
    )


def any_reads_now(policy: Policy) -> bool:
    """Whether any module may look at `now`."""
    return any(reads_now(text) for text in policy.modules.values())
