"""Steps that are taken again and again beside the calls."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from mesh.errors import Unavailable

_log = logging.getLogger(__name__)


async def every(seconds: float, step: Callable[[], Awaitable[object]]) -> None:
    """Take a step again and again, until cancelled; one that fails is logged and tried again."""
    while True:
        try:
            await step()
        except Unavailable as error:
            _log.warning("a background step is tried again: %s", error)
        except Exception:  # noqa: BLE001 - the loop must go on; the log tells
            _log.exception("a background step failed and is tried again")
        await asyncio.sleep(seconds)


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
