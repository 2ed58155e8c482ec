"""Reasons in words, each with what to do about it."""

from collections.abc import Mapping

from cli.receipts import StoredDecision

_NEXT = {
    "agreement.missing": "Ask for access: mesh access request {product} --purpose {purpose} …",
    "agreement.expired": "Ask for access again: mesh access request {product} …",
    "agreement.revoked": "mesh access show {agreement} tells who ended it and why.",
    "purpose.mismatch": "Name the agreement's purpose, or ask for one with purpose {purpose}.",
    "purpose.not_allowed": "mesh product show {product} lists the purposes it allows.",
    "contract.inactive": "Ask the owners: mesh product show {product}.",
    "dataset.uncovered": "Ask for access to {dataset}: mesh access request {product} …",
    "column.unclassified": "The owners must classify every column: mesh contract lint FILE.",
    "policy.error": "The agent's log tells what failed; security looks after policies.",
}
_UNSTATED = "The policy says no sentence about it."


def reason_records(
    decision: StoredDecision, purpose: str | None, sentences: Mapping[str, str]
) -> list[dict[str, object]]:
    """Why a decision denied: each reason, its sentence in the policy, and the next step."""
    words = {
        "product": decision.product,
        "dataset": decision.dataset,
        "purpose": purpose or "PURPOSE",
        "agreement": decision.agreement or "AGREEMENT",
    }
    return [
        {
            "reason": reason,
            "means": sentences.get(reason, _UNSTATED),
            "next": _NEXT.get(reason, "Ask who keeps this policy.").format(**words),
        }
        for reason in decision.reasons
    ]
