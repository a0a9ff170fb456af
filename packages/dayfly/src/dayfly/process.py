"""Handlers run in a process of their own, which may hang, crash or eat memory without harm."""

import asyncio
import json
import os
import signal
import sys
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from dayfly.clock import Clock
from dayfly.limits import LOG_TAIL_MAX_BYTES, RESULT_MAX_BYTES
from dayfly.task import Task

__all__ = ["OUT_OF_MEMORY", "HandlerOutcome", "HandlerProcess", "HandlerRunner", "LogTail"]

OUT_OF_MEMORY = "out of memory"
"""How the reason begins where a handler wanted more memory than it may have."""

# Handlers parse strangers' files: what settles messages and speaks to the backend is none of theirs.
_WITHHELD = {"INTERNAL_API_KEY", "WEBHOOK_SECRET", "POP_RECEIPT", "TASK_DATA"}


@dataclass(frozen=True)
class HandlerOutcome:
    """What became of a handler.

    Attributes:
        kind: `completed`, `failed` (for good), `retry` (transient, a crash or a timeout included),
            or `memory` (it wanted more than it may have).
        text: the result when completed, else the reason.
        after_s: seconds to wait before the next attempt; None leaves it to the retry policy.
    """

    kind: Literal["completed", "failed", "retry", "memory"]
    text: str | None
    after_s: float | None = None


class LogTail:
    """The last 16 KiB of what a handler printed, without the secrets the worker knows."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        self._parts: deque[bytes] = deque()
        self._size = 0
        self._secrets = tuple(s for s in secrets if len(s) >= 6)

    def add(self, data: bytes) -> None:
        """Append what was printed."""
        self._parts.append(data)
        self._size += len(data)
        # A part more than the limit is kept, so that a secret is never cut in two before it is found.
        while self._size - len(self._parts[0]) > 2 * LOG_TAIL_MAX_BYTES:
            self._size -= len(self._parts.popleft())

    def text(self) -> str:
        """The tail so far."""
        text = b"".join(self._parts).decode("utf-8", "replace")
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text[-LOG_TAIL_MAX_BYTES:]


class HandlerRunner(Protocol):
    """Runs the handler of one task; cancelling the call ends the handler."""

    async def run(self, task: Task, log: LogTail) -> HandlerOutcome:
        """Run it to its end."""
        ...


class HandlerProcess:
    """Runs each task in a fresh `dayfly.child`."""

    def __init__(
        self, handlers: str, clock: Clock, timeout_s: float, memory_max_bytes: int, echo: bool = True
    ) -> None:
        """Say how handlers run.

        Args:
            handlers: `module:name` of the registry.
            clock: measures the timeout.
            timeout_s: a handler that takes longer is killed.
            memory_max_bytes: the address space it may have; 0 = no limit.
            echo: copy what it prints to this process's standard error.
        """
        self._handlers = handlers
        self._clock = clock
        self._timeout_s = timeout_s
        self._memory_max_bytes = memory_max_bytes
        self._echo = echo

    async def run(self, task: Task, log: LogTail) -> HandlerOutcome:
        """Run a task's handler to its end, its timeout or its death."""
        read_fd, write_fd = os.pipe()
        try:
            process = await self._start(write_fd)
        except OSError as error:
            os.close(read_fd)
            return HandlerOutcome("retry", f"no handler process could be started: {error}")
        finally:
            os.close(write_fd)
        try:
            return await self._converse(process, read_fd, task, log)
        finally:
            await _end(process)

    async def _start(self, write_fd: int) -> asyncio.subprocess.Process:
        arguments = [self._handlers, write_fd, self._memory_max_bytes, os.getpid()]
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "dayfly.child",
            *map(str, arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={name: value for name, value in os.environ.items() if name not in _WITHHELD},
            pass_fds=(write_fd,),
            start_new_session=True,
        )

    async def _converse(
        self, process: asyncio.subprocess.Process, read_fd: int, task: Task, log: LogTail
    ) -> HandlerOutcome:
        copying = asyncio.create_task(self._copy_log(process, log), name="handler log")
        answering = asyncio.create_task(_exchange(process, read_fd, task), name="handler answer")
        timing = asyncio.create_task(self._clock.sleep(self._timeout_s), name="handler timeout")
        try:
            await asyncio.wait({answering, timing}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                return HandlerOutcome("retry", f"the handler took longer than {self._timeout_s:g} s")
            if outcome := answering.result():
                return outcome
            return _died(await process.wait())
        finally:
            for waiting in (answering, timing):
                waiting.cancel()
            _kill(process)
            await asyncio.gather(copying, answering, timing, return_exceptions=True)

    async def _copy_log(self, process: asyncio.subprocess.Process, log: LogTail) -> None:
        if process.stdout is None:
            return
        while data := await process.stdout.read(65_536):
            log.add(data)
            if self._echo:
                sys.stderr.buffer.write(data)
                sys.stderr.buffer.flush()


async def _exchange(process: asyncio.subprocess.Process, read_fd: int, task: Task) -> HandlerOutcome | None:
    """Send the task and read the answer; None where the process died without one."""
    answers = asyncio.StreamReader(limit=4 * RESULT_MAX_BYTES + 65_536)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(answers), os.fdopen(read_fd, "rb")
    )
    try:
        if process.stdin is not None:
            process.stdin.write(
                json.dumps({"task_type": task.task_type, "payload": task.payload}).encode() + b"\n"
            )
            process.stdin.close()
        line = await answers.readline()
    except (ConnectionError, ValueError):
        return None
    finally:
        transport.close()
    return _parse(line) if line.endswith(b"\n") else None


def _parse(line: bytes) -> HandlerOutcome:
    fields: dict[str, Any] = json.loads(line)
    return HandlerOutcome(fields["kind"], fields.get("text"), fields.get("after_s"))


def _died(code: int) -> HandlerOutcome:
    if code == -signal.SIGKILL:
        return HandlerOutcome("memory", f"{OUT_OF_MEMORY}, it seems: the handler process was killed")
    if code < 0:
        return HandlerOutcome("retry", f"the handler process died of {signal.Signals(-code).name}")
    return HandlerOutcome("retry", f"the handler process ended with exit code {code} and no answer")


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill the handler and all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        _kill(process)
    await process.wait()
