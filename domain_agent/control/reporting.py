"""Tells the control plane how the agent is: when something changed, and every few seconds."""

import logging
import threading
from collections.abc import Callable

import grpc

from domain_agent.control.link import CALL_SECONDS, Link
from mesh.v1 import agents_pb2, agents_pb2_grpc
from mesh.wire.status import from_rpc_error

log = logging.getLogger(__name__)

EVERY_SECONDS = 10.0


class Reporter:
    """One thread; `report` builds what is said, `tend` runs before it, `due` asks for one soon."""

    def __init__(
        self,
        link: Link,
        report: Callable[[], agents_pb2.ReportAgentRequest],
        tend: Callable[[], None],
        due: threading.Event,
    ) -> None:
        self._link, self._report, self._tend = link, report, tend
        self._stub = agents_pb2_grpc.AgentServiceStub(link.channel)
        self._due, self._stopping = due, False
        self._thread = threading.Thread(target=self._run, name="reporting", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._due.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            self._due.clear()
            try:
                self._tend()
                self._stub.ReportAgent(
                    self._report(), metadata=self._link.metadata, timeout=CALL_SECONDS
                )
            except grpc.RpcError as error:
                log.warning("report failed: %s", from_rpc_error(error, self._link.target))
            except Exception:
                log.exception("report failed")
            self._due.wait(EVERY_SECONDS)
