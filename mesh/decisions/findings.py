"""What a rehearsal found: who gains or loses what, in groups, worst first. Pure."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mesh.contracts.values import Classification
from mesh.decisions.comparing import Kind
from mesh.evidence.canonical import canonical

_ID_CHARS = 12
_KINDS = {kind: place for place, kind in enumerate(Kind)}
_CLASSES = {one.value: place for place, one in enumerate(Classification)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that changes for one reader and purpose.

    `reads` are the recorded decisions that it would have changed, `last` the time of the newest.
    Columns are of one class; a finding about a whole dataset has none.
    """

    kind: Kind
    product: str
    dataset: str
    columns: tuple[str, ...]
    classification: str
    category: str
    before: str
    after: str
    principal: str
    purpose: str
    reads: int
    last: datetime

    @property
    def id(self) -> str:
        """What it is accepted by: the same finding has the same id in each rehearsal."""
        told = [
            self.kind.value, self.product, self.dataset, list(self.columns), self.classification,
            self.category, self.before, self.after, self.principal, self.purpose,
        ]  # fmt: skip
        return hashlib.sha256(canonical(told)).hexdigest()[:_ID_CHARS]


def grouped(findings: Iterable[Finding]) -> list[Finding]:
    """Each thing once, with all its reads, worst first."""
    groups: dict[str, Finding] = {}
    for one in findings:
        known = groups.get(one.id)
        groups[one.id] = (
            one
            if known is None
            else replace(one, reads=known.reads + one.reads, last=max(known.last, one.last))
        )
    return sorted(groups.values(), key=_badness)


def gains(findings: Sequence[Finding]) -> list[Finding]:
    """Those that show somebody more than before."""
    return [one for one in findings if one.kind.gains]


def _badness(finding: Finding) -> tuple[int, int, int, str]:
    secrecy = _CLASSES.get(finding.classification, -1)
    return _KINDS[finding.kind], -secrecy, -finding.reads, finding.id
