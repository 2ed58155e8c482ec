"""What a decision is made from, as the document that policies see."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from mesh.agreements.values import Agreement
from mesh.contracts.values import Contract, Dataset
from mesh.decisions.values import ColumnClass
from mesh.errors import DatasetNotFound, PolicyError
from mesh.evidence.canonical import canonical
from mesh.identity.principal import Principal
from mesh.times import rfc3339

MAX_CLASSES = 32


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Who asks an agent to read, for what purpose, and when."""

    principal: Principal
    purpose: str
    now: datetime
    agent_domain: str
    agent_id: str


@dataclass(frozen=True, slots=True)
class DecisionInput:
    """The input document, and the class of each column by name."""

    document: Mapping[str, object]
    classes: Mapping[str, str]


def decision_input(
    request: ReadRequest, contract: Contract, dataset: str, agreement: Agreement | None
) -> DecisionInput:
    """The input for one dataset under one agreement, or under none.

    Raises DatasetNotFound, and PolicyError for what no policy could decide: too many classes, or
    an agreement whose role the contract does not have.
    """
    found = contract.dataset(dataset)
    if found is None:
        raise DatasetNotFound(
            f"{contract.name} has no dataset {dataset}; `mesh product show {contract.name}` "
            "lists them",
            product=contract.name,
            dataset=dataset,
        )
    document = {
        "action": "read",
        "now": rfc3339(request.now),
        "purpose": request.purpose,
        "subject": {
            "kind": request.principal.kind.value,
            "id": request.principal.subject,
            "teams": sorted(request.principal.teams),
        },
        "agent": {"domain": request.agent_domain, "id": request.agent_id},
        "product": product_document(contract),
        "dataset": {"name": dataset, "classes": class_documents(contract, found)},
        "agreement": None if agreement is None else agreement_document(agreement, contract),
    }
    return DecisionInput(document, _classified(found)[1])


def has_plain_texts(document: Mapping[str, object]) -> bool:
    """Whether rules see plain texts alone; a row filter passes through policies unread.

    rego-cpp matches others in the form that JSON escapes them to.
    """
    if b"\\" not in canonical(document):
        return True
    match document:
        case {"agreement": {"row_filter": _, **rest}}:
            return b"\\" not in canonical({**document, "agreement": rest})
    return False


def product_document(contract: Contract) -> dict[str, object]:
    """What policies see of a product."""
    return {
        "domain": contract.domain,
        "name": contract.product,
        "version": contract.version,
        "status": contract.status,
        "purposes": sorted(contract.purposes),
        "residency": contract.residency,
        "legal_basis": contract.legal_basis,
    }


def class_documents(contract: Contract, dataset: Dataset) -> list[dict[str, object]]:
    """What policies see of a dataset's columns. Raises PolicyError for too many classes."""
    classes, _ = _classified(dataset)
    if len(classes) > MAX_CLASSES:
        raise PolicyError(
            f"{contract.name}.{dataset.name} has {len(classes)} distinct column classes; policies "
            f"see at most {MAX_CLASSES}: give columns alike the same classification, category and "
            "tags"
        )
    return [_class_document(*item) for item in classes]


def columns_of(dataset: Dataset, class_: Mapping[str, object]) -> tuple[str, ...]:
    """The columns of a dataset that are of a class, as an input describes it."""
    classes, ids = _classified(dataset)
    alike = {
        id_ for id_, one in classes if _class_document(str(class_.get("id")), one) == dict(class_)
    }
    return tuple(name for name, id_ in ids.items() if id_ in alike)


@lru_cache(maxsize=1024)
def _classified(
    dataset: Dataset,
) -> tuple[tuple[tuple[str, ColumnClass], ...], Mapping[str, str]]:
    """The distinct classes in order with their ids, and the id of each column."""
    by_column = {
        column.name: ColumnClass(
            classification=column.classification.value,
            category=column.category,
            tags=tuple(sorted(set(column.tags))),
            mask=column.mask,
        )
        for column in dataset.columns
    }
    ordered = sorted(set(by_column.values()), key=_order)
    ids = {class_: f"c{number}" for number, class_ in enumerate(ordered)}
    return (
        tuple((ids[class_], class_) for class_ in ordered),
        {name: ids[class_] for name, class_ in by_column.items()},
    )


def _order(class_: ColumnClass) -> tuple[object, ...]:
    return (
        class_.classification,
        class_.category is not None,
        class_.category or "",
        class_.tags,
        class_.mask is not None,
        class_.mask or "",
    )


def _class_document(class_id: str, class_: ColumnClass) -> dict[str, object]:
    return {
        "id": class_id,
        "classification": class_.classification,
        "category": class_.category,
        "tags": list(class_.tags),
        "mask": class_.mask,
    }


def agreement_document(agreement: Agreement, contract: Contract) -> dict[str, object]:
    """What policies see of an agreement. Raises PolicyError when the contract lacks its role."""
    role = contract.role(agreement.role)
    if role is None:
        raise PolicyError(
            f"{contract.name} {contract.version} has no role {agreement.role}, which agreement "
            f"{agreement.id} names, so its rows can't be told; request access under another role"
        )
    return {
        "id": agreement.id,
        "consumer": agreement.consumer,
        "domain": agreement.domain,
        "product": agreement.product,
        "purpose": agreement.purpose,
        "role": agreement.role,
        "datasets": sorted(agreement.datasets),
        "state": agreement.state.value,
        "start": rfc3339(agreement.decided or agreement.requested),
        "until": rfc3339(agreement.expires),
        "row_filter": role.row_filter,
    }
