"""Contracts on the wire."""

from mesh.contracts.values import Column, Contract, Dataset, Role
from mesh.evidence.canonical import canonical
from mesh.v1 import contracts_pb2


def contract_to_proto(contract: Contract) -> contracts_pb2.Contract:
    """What the document declares; when and by whom it was published is the caller's to add."""
    return contracts_pb2.Contract(
        domain=contract.domain,
        product=contract.product,
        version=contract.version,
        contract_id=contract.contract_id,
        status=contract.status,
        title=contract.title,
        owners=contract.owners,
        purposes=contract.purposes,
        roles=[_role(role) for role in contract.roles],
        datasets=[_dataset(dataset) for dataset in contract.datasets],
    )


def _role(role: Role) -> contracts_pb2.Role:
    row_filter = "" if role.row_filter is None else canonical(role.row_filter).decode()
    return contracts_pb2.Role(name=role.name, description=role.description, row_filter=row_filter)


def _dataset(dataset: Dataset) -> contracts_pb2.Dataset:
    return contracts_pb2.Dataset(
        name=dataset.name,
        description=dataset.description,
        columns=[_column(column) for column in dataset.columns],
    )


def _column(column: Column) -> contracts_pb2.Column:
    return contracts_pb2.Column(
        name=column.name,
        logical_type=column.logical_type,
        physical_type=column.physical_type or "",
        classification=column.classification.value,
        category=column.category or "",
        tags=column.tags,
        mask=column.mask or "",
        subject_key=column.subject_key,
        description=column.description,
    )
