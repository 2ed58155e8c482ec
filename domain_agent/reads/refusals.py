"""From a decision's reasons to the error that a reader sees: what denied it, and what to do."""

from collections.abc import Sequence

from mesh import errors
from mesh.identity.principal import Principal

_BY_REASON: dict[str, type[errors.MeshError]] = {
    error.reason: error
    for error in (
        errors.AgreementMissing,
        errors.AgreementExpired,
        errors.AgreementRevoked,
        errors.PurposeMismatch,
        errors.PurposeNotAllowed,
        errors.ContractInactive,
        errors.DatasetUncovered,
        errors.ColumnUnclassified,
        errors.PolicyError,
    )
}
_ASK = "ask for access with `mesh access request {product} --purpose {purpose} --role …`"
_SENTENCES = {
    "agreement.missing": "no agreement lets {who} read {product}; " + _ASK,
    "agreement.expired": "the agreement of {who} for {product} has ended; " + _ASK,
    "agreement.revoked": "the agreement of {who} for {product} was revoked; "
    "`mesh access list` shows why",
    "purpose.mismatch": "no agreement of {who} for {product} is for purpose {purpose}; " + _ASK,
    "purpose.not_allowed": "the contract of {product} does not allow purpose {purpose}; "
    "`mesh product show {product}` lists the purposes it allows",
    "contract.inactive": "the contract of {product} is not active; ask its owners",
    "dataset.uncovered": "the agreement of {who} does not cover {dataset} of {product}; "
    "request one that does",
    "column.unclassified": "a column of {dataset} has no known classification, so nothing of it "
    "is served; ask the owners of {product}",
    "policy.error": "the policy could not decide about {product}, so nothing is served; "
    "the agent's operator finds why in its log",
}


def refusal(
    reasons: Sequence[str], principal: Principal, product: str, dataset: str, purpose: str
) -> errors.MeshError:
    """The error for a denied decision; its first reason leads, all are in the metadata."""
    first = reasons[0] if reasons else errors.PolicyError.reason
    words = {
        "who": principal.reference,
        "product": product,
        "dataset": dataset,
        "purpose": purpose,
    }
    metadata = {"product": product, "dataset": dataset, "reasons": ",".join(reasons)}
    known = _BY_REASON.get(first)
    if known is not None:
        return known(_SENTENCES[first].format(**words), **metadata)
    return errors.PolicyDenied(
        f"policy denies the read of {product}: {', '.join(reasons)}; `mesh why` explains the rule",
        id=first,
        **metadata,
    )
