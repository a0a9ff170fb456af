"""Runs handlers inside the test's own process."""

from collections.abc import Awaitable, Callable

from dayfly.errors import FailedForGood, Retry
from dayfly.handlers import Handlers, Result
from dayfly.process import HandlerOutcome, LogTail
from dayfly.task import Task

__all__ = ["InlineRunner"]


class InlineRunner:
    """Runs a handler in this process, with the meaning that the handler process gives its end.

    Attributes:
        runs: the tasks that were begun, in order.
    """

    def __init__(self, handlers: Handlers, before: Callable[[Task], Awaitable[None]] | None = None) -> None:
        """Say which handlers there are, and what happens before each run."""
        self.runs: list[Task] = []
        self._handlers = handlers
        self._before = before

    async def run(self, task: Task, log: LogTail) -> HandlerOutcome:
        """Run it to its end."""
        self.runs.append(task)
        log.add(f"running {task.task_type}\n".encode())
        try:
            if self._before:
                await self._before(task)
            result = Result.parse(await self._handlers.create(task.task_type).execute(task.payload))
        except Retry as retry:
            return HandlerOutcome("retry", retry.reason, retry.after_s)
        except FailedForGood as failed:
            return HandlerOutcome("failed", failed.reason)
        except Exception as error:
            return HandlerOutcome("retry", f"{type(error).__name__}: {error}")
        if result.status == "failed":
            return HandlerOutcome("failed", result.error)
        return HandlerOutcome("completed", result.result)
