"""What a statement returns: asked of the worker once for each plan and each types of parameters."""

import threading
from collections import OrderedDict

import pyarrow as pa

from domain_agent.enforcement.plan import Plan
from domain_agent.worker.pool import WorkerPool

_REMEMBERED = 512


class Schemas:
    """Remembers the last schemas; they follow from plan, statement and parameter types alone."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str, bytes], bytes] = OrderedDict()

    def schema(self, plan: Plan, sql: str, parameters: bytes | None = None) -> bytes:
        """The schema as an IPC message; `parameters` is an IPC stream, of which types count."""
        key = (plan.key, sql, b"" if parameters is None else _types(parameters))
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        schema = self._pool.describe(plan, sql, parameters)
        with self._lock:
            self._known[key] = schema
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return schema


def _types(parameters: bytes) -> bytes:
    with pa.ipc.open_stream(parameters) as stream:
        schema: bytes = stream.schema.serialize().to_pybytes()
    return schema
