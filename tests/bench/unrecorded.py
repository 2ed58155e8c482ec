"""An agent that keeps no evidence, to measure what evidence costs. There is no such option.

It stands before the command that starts an agent: `python -m tests.bench.unrecorded python -m
domain_agent --config FILE`.
"""

import sys
from collections.abc import Mapping

from uuid_utils import uuid7

from domain_agent import __main__
from domain_agent.spool.event_log import EventLog
from mesh.evidence.events import EventType
from mesh.evidence.sealing import Personal


def _forget(
    self: EventLog,
    kind: EventType,
    fields: Mapping[str, bytes],
    personal: Personal | None = None,
    receipt: str | None = None,
) -> str:
    """Give a receipt that nothing is written under."""
    return receipt or str(uuid7())


def main() -> None:
    """Be that agent."""
    setattr(EventLog, "write", _forget)  # noqa: B010
    sys.argv = sys.argv[3:]
    __main__.main()


if __name__ == "__main__":
    main()
