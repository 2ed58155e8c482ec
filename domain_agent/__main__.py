"""`mesh-agent --config agent.yaml`: one domain's agent, until it is told to stop."""

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from domain_agent.app import build
from domain_agent.settings import read_settings
from mesh.errors import MeshError


def main() -> None:
    """Run the agent; exit codes are those of the error table."""
    parser = argparse.ArgumentParser(prog="mesh-agent", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="agent.yaml")
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING"])
    arguments = parser.parse_args()
    logging.basicConfig(
        level=arguments.log_level,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("kafka").setLevel(logging.WARNING)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        agent = build(read_settings(arguments.config))
    except MeshError as error:
        sys.exit(_say(error))
    agent.start()
    sys.stdout.write(f"serving {agent.uri}\n")
    sys.stdout.flush()
    stopping.wait()
    agent.stop()


def _say(error: MeshError) -> int:
    sys.stderr.write(f"mesh-agent: {error.message} ({error.reason_id})\n")
    return error.kind.exit_code


if __name__ == "__main__":
    main()
