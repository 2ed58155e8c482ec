"""An append that waits for its turn in the group commit."""

import threading
from dataclasses import dataclass, field

from mesh.evidence.codec import Draft


@dataclass(slots=True, eq=False)
class Pending:
    """An append under way: durable once it has a sequence.

    `turn` is released when it is done, or when it is to write what waits.
    """

    draft: Draft
    sequence: int = 0
    done: bool = False
    error: Exception | None = None
    turn: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.turn.acquire()
