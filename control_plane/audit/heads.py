"""What becomes of an agent's word on its log, beside what is stored of it."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from mesh.evidence.checkpoints import Checkpoint


class Standing(StrEnum):
    """How a checkpoint stands to the log that is stored."""

    PENDING = "pending"
    FITS = "fits"
    FORKED = "forked"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """How a checkpoint stands, and what does not fit, in words; empty when it does."""

    standing: Standing
    problem: str = ""


def accept_checkpoint(
    checkpoint: Checkpoint, stored_size: int, stored_root: bytes | None, others: Collection[bytes]
) -> Acceptance:
    """Judge a checkpoint whose signature was checked.

    `stored_root` is the root of what is stored at its size, None when less is stored; `others` are
    the roots of the agent's other checkpoints of that size. A smaller size than before is no
    problem by itself: what counts is that it tells of the same log.
    """
    name, size = f"{checkpoint.domain}/{checkpoint.agent}", checkpoint.size
    if any(root != checkpoint.root for root in others):
        return Acceptance(Standing.FORKED, f"{name} signed two different logs of {size:,} records")
    if stored_root is None:
        return Acceptance(Standing.PENDING)
    if stored_root == checkpoint.root:
        return Acceptance(Standing.FITS)
    return Acceptance(
        Standing.FORKED,
        f"{name} signed for {size:,} records that are not the first {size:,} of the"
        f" {stored_size:,} stored; its log was forked or edited",
    )
