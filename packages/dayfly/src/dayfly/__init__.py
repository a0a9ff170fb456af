"""Dayfly's task runtime: each queue message is one task, tried until it has one outcome.

A worker is three lines: name the handlers, then either do the one task that `TASK_DATA` holds
(`process_single_task`) or take messages from the queue until told to stop (`AsyncWorker`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dayfly.errors import FailedForGood, Retry
from dayfly.handlers import Handler, Handlers, Result

if TYPE_CHECKING:
    from dayfly.single import process_single_task
    from dayfly.worker import AsyncWorker

__all__ = [
    "AsyncWorker",
    "FailedForGood",
    "Handler",
    "Handlers",
    "Result",
    "Retry",
    "process_single_task",
]

# Handler processes import this package too, and need nothing of Azure: the rest waits until asked for.
_LATER = {"AsyncWorker": "dayfly.worker", "process_single_task": "dayfly.single"}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'dayfly' has no attribute {name!r}")
