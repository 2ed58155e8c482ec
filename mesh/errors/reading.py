"""What an agent refuses: statements, sources, masks, evidence."""

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


class ColumnUnclassified(Denied):
    """A column of the dataset has no known classification."""

    reason = "column.unclassified"


class MaskUnsupported(Denied):
    """The mask can't be applied to a column of this type; nothing is read."""

    reason = "mask.unsupported"


class FilterUnsupported(Denied):
    """The row filter can't be applied to the dataset; nothing is read."""

    reason = "filter.unsupported"


class LimitUnsupported(Denied):
    """The policy set a limit that can't be applied to the dataset; nothing is read."""

    reason = "limit.unsupported"


class LimitRows(Exhausted):
    """The read reached the number of rows that policy allows."""

    reason = "limit.rows"


class StatementAggregatesOnly(Denied):
    """The dataset is open for statistics only, and the statement asks for more than groups."""

    reason = "statement.aggregates_only"


class SourceMissing(Precondition):
    """The dataset's file is not where the contract says."""

    reason = "source.missing"


class SourceOutsideRoots(Denied):
    """The dataset's file resolves outside the folders that the agent may read."""

    reason = "source.outside_roots"


class SourceDrift(Precondition):
    """The source's real columns differ from the contract; nothing is read."""

    reason = "source.drift"


class SourceUnsupported(Precondition):
    """The agent can't read this kind of server or format."""

    reason = "source.unsupported"


class StatementTooLong(Invalid):
    """The statement is longer than 64 KiB."""

    reason = "statement.too_long"


class StatementTooDeep(Invalid):
    """The statement nests deeper than allowed."""

    reason = "statement.too_deep"


class StatementInvalid(Invalid):
    """The statement does not parse or bind."""

    reason = "statement.invalid"


class StatementNotSelect(Denied):
    """Only one SELECT statement is served."""

    reason = "statement.not_select"


class StatementNotAllowed(Denied):
    """The statement uses a construct that is not allowed."""

    reason = "statement.not_allowed"


class StatementFunctionNotAllowed(Denied):
    """The statement calls a function that is not allowed."""

    reason = "statement.function_not_allowed"


class StatementNameUnknown(NotFound):
    """A relation is no dataset of the agent's domain."""

    reason = "statement.name_unknown"


class StatementNameAmbiguous(Invalid):
    """A relation's name fits several datasets; write product.dataset."""

    reason = "statement.name_ambiguous"


class StatementNameReserved(Denied):
    """A common table expression or alias has the name of a dataset or a system object."""

    reason = "statement.name_reserved"


class StatementParametersInvalid(Invalid):
    """The bound parameters do not fit the statement."""

    reason = "statement.parameters_invalid"


class StatementFailed(Invalid):
    """The statement failed while it ran; details carry data and stay in the agent's log."""

    reason = "statement.failed"


class StatementTimedOut(Exhausted):
    """The statement ran longer than the agent allows."""

    reason = "statement.timed_out"


class StatementOutOfMemory(Exhausted):
    """The statement needed more memory than the agent allows."""

    reason = "statement.out_of_memory"


class StatementWorkerLost(Unavailable):
    """The process that ran the statement died; try again."""

    reason = "statement.worker_lost"


class StatementStale(Stale):
    """What the statement may return changed since it was prepared; prepare it again."""

    reason = "statement.stale"


class StatementWritesRefused(Denied):
    """The agent serves reads only."""

    reason = "statement.writes_refused"


class StatementRevoked(Denied):
    """The agreement, the policy or the lease that allowed the stream ended while it ran."""

    reason = "statement.revoked"


class TicketInvalid(Denied):
    """The ticket or statement handle is unknown, used, expired, or somebody else's."""

    reason = "ticket.invalid"


class StateTaken(Precondition):
    """Another agent uses this state folder; each needs one of its own."""

    reason = "state.taken"


class EvidenceUnavailable(Unavailable):
    """The read's evidence can't be made durable, so no data leaves."""

    reason = "evidence.unavailable"


class EvidenceInvalid(Invalid):
    """An event is malformed or not the calling agent's."""

    reason = "evidence.invalid"


class EvidenceGap(Stale):
    """The events do not continue the agent's log where the control plane is."""

    reason = "evidence.gap"


class EvidenceConflict(Conflict):
    """Another event is stored under this sequence."""

    reason = "evidence.conflict"


class EvidenceUnsigned(Stale):
    """No checkpoint that fits covers the receipt's records yet; try again in a few seconds."""

    reason = "evidence.unsigned"


class ReceiptNotFound(NotFound):
    """No such receipt, or the caller may not see it."""

    reason = "receipt.not_found"


class ReceiptAmbiguous(Invalid):
    """Several agents have a receipt of this id; name the agent."""

    reason = "receipt.ambiguous"
