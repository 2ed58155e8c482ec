"""Publishes the contracts of the products folder: at start and when a file changes."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import grpc
import watchfiles

from domain_agent.control.link import CALL_SECONDS, Link
from mesh.contracts.parse import MAX_DOCUMENT, read_contract
from mesh.errors import MeshError, Unavailable
from mesh.v1 import agents_pb2, contracts_pb2, contracts_pb2_grpc
from mesh.wire.status import from_rpc_error

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0


class ProductPublisher:
    """One thread over the folder's `*.yaml` files; keeps a report for each of them."""

    def __init__(self, folder: Path, link: Link, reported: Callable[[], None]) -> None:
        self._folder, self._link, self._reported = folder, link, reported
        self._stub = contracts_pb2_grpc.ContractServiceStub(link.channel)
        self._reports: dict[str, agents_pb2.ProductReport] = {}
        self._contents: dict[str, bytes] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="products", daemon=True)

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def reports(self) -> list[agents_pb2.ProductReport]:
        """How publishing each file went, by file name."""
        return [self._reports[name] for name in sorted(self._reports)]

    def retry_refused(self) -> None:
        """Publish refused files again: what the mesh knows has changed, a purpose perhaps."""
        for name, report in list(self._reports.items()):
            if report.outcome == "refused":
                self._contents.pop(name, None)

    def _run(self) -> None:
        self._publish_all()
        changes = watchfiles.watch(
            self._folder,
            stop_event=self._stopping,
            yield_on_timeout=True,
            rust_timeout=int(RETRY_SECONDS * 1000),
            raise_interrupt=False,
        )
        for _ in changes:
            try:
                self._publish_all()
            except Exception:
                log.exception("the products folder can't be published")

    def _publish_all(self) -> None:
        """Publish every file whose content is not settled yet."""
        files = {p.name: p for p in sorted(self._folder.glob("*.y*ml")) if p.is_file()}
        gone = self._reports.keys() - files.keys()
        for name in gone:
            del self._reports[name]
            self._contents.pop(name, None)
        changed = bool(gone)
        for name, path in files.items():
            document = _read(path)
            if self._contents.get(name) == document:
                continue
            changed = self._publish(name, document) or changed
        if changed:
            self._reported()

    def _publish(self, name: str, document: bytes) -> bool:
        report = agents_pb2.ProductReport(file=name)
        try:
            contract = read_contract(document)
            report.product, report.version = contract.name, contract.version
            report.outcome = self._send(document)
        except Unavailable as error:
            log.warning("%s is published later: %s", name, error)
            return False
        except MeshError as refusal:
            report.outcome, report.reason = "refused", refusal.reason_id
            report.message = refusal.message
        self._contents[name], self._reports[name] = document, report
        log.info("%s: %s %s", name, report.outcome, report.message)
        return True

    def _send(self, document: bytes) -> str:
        request = contracts_pb2.PublishContractRequest(document=document)
        try:
            reply = self._stub.PublishContract(
                request, metadata=self._link.metadata, timeout=CALL_SECONDS
            )
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._link.target) from error
        return "published" if reply.created else "unchanged"


def _read(path: Path) -> bytes:
    """The file, or just more of it than a contract may have."""
    with path.open("rb") as file:
        return file.read(MAX_DOCUMENT + 1)
