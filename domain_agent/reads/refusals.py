"""What a refusal tells: to its reader in full, to evidence without any word that was theirs."""

from collections.abc import Mapping, Sequence

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
# Their messages are made of what contracts, policies and operators say; no reader has a word there.
_OF_THE_MESH: tuple[type[errors.MeshError], ...] = (
    errors.PolicyDenied,
    errors.ColumnUnclassified,
    errors.MaskUnsupported,
    errors.FilterUnsupported,
    errors.LimitUnsupported,
    errors.StatementAggregatesOnly,
    errors.SourceDrift,
    errors.SourceMissing,
    errors.SourceOutsideRoots,
    errors.SourceUnsupported,
)
_READER = "the reader"
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
    known = _BY_REASON.get(first)
    if known is not None:
        metadata = {"product": product, "dataset": dataset, "purpose": purpose}
        message = _sentence(first, principal.reference, metadata)
        return known(message, **metadata, reasons=",".join(reasons))
    return errors.PolicyDenied(
        f"policy denies the read of {product}: {', '.join(reasons)}; `mesh why` explains the rule",
        id=first,
        product=product,
        dataset=dataset,
        reasons=",".join(reasons),
    )


def recorded(error: errors.MeshError) -> errors.MeshError:
    """The refusal as evidence keeps it: without the reader's words, and without their name.

    Unless a message is known to hold none, what its class means stands in for it.
    """
    kept = {key: error.metadata[key] for key in ("id", "reasons") if key in error.metadata}
    return type(error)(_recorded_message(error), **kept)


def _recorded_message(error: errors.MeshError) -> str:
    if type(error) in _BY_REASON.values() and {"product", "purpose"} <= error.metadata.keys():
        return _sentence(error.reason, _READER, error.metadata)
    if isinstance(error, _OF_THE_MESH):
        return error.message
    return (type(error).__doc__ or error.reason).strip()


def _sentence(reason: str, who: str, words: Mapping[str, str]) -> str:
    return _SENTENCES[reason].format(who=who, **words)
