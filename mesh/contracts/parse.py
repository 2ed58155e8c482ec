"""From a document's bytes to a contract, or to every problem that keeps it from being one."""

from collections.abc import Mapping

from mesh.contracts.building import build_contract
from mesh.contracts.columns import check_datasets
from mesh.contracts.document import MAX_DOCUMENT, check_size, read_document
from mesh.contracts.extensions import check_extensions
from mesh.contracts.odcs import check_odcs
from mesh.contracts.problems import Findings, Linted, Problem
from mesh.contracts.product import check_product
from mesh.contracts.roles import check_roles
from mesh.contracts.values import Contract
from mesh.errors import ContractInvalid

__all__ = [
    "MAX_DOCUMENT",
    "Linted",
    "Problem",
    "check_size",
    "lint",
    "problems_message",
    "read_contract",
]

# A refusal travels in gRPC trailers, of which clients take 8 KiB.
MAX_LISTING = 2_000


def lint(document: bytes, known_purposes: frozenset[str] | None = None) -> Linted:
    """The contract, or all problems by line. Raises ContractTooLarge and nothing else.

    Purposes are checked against the known ones when they are given.
    """
    read = read_document(document)
    if read.problems or not isinstance(read.value, Mapping):
        return Linted(None, read.problems)
    findings = Findings()
    check_odcs(read.value, findings)
    check_product(read.value, known_purposes, findings)
    check_datasets(read.value, findings)
    check_roles(read.value, findings)
    check_extensions(read.value, findings)
    if findings:
        return Linted(None, findings.problems(read.value, read.place))
    return Linted(build_contract(read.value), ())


def read_contract(document: bytes, known_purposes: frozenset[str] | None = None) -> Contract:
    """The contract that a document declares. Raises ContractTooLarge or ContractInvalid."""
    linted = lint(document, known_purposes)
    if linted.contract is None:
        count = len(linted.problems)
        raise ContractInvalid(problems_message(linted.problems), problems=str(count))
    return linted.contract


def problems_message(problems: tuple[Problem, ...]) -> str:
    """Every problem in one message; the rest is counted when they are too many for one."""
    noun = "problem" if len(problems) == 1 else "problems"
    lines = [f"The contract has {len(problems)} {noun}:"]
    size = len(lines[0])
    for index, problem in enumerate(problems):
        line = f"  {problem}"
        size += len(line.encode()) + 1
        if size > MAX_LISTING:
            lines.append(f"  and {len(problems) - index} more; `mesh contract lint` shows all")
            break
        lines.append(line)
    return "\n".join(lines)
