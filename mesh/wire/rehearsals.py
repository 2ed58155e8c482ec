"""Findings of rehearsals on the wire."""

from datetime import UTC

from mesh.decisions.comparing import Kind
from mesh.decisions.findings import Finding
from mesh.errors import RequestInvalid
from mesh.v1 import agents_pb2
from mesh.wire.times import to_timestamp

MOST_FINDINGS = 1_000
_MOST_CHARS = 500
_MOST_COLUMNS = 2_000


def finding_to_proto(finding: Finding) -> agents_pb2.RehearsalFinding:
    """The finding with its id."""
    return agents_pb2.RehearsalFinding(
        id=finding.id,
        kind=finding.kind.value,
        product=finding.product,
        dataset=finding.dataset,
        columns=finding.columns,
        classification=finding.classification,
        category=finding.category,
        before=finding.before[:_MOST_CHARS],
        after=finding.after[:_MOST_CHARS],
        principal=finding.principal,
        purpose=finding.purpose,
        reads=finding.reads,
        last_time=to_timestamp(finding.last),
    )


def finding_from_proto(message: agents_pb2.RehearsalFinding) -> Finding:
    """The finding; its id is made anew. Raises RequestInvalid."""
    try:
        kind = Kind(message.kind)
    except ValueError:
        raise RequestInvalid(f"a finding has the unknown kind {message.kind!r}") from None
    texts = (
        message.product, message.dataset, message.classification, message.category,
        message.before, message.after, message.principal, message.purpose, *message.columns,
    )  # fmt: skip
    if len(message.columns) > _MOST_COLUMNS or any(len(text) > _MOST_CHARS for text in texts):
        raise RequestInvalid(
            f"a finding has at most {_MOST_COLUMNS} columns, and texts of {_MOST_CHARS} characters"
        )
    return Finding(
        kind=kind,
        product=message.product,
        dataset=message.dataset,
        columns=tuple(message.columns),
        classification=message.classification,
        category=message.category,
        before=message.before,
        after=message.after,
        principal=message.principal,
        purpose=message.purpose,
        reads=message.reads,
        last=message.last_time.ToDatetime(UTC),
    )
