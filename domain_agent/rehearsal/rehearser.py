"""Answers what the control plane asks to rehearse, one candidate after the other."""

import logging
import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress

import grpc

from domain_agent.control.link import Link
from domain_agent.principal_keys import PrincipalKeys
from domain_agent.rehearsal.recorded import read_history, records_of
from domain_agent.rehearsal.rehearsing import Ended, Rehearsal, Rehearsed
from domain_agent.snapshot.holder import SnapshotHolder
from domain_agent.spool.spool import Spool
from mesh.decisions.engines import Engine
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.errors import AgentNotReady, AgentSignatureInvalid, MeshError
from mesh.v1 import agents_pb2, agents_pb2_grpc
from mesh.wire.rehearsals import MOST_FINDINGS, finding_to_proto
from mesh.wire.status import from_rpc_error

log = logging.getLogger(__name__)

WORKERS = 2
_NICENESS = 10
_SECONDS = 30


class Rehearser:
    """One thread. Names and counts leave the domain, never data and never a query's text."""

    def __init__(
        self, link: Link, spool: Spool, keys: PrincipalKeys, holder: SnapshotHolder
    ) -> None:
        self._link, self._spool, self._keys, self._holder = link, spool, keys, holder
        self._asked: queue.SimpleQueue[agents_pb2.RehearsalRequest | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rehearsing", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Give up what is under way."""
        self._stopping.set()
        self._asked.put(None)
        self._thread.join()

    def ask(self, request: agents_pb2.RehearsalRequest) -> None:
        """Rehearse it when what was asked before is done."""
        self._asked.put(request)

    def _run(self) -> None:
        while (request := self._asked.get()) is not None and not self._stopping.is_set():
            try:
                report = self._report(request)
                if report is not None:
                    self._stub().ReportRehearsal(
                        report, timeout=_SECONDS, metadata=self._link.metadata
                    )
            except grpc.RpcError as error:
                told = from_rpc_error(error, self._link.target)
                log.warning("rehearsal %s can't be reported: %s", request.id, told)
            except Exception:
                log.exception("rehearsal %s failed", request.id)

    def _report(
        self, request: agents_pb2.RehearsalRequest
    ) -> agents_pb2.ReportRehearsalRequest | None:
        """How it went; None when the agent stops."""
        try:
            return _told(request.id, self._rehearsed(request))
        except Ended:
            return None
        except MeshError as error:
            return agents_pb2.ReportRehearsalRequest(id=request.id, problem=str(error))
        except grpc.RpcError:
            raise
        except Exception as error:
            log.exception("rehearsal %s failed", request.id)
            problem = f"the agent failed ({type(error).__name__}); its log says why"
            return agents_pb2.ReportRehearsalRequest(id=request.id, problem=problem)

    def _rehearsed(self, request: agents_pb2.RehearsalRequest) -> Rehearsed:
        candidate = self._candidate(request)
        snapshot = self._holder.peek()
        if snapshot is None:
            raise AgentNotReady("the agent has nothing in force to compare a candidate with")
        history = read_history(records_of(self._spool), self._keys.secrets())
        rehearsal = Rehearsal(
            candidate, snapshot.policy, snapshot.contracts, _engine, WORKERS, self._stopping
        )
        return rehearsal.run(history)

    def _candidate(self, request: agents_pb2.RehearsalRequest) -> Policy:
        """The candidate, as the control plane signed for it. Raises AgentSignatureInvalid."""
        call = self._stub().ReadRehearsal(
            agents_pb2.ReadRehearsalRequest(id=request.id),
            timeout=_SECONDS,
            metadata=self._link.metadata,
        )
        policy = Policy({module.path: module.text for module in call})
        if policy.digest != request.digest:
            raise AgentSignatureInvalid("the candidate is not the one that was signed for")
        return policy

    def _stub(self) -> agents_pb2_grpc.AgentServiceStub:
        return agents_pb2_grpc.AgentServiceStub(self._link.channel)


class _PatientEngine(RegopyEngine):
    """Leaves the processor to those who read now."""

    def load(self, policy: Policy) -> None:
        super().load(policy)
        if self.worker_pid is not None:
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self.worker_pid, _NICENESS)


_engine: Callable[[], Engine] = _PatientEngine


def _told(id_: str, done: Rehearsed) -> agents_pb2.ReportRehearsalRequest:
    return agents_pb2.ReportRehearsalRequest(
        id=id_,
        distinct=done.distinct,
        reads=done.reads,
        unreadable=done.unreadable,
        findings=[finding_to_proto(one) for one in done.findings[:MOST_FINDINGS]],
        more=max(0, len(done.findings) - MOST_FINDINGS),
    )
