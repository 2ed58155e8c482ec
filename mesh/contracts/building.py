"""From a document without problems to our values."""

from collections.abc import Mapping

from mesh.contracts.columns import columns, tags_of
from mesh.contracts.extensions import extension
from mesh.contracts.product import owners, title
from mesh.contracts.shapes import Element, entries, text
from mesh.contracts.values import Classification, Column, Contract, Dataset, Role, Server


def build_contract(document: Element) -> Contract:
    """The contract of a document that passed every check."""
    purposes = extension(document, "mesh.purposes")
    return Contract(
        domain=str(document["domain"]),
        product=str(document["name"]),
        version=str(document["version"]),
        contract_id=str(document["id"]),
        status=str(document["status"]),
        title=title(document),
        owners=tuple(owners(document)),
        purposes=tuple(sorted(map(str, purposes))) if isinstance(purposes, list) else (),
        roles=tuple(_role(role) for _, role in entries(document, "roles")),
        datasets=tuple(_dataset(dataset) for _, dataset in entries(document, "schema")),
        server=_server(document),
        residency=_word(document, "mesh.residency"),
        legal_basis=_word(document, "mesh.legalBasis"),
    )


def _server(document: Element) -> Server:
    local = next(s for _, s in entries(document, "servers") if s.get("type") == "local")
    return Server(path=str(local["path"]), format=str(local["format"]))


def _role(role: Element) -> Role:
    row_filter = extension(role, "mesh.rowFilter")
    return Role(
        name=str(role["role"]),
        description=_description(role),
        row_filter=row_filter if isinstance(row_filter, Mapping) else None,
    )


def _dataset(dataset: Element) -> Dataset:
    return Dataset(
        name=str(dataset["name"]),
        file=str(dataset["physicalName"]),
        columns=tuple(_column(column) for _, column in columns(dataset)),
        description=_description(dataset),
    )


def _column(column: Element) -> Column:
    return Column(
        name=str(column["name"]),
        logical_type=str(column["logicalType"]),
        physical_type=text(column, "physicalType"),
        classification=Classification(str(column["classification"])),
        category=_word(column, "mesh.category"),
        tags=tags_of(column),
        mask=_word(column, "mesh.mask"),
        subject_key=extension(column, "mesh.subjectKey") is True,
        required=column.get("required") is True,
        description=_description(column),
    )


def _word(element: Element, name: str) -> str | None:
    value = extension(element, name)
    return value if isinstance(value, str) else None


def _description(element: Element) -> str:
    return " ".join((text(element, "description") or "").split())
