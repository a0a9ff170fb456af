"""Runs a command's coroutine so that Ctrl-C, SIGTERM and a closed terminal stop it in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from dayfly_cli.processes import adopting_orphans

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """Raised when a signal ended the work; everything it had started is gone."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` and leave no process behind, however it ends.

    Raises:
        Stopped: a signal came, and `work` has cleaned up.
    """
    return asyncio.run(_guarded(work))


async def while_well(work: Coroutine[Any, Any, T], broken: Coroutine[Any, Any, Exception]) -> T:
    """Do `work` as long as `broken` does not return an error, which is then raised.

    Both have ended when this returns, however it ends: what `work` uses may be closed after it.
    """
    tasks = asyncio.create_task(work, name="work"), asyncio.create_task(broken, name="watch")
    doing, watching = tasks
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise watching.result()
        return doing.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _guarded(work: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.get_running_loop()
    stopped = False
    async with adopting_orphans():
        task = asyncio.create_task(work, name="command")

        def stop() -> None:
            nonlocal stopped
            # Again and again if need be: a second Ctrl-C cuts short what waits for a child to end.
            stopped = True
            task.cancel()

        for number in _SIGNALS:
            loop.add_signal_handler(number, stop)
        try:
            return await task
        except asyncio.CancelledError:
            if stopped:
                raise Stopped from None
            raise
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
