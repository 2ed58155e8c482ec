"""What may become of a column, named once for contracts, decisions and agents."""

from enum import StrEnum


class Mask(StrEnum):
    """What becomes of a column's values, mildest first; all but `drop` keep the type."""

    CLEAR = "clear"
    GENERALISE = "generalise"
    PARTIAL = "partial"
    PSEUDONYM = "pseudonym"
    CONSTANT = "constant"
    NULL = "null"
    DROP = "drop"


def strictness(mask: Mask) -> int:
    """How strict a mask is, from 0 for the mildest."""
    return list(Mask).index(mask)
