"""A decision and what it is made from, free of any engine's types."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mesh.masks import Mask


@dataclass(frozen=True, slots=True)
class ColumnClass:
    """What a policy sees of columns: all columns of one class are treated alike."""

    classification: str
    category: str | None
    tags: tuple[str, ...]
    mask: str | None


@dataclass(frozen=True, slots=True)
class MaskChoice:
    """The mask of one class and the rules that chose it."""

    mask: Mask
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowRule:
    """One structured row filter and the rule that set it; all of a decision's are ANDed."""

    rule: str
    filter: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Decision:
    """Verdict with its factors. The default denies: it has no reason to allow.

    `masks` is keyed by class id ("c0", "c1", ... in the input's order) and covers every class
    when it allows. `limits` holds at most `rows` and `group`. `valid_until` is when the policy's
    answer may change by itself.
    """

    allow: bool = False
    reasons: tuple[str, ...] = ()
    masks: Mapping[str, MaskChoice] = field(default_factory=dict)
    rows: tuple[RowRule, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    valid_until: datetime | None = None
