"""From DuckDB's exceptions to errors that carry no data value.

Messages are built anew from the few shapes known to hold only words of the statement; whatever
else DuckDB says stays in the detail, which goes to the agent's log.
"""

import re
from collections.abc import Callable

import duckdb
import pyarrow as pa

from domain_agent.worker.frames import Fault
from mesh import errors

_NAME = r'"?([A-Za-z_][A-Za-z0-9_]{0,62})"?'
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(rf"Binder Error: Referenced column {_NAME} not found in FROM clause"),
        "there is no column {0} in what the statement reads",
    ),
    (
        re.compile(rf"Binder Error: Referenced table {_NAME} not found"),
        "there is no relation or alias {0} in the FROM clause",
    ),
    (
        re.compile(
            rf"Binder Error: (?:Table|Values list) {_NAME} does not have a column named {_NAME}"
        ),
        "{0} has no column {1}",
    ),
    (
        re.compile(rf"Binder Error: Ambiguous reference to column name {_NAME}"),
        "column {0} is ambiguous; write the relation's name before it",
    ),
    (
        re.compile(rf"Binder Error: column {_NAME} must appear in the GROUP BY clause"),
        "column {0} must appear in GROUP BY or inside an aggregate function",
    ),
    (
        re.compile(
            r"Binder Error: No function matches the given name and argument types"
            r" '([a-z_0-9]+\([A-Z0-9_, ()\[\]]*\))'"
        ),
        "no function matches {0}; add explicit casts",
    ),
    (
        re.compile(r"Binder Error: Set operations can only apply to expressions with the same"),
        "the parts of a UNION, INTERSECT or EXCEPT have different numbers of columns",
    ),
    (
        re.compile(r"Binder Error: Subquery returns (\d+) columns - expected (\d+)"),
        "a subquery returns {0} columns where {1} are expected",
    ),
    (re.compile(rf"syntax error at or near {_NAME}"), "there is a syntax error at or near {0}"),
    (re.compile(r"syntax error at or near"), "there is a syntax error"),
    (re.compile(r"unterminated string literal"), "a string literal has no end"),
    (re.compile(r"SELECT clause without selection list"), "SELECT lists no column"),
)


def spoken(message: str, statement: str) -> str:
    """What may be said of a message: only words that the statement itself holds."""
    for shape, words in _SHAPES:
        match = shape.search(message)
        if match is not None and all(_known(word, statement) for word in match.groups()):
            return words.format(*match.groups())
    return ""


def invalid(message: str, statement: str, position: str = "") -> errors.StatementInvalid:
    """The refusal of a statement that does not parse or bind, with where it breaks if known."""
    why = spoken(message, statement)
    if not why:
        return errors.StatementInvalid(
            "the statement does not parse or bind against the datasets it names; check names,"
            " types and syntax (docs/sql.md says what is served)"
        )
    where = f", at character {int(position) + 1}" if position.isdecimal() else ""
    return errors.StatementInvalid(f"the statement is not valid: {why}{where}")


def fault(error: Exception, statement: str) -> Fault:
    """What the agent is told of a failure."""
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, errors.MeshError):
        return Fault(error)
    if _is_memory(error):
        return Fault(
            errors.StatementOutOfMemory(
                "the statement needs more memory than the agent allows; read less at once"
            ),
            detail,
            fatal=True,
        )
    if isinstance(error, _BINDING):
        return Fault(invalid(str(error), statement), detail)
    return Fault(
        errors.StatementFailed(
            "the statement failed while it ran; what failed may hold data and is only in the"
            " agent's log. Casts that can fail are written TRY_CAST"
        ),
        detail,
        fatal=not isinstance(error, _ORDINARY) or _BROKEN.match(str(error)) is not None,
    )


_BINDING: tuple[type[Exception], ...] = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ParserException,
    duckdb.SyntaxException,
)
# Once rows flow, Arrow passes on what DuckDB says in exceptions of its own.
_ORDINARY: tuple[type[Exception], ...] = (duckdb.Error, pa.ArrowException, OSError)
_BROKEN = re.compile(r"(FATAL|INTERNAL) Error", re.IGNORECASE)


def _is_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | duckdb.OutOfMemoryException):
        return True
    text = str(error)
    return "bad_alloc" in text or "malloc of size" in text or "Out of Memory" in text


def _known(word: str, statement: str) -> bool:
    return word.isdigit() or all(
        part.lower() in statement.lower() for part in _WORDS(word) if not part.isupper()
    )


_WORDS: Callable[[str], list[str]] = re.compile(r"[A-Za-z_0-9]+").findall
