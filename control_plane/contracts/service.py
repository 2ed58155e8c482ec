"""ContractService: publish and find the contracts of the mesh's products."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime

from control_plane.calls import current_caller
from control_plane.contracts import rules, store
from control_plane.database import Database, Transaction
from control_plane.purposes import store as purposes
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change, page_limit
from mesh.contracts.parse import read_contract
from mesh.contracts.values import Contract
from mesh.errors import ContractNotFound
from mesh.v1 import contracts_pb2, contracts_pb2_grpc
from mesh.wire.contracts import contract_to_proto
from mesh.wire.times import to_timestamp

Addresses = Callable[[Transaction, str], list[str]]

MAX_PAGE_BYTES = 1024 * 1024


class ContractService(contracts_pb2_grpc.ContractServiceServicer):
    """`addresses` tells where the agents of a domain are reached, most recently heard first."""

    def __init__(
        self, database: Database, addresses: Addresses, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._addresses = addresses
        self._clock = clock

    def PublishContract(
        self, request: contracts_pb2.PublishContractRequest, context: object
    ) -> contracts_pb2.PublishContractResponse:
        """Store a contract version; the same content again changes nothing."""
        principal, now = current_caller().principal, self._clock()
        digest = hashlib.sha256(request.document).digest()
        with self._database.reading() as tx:
            known_purposes = purposes.ids(tx)
        contract = read_contract(request.document, known_purposes)
        rules.check_publisher(principal, contract)
        with self._database.writing() as tx:
            published = store.find(tx, contract.domain, contract.product, contract.version)
            created = published is None
            if published is None:
                published = rules.Published(
                    contract,
                    request.document,
                    digest,
                    principal.reference,
                    now,
                    timeline.record_change(tx, _change(contract, principal.reference, now)),
                )
                store.add(tx, published)
            else:
                rules.check_version(published, digest)
            message = self._to_proto(tx, published)
        return contracts_pb2.PublishContractResponse(contract=message, created=created)

    def GetContract(
        self, request: contracts_pb2.GetContractRequest, context: object
    ) -> contracts_pb2.GetContractResponse:
        """One contract version with its published text."""
        with self._database.reading() as tx:
            published = store.find(tx, request.domain, request.product, request.version)
            if published is None:
                name = f"{request.domain}.{request.product}"
                raise ContractNotFound(
                    f"there is no {name} {request.version}".rstrip()
                    + "; `mesh product list` shows what is published",
                    product=name,
                    version=request.version,
                )
            message = self._to_proto(tx, published)
            message.document = published.document
            versions = store.versions(tx, request.domain, request.product)
        return contracts_pb2.GetContractResponse(contract=message, versions=versions)

    def ListProducts(
        self, request: contracts_pb2.ListProductsRequest, context: object
    ) -> contracts_pb2.ListProductsResponse:
        """One page of products by name, each with its newest contract."""
        limit = page_limit(request.page_size)
        with self._database.reading() as tx:
            found = list(store.products(tx, request.domain, request.page_token, limit + 1))
            messages = [self._to_proto(tx, published) for published in found[:limit]]
        fitting = _fitting(messages)
        more = len(found) > fitting
        return contracts_pb2.ListProductsResponse(
            contracts=messages[:fitting],
            next_page_token=found[fitting - 1].contract.name if more else "",
        )

    def _to_proto(self, tx: Transaction, published: rules.Published) -> contracts_pb2.Contract:
        message = contract_to_proto(published.contract)
        message.digest = published.digest
        message.publisher = published.publisher
        message.publish_time.CopyFrom(to_timestamp(published.published))
        message.revision = published.revision
        message.flight_uris.extend(self._addresses(tx, published.contract.domain))
        return message


def _fitting(messages: Sequence[contracts_pb2.Contract]) -> int:
    """How many of the first messages fit in one answer; one at least."""
    size = 0
    for number, message in enumerate(messages):
        size += message.ByteSize()
        if number and size > MAX_PAGE_BYTES:
            return number
    return len(messages)


def _change(contract: Contract, publisher: str, now: datetime) -> Change:
    return Change(
        action="contract.published",
        actor=publisher,
        time=now,
        reference=f"{contract.name}/{contract.version}",
        summary=f"{contract.name} {contract.version} ({contract.status})",
        domain=contract.domain,
        product=contract.name,
        distributed=True,
    )
