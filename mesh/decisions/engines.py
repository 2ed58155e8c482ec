"""What a policy engine promises, whichever it is."""

from typing import Protocol

from mesh.decisions.policy import Policy

ACCESS_ENTRYPOINT = "mesh/access/decision"
DEADLINE = 0.05


class Engine(Protocol):
    """Evaluates one entrypoint of one policy. Thread-safe."""

    name: str

    def load(self, policy: Policy) -> None:
        """Replace the policy whole. Raises PolicyInvalid and keeps the old one when it is bad."""

    def evaluate(self, document: bytes) -> object:
        """The entrypoint's one result for an input in canonical JSON.

        Raises PolicyError when it is undefined, fails, is not exactly one, or comes too late.
        """

    def close(self) -> None:
        """Free what the engine holds; it evaluates nothing afterwards."""
