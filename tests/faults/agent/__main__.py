"""An agent that dies at a point: `python -m tests.faults.agent --point NAME ... --config FILE`.

Segments, quota and batches are smaller than an operator could make them, so that few reads reach
every point.
"""

import argparse
import functools
import sys

from domain_agent import __main__, app
from domain_agent.spool.spool import SpoolLimits
from domain_agent.worker.limits import PoolSettings
from tests.faults.points import POINTS, arm


def main() -> None:
    """Arm the point, if one is given, and be an agent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--point", choices=POINTS)
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--kept", type=float, default=0.5)
    parser.add_argument("--segment", type=int, required=True)
    parser.add_argument("--quota", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    ours, rest = parser.parse_known_args()
    limits = functools.partial(SpoolLimits, segment=ours.segment)
    setattr(app, "SpoolLimits", lambda quota: limits(quota=min(quota, ours.quota)))  # noqa: B010
    setattr(app, "PoolSettings", functools.partial(PoolSettings, batch_bytes=ours.batch))  # noqa: B010
    if ours.point is not None:
        arm(POINTS[ours.point], ours.nth, ours.kept)
    sys.argv = [sys.argv[0], *rest]
    __main__.main()


if __name__ == "__main__":
    main()
