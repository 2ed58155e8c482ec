"""What is checked of a statement's text before anything parses it."""

import re

from mesh.errors import StatementInvalid, StatementTooDeep, StatementTooLong

MAX_BYTES = 64 * 1024
MAX_BRACKETS = 64
MAX_TOKENS = 20_000
# The parser writes these out as many times as they have members.
_EXPANDING = frozenset({"rollup", "cube"})
MAX_EXPANDED_TOKENS = 1_000
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_TOKEN = re.compile(
    r"""
    (?P<skip> \s+ | --[^\r\n]* )
  | (?P<comment> /\* )
  | [eE]'(?: [^'\\]++ | '' | \\. )*+(?: '|\Z )
  | '(?: [^']++ | '' )*+(?: '|\Z )
  | "(?: [^"]++ | "" )*+(?: "|\Z )
  | \$(?P<tag> [A-Za-z_]\w* )?\$ .*? (?: \$(?(tag)(?P=tag))\$ | \Z )
  | (?P<open> [(\[{] )
  | (?P<close> [)\]}] )
  | [\w.][\w.$]*+
  | .
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def precheck(sql: str) -> None:
    """Refuse a text that is too long, too deep, or can't be what a person or a tool wrote.

    It only keeps the parser from needless work: what is allowed is decided on the parsed tree.
    """
    if len(sql) > MAX_BYTES:
        raise _too_long()
    try:
        size = len(sql.encode())
    except UnicodeEncodeError as error:
        raise StatementInvalid(
            f"The statement has half a character (a lone surrogate) at {error.start}. "
            "Send it as UTF-8."
        ) from None
    if size > MAX_BYTES:
        raise _too_long()
    control = _CONTROL.search(sql)
    if control is not None:
        raise StatementInvalid(
            f"The statement has a control character at {control.start()}. "
            "Only tab, line feed, form feed and carriage return are allowed."
        )
    _check_tokens(sql)


def _check_tokens(sql: str) -> None:
    depth = tokens = position = 0
    most = MAX_TOKENS
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        if match is None:
            raise StatementInvalid(f"The statement can't be read at character {position}.")
        position = match.end()
        if match["skip"] is not None:
            continue
        if match["comment"] is not None:
            position = _comment_end(sql, match.end())
            continue
        tokens += 1
        if match[0].lower() in _EXPANDING:
            most = MAX_EXPANDED_TOKENS
        depth += (match["open"] is not None) - (match["close"] is not None)
        if depth > MAX_BRACKETS:
            raise StatementTooDeep(
                f"The statement nests brackets deeper than {MAX_BRACKETS}. "
                "Name its parts with WITH."
            )
        if tokens > most:
            raise StatementTooLong(
                f"The statement has more than {most:,} words and signs. Write a shorter one."
            )


def _comment_end(sql: str, position: int) -> int:
    """Where a block comment ends; they nest."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(sql, position):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(sql)


def _too_long() -> StatementTooLong:
    return StatementTooLong("The statement is longer than 64 KiB. Write a shorter one.")
