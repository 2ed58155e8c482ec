"""How large a layer may be, and that its modules are text at plain paths. Pure."""

import re
from collections.abc import Mapping

from mesh.decisions.modules import Problem, problem_at

MAX_MODULES = 500
MAX_MODULE_BYTES = 512 * 1024
MAX_BYTES = 4 * 1024 * 1024
MAX_PATH = 200

_PATH = re.compile(r"[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)*\.rego")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def read_texts(modules: Mapping[str, bytes | str]) -> tuple[dict[str, str], list[Problem]]:
    """The modules' texts by path, and what keeps them from being a layer."""
    if not modules:
        return {}, [Problem("", 0, "there are no modules, files that end in .rego")]
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    total = 0
    for path, content in modules.items():
        try:
            body = content.encode() if isinstance(content, str) else content
            total += len(body)
            problems += _oversized(path, len(body))
            texts[path] = body.decode()
            problems += _controls(path, texts[path])
        except UnicodeEncodeError:
            problems.append(Problem(path, 1, "it is not UTF-8"))
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            problems.append(Problem(path, line, "it is not UTF-8"))
    if len(modules) > MAX_MODULES:
        problems.append(Problem("", 0, f"it has {len(modules)} modules, at most {MAX_MODULES}"))
    if total > MAX_BYTES:
        problems.append(Problem("", 0, f"it has {total:,} bytes in all, at most {MAX_BYTES:,}"))
    return texts, sorted(problems)


def _oversized(path: str, size: int) -> list[Problem]:
    found = []
    if len(path) > MAX_PATH or _PATH.fullmatch(path) is None:
        message = (
            f"a module's path is lower-case words, at most {MAX_PATH} characters, ends in .rego"
        )
        found.append(Problem(path, 1, message))
    if size > MAX_MODULE_BYTES:
        message = f"a module has at most {MAX_MODULE_BYTES:,} bytes; split it"
        found.append(Problem(path, 1, message))
    return found


def _controls(path: str, text: str) -> list[Problem]:
    match = _CONTROL.search(text)
    if match is None:
        return []
    code = f"U+{ord(match.group()):04X}"
    return [problem_at(path, text, match.start(), f"it holds the control character {code}")]
