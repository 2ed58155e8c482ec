"""Names of domains, products, datasets, purposes and agents: safe in SQL and in paths."""

import re

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
HYPHENATED = re.compile(r"[a-z][a-z0-9-]{0,62}")
RESERVED = frozenset({"main", "temp", "system", "memory", "information_schema", "pg_catalog"})
NAME_RULE = "a lower-case letter, then at most 62 of a-z, 0-9 and _, and none of " + ", ".join(
    sorted(RESERVED)
)
HYPHENATED_RULE = "a lower-case letter, then at most 62 of a-z, 0-9 and -"


def is_name(text: str) -> bool:
    """Whether text may name a domain, a product or a dataset."""
    return NAME.fullmatch(text) is not None and text not in RESERVED


def is_hyphenated(text: str) -> bool:
    """Whether text may name a purpose or an agent."""
    return HYPHENATED.fullmatch(text) is not None
