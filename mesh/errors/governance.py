"""What the control plane refuses: contracts, agreements, purposes, policies, duties."""

from mesh.errors.kinds import (
    Conflict,
    Denied,
    Exhausted,
    Invalid,
    NotFound,
    Precondition,
    Stale,
    Unavailable,
)


class RequestInvalid(Invalid):
    """A field of the request is missing or malformed."""

    reason = "request.invalid"


class ErasureOpen(Precondition):
    """The principal still has agreements that are requested or active; end them first."""

    reason = "erasure.open"


class RequestTooLarge(Exhausted):
    """The request is larger than the service accepts."""

    reason = "request.too_large"


class ContractNotFound(NotFound):
    """No such product, or no such version of it, or the caller may not see it."""

    reason = "contract.not_found"


class ContractInvalid(Invalid):
    """The contract breaks ODCS or the mesh's own rules; the message lists every problem."""

    reason = "contract.invalid"


class ContractTooLarge(Exhausted):
    """The contract is larger than 512 KiB."""

    reason = "contract.too_large"


class ContractVersionTaken(Conflict):
    """The version is published with another content; publish a new version instead."""

    reason = "contract.version_taken"


class ContractInactive(Denied):
    """The contract's status does not allow reads; active and deprecated ones are readable."""

    reason = "contract.inactive"


class DatasetNotFound(NotFound):
    """The product has no such dataset."""

    reason = "dataset.not_found"


class DatasetUncovered(Denied):
    """The agreement does not cover this dataset."""

    reason = "dataset.uncovered"


class RoleUnknown(Invalid):
    """The contract offers no such role."""

    reason = "role.unknown"


class AgreementNotFound(NotFound):
    """No such agreement, or the caller may not see it."""

    reason = "agreement.not_found"


class AgreementMissing(Denied):
    """No agreement of this consumer covers the product."""

    reason = "agreement.missing"


class AgreementExpired(Denied):
    """The agreement is past its end."""

    reason = "agreement.expired"


class AgreementRevoked(Denied):
    """The agreement was revoked."""

    reason = "agreement.revoked"


class AgreementInvalid(Invalid):
    """The request for access is malformed, such as an end in the past or over a year away."""

    reason = "agreement.invalid"


class AgreementSettled(Precondition):
    """The agreement is not in a state that allows this step."""

    reason = "agreement.settled"


class AgreementUnenforced(Unavailable):
    """Not every agent of the domain enforces the revocation yet."""

    reason = "agreement.unenforced"


class ApprovalNoApprover(Precondition):
    """Every owner of the product is the requester or in the requesting team."""

    reason = "approval.no_approver"


class ApprovalSelf(Denied):
    """An owner who asked, or is in the team that asked, can't approve."""

    reason = "approval.self"


class PurposeMissing(Invalid):
    """The read names no purpose; send it as `x-mesh-purpose`."""

    reason = "purpose.missing"


class PurposeUnknown(Invalid):
    """The purpose is not registered."""

    reason = "purpose.unknown"


class PurposeTaken(Conflict):
    """The purpose is registered with another title."""

    reason = "purpose.taken"


class PurposeNotAllowed(Denied):
    """The contract does not allow this purpose."""

    reason = "purpose.not_allowed"


class PurposeMismatch(Denied):
    """The agreement is for another purpose."""

    reason = "purpose.mismatch"


class PolicyDenied(Denied):
    """A rule of an organisation's or a domain's policy denied the read; `id` names it."""

    reason = "policy.denied"


class PolicyError(Denied):
    """The policy failed, took too long, or returned something that is not a decision."""

    reason = "policy.error"


class PolicyNotFound(NotFound):
    """No policy with this digest, or no such module in it."""

    reason = "policy.not_found"


class PolicyInvalid(Invalid):
    """The policy does not compile or breaks a rule for policies."""

    reason = "policy.invalid"


class PolicySuperseded(Stale):
    """Another revision of the policy is in force than the request was made for."""

    reason = "policy.superseded"


class PolicyUnchecked(Precondition):
    """A revision of a policy was not checked whole, and the control plane demands that."""

    reason = "policy.unchecked"


class PolicySecondPerson(Denied):
    """Who pushed a policy of the organisation may not activate it."""

    reason = "policy.second_person"


class PolicyUnrehearsed(Precondition):
    """Not every agent has rehearsed the revision against what is in force."""

    reason = "policy.unrehearsed"


class PolicyExposes(Precondition):
    """The revision would show somebody more than before, and nobody accepted that."""

    reason = "policy.exposes"


class OpaNotServed(Precondition):
    """The control plane serves no OPA: its settings have no `opa.listen`."""

    reason = "opa.not_served"


class DutyMissing(Denied):
    """The caller has no duty that allows this."""

    reason = "duty.missing"
