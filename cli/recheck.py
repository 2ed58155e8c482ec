"""Decides stored decisions anew: the same input, the same policy, a fresh engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cli.client import Client
from cli.receipts import StoredDecision
from mesh import errors
from mesh.decisions.policy import Policy
from mesh.decisions.recompute import recompute
from mesh.v1 import policies_pb2


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a decision came out as stored; `problem` says how it did not."""

    problem: str | None
    recomputed: str | None

    @property
    def equal(self) -> bool:
        """Nothing differs."""
        return self.problem is None


def fetch_policy(client: Client, digest: str) -> Policy:
    """The modules of a digest, as the control plane has them."""
    found = client.call(client.policies.GetPolicy, policies_pb2.GetPolicyRequest(digest=digest))
    modules: dict[str, str] = {}
    for module in found.policy.modules:
        request = policies_pb2.GetPolicyModuleRequest(digest=digest, path=module.path)
        modules[module.path] = client.call(client.policies.GetPolicyModule, request).module.text
    return Policy(modules)


def policies_of(
    decisions: Sequence[StoredDecision], fetch: Callable[[str], Policy]
) -> Mapping[str, Policy]:
    """The policy of every decision, by digest; each fetched once."""
    return {digest: fetch(digest) for digest in {d.policy_digest for d in decisions}}


def verdict(decision: StoredDecision, policy: Policy) -> Verdict | None:
    """Decide again and compare, byte for byte in canonical form; None where the input is sealed."""
    if decision.input is None:
        return None
    if policy.digest != decision.policy_digest:
        return Verdict(
            f"the modules kept for policy {decision.policy_digest} have the digest {policy.digest}",
            None,
        )
    try:
        made = recompute(decision.input, decision.decision, policy)
    except errors.MeshError as error:
        return Verdict(f"it can't be decided anew: {error.message}", None)
    except ValueError as error:
        return Verdict(f"the evidence is malformed: {error}", None)
    again = made.recomputed.decode()
    if made.equal:
        return Verdict(None, again)
    return Verdict("a fresh engine decides otherwise from the same input", again)
