"""The control plane as a program."""

import argparse
import asyncio
import logging
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from control_plane.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit code."""
    parser = argparse.ArgumentParser(
        prog="mesh-control-plane",
        description="Holds contracts, agreements and policies, and tells the agents.",
    )
    parser.add_argument("--config", type=Path, help="settings in YAML")
    parser.add_argument("--listen", metavar="HOST:PORT", help="port 0 takes a free one")
    parser.add_argument("--state", type=Path, metavar="DIR", help="this process's own files")
    parser.add_argument(
        "--database",
        metavar="URL",
        help="postgresql://…, also from MESH_DATABASE; a SQLite file in the state folder if none",
    )
    parser.add_argument("--keys", type=Path, metavar="DIR", help="keys that all replicas share")
    parser.add_argument(
        "--rebuild-audit",
        action="store_true",
        help="make the audit's tables again from the topic of usage events, then serve",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for chatty in ("alembic", "kafka"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Imported here, as the policy worker's process imports this module and needs none of it.
    from control_plane.settings import SettingsInvalid, read_settings  # noqa: PLC0415

    try:
        database = options.database or os.environ.get("MESH_DATABASE")
        settings = read_settings(
            options.config, options.listen, options.state, database, options.keys
        )
        settings = _with_opa(settings)
        if options.rebuild_audit:
            _rebuild(settings)
        asyncio.run(_serve(settings))
    except SettingsInvalid as error:
        sys.stderr.write(f"mesh-control-plane: {error}\n")
        return 2
    return 0


def _with_opa(settings: "Settings") -> "Settings":
    """The settings with the OPA program on the PATH, where they name none."""
    found = shutil.which("opa") if settings.policies.opa is None else None
    if found is None:
        return settings
    policies = settings.policies.model_copy(update={"opa": Path(found)})
    return replace(settings, policies=policies)


def _rebuild(settings: "Settings") -> None:
    from control_plane.settings import SettingsInvalid  # noqa: PLC0415
    from control_plane.topics import rebuild_audit  # noqa: PLC0415
    from mesh.errors import Unavailable  # noqa: PLC0415

    try:
        rebuilt = rebuild_audit(settings)
    except Unavailable as error:
        raise SettingsInvalid(f"nothing was rebuilt: {error}") from error
    for names, what in (
        (rebuilt.whole, "made again from the topic"),
        (rebuilt.compared, "compared only, as the topic lacks some of it"),
    ):
        for name in names:
            sys.stderr.write(f"{name}: {what}\n")


async def _serve(settings: "Settings") -> None:
    from control_plane.app import ControlPlane  # noqa: PLC0415
    from control_plane.serving import collect_seldom  # noqa: PLC0415
    from control_plane.sources import system_sources  # noqa: PLC0415

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    plane = ControlPlane(settings, system_sources())
    address = await plane.start()
    collect_seldom()
    sys.stdout.write(f"listening on {address}\n")
    if plane.opa_address is not None:
        sys.stdout.write(f"serving OPA on {plane.opa_address}\n")
    sys.stdout.flush()
    await stopping.wait()
    await plane.stop()


if __name__ == "__main__":
    sys.exit(main())
