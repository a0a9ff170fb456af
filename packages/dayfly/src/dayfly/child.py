"""The handler process: `python -m dayfly.child MODULE:NAME RESULT_FD MEMORY_MAX_BYTES SUPERVISOR_PID`.

It reads a task a line from standard input, does it, and writes a line of JSON to the result pipe:
`{"kind": "completed"|"failed"|"retry"|"memory", "text": …, "after_s": …}`. What handlers print goes to
the log. It dies with its supervisor and may not take more memory than it was given.
"""

import asyncio
import ctypes
import gc
import json
import os
import resource
import signal
import sys
import traceback
from importlib import import_module
from typing import Any, BinaryIO

from dayfly.errors import FailedForGood, Retry
from dayfly.handlers import Handlers, Result
from dayfly.limits import RESULT_MAX_BYTES

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Do tasks until standard input ends."""
    spec, result_fd, memory_max_bytes = arguments[0], int(arguments[1]), int(arguments[2])
    _die_with(supervisor_pid=int(arguments[3]))
    # Handlers import a lot at once, and what is imported stays: looking for garbage in it takes a seventh
    # of the time that it takes to import the OpenAI and Storage SDKs.
    gc.set_threshold(50_000, 20, 100)
    if memory_max_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_max_bytes, memory_max_bytes))
    tasks = os.fdopen(os.dup(0), "rb")
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a descriptor is wanted, not a path
        os.dup2(nothing.fileno(), 0)  # handlers that read standard input find it empty
    with os.fdopen(result_fd, "wb") as results:
        _serve(spec, tasks, results)
    return 0


def _serve(spec: str, tasks: BinaryIO, results: BinaryIO) -> None:
    for line in tasks:
        answer = _answer(spec, json.loads(line))
        sys.stdout.flush()
        sys.stderr.flush()
        results.write(json.dumps(answer).encode() + b"\n")
        results.flush()


def _answer(spec: str, task: dict[str, Any]) -> dict[str, Any]:
    try:
        result = asyncio.run(_execute(spec, task))
    except Retry as signal_:
        return {"kind": "retry", "text": signal_.reason, "after_s": signal_.after_s}
    except FailedForGood as signal_:
        return {"kind": "failed", "text": signal_.reason}
    except MemoryError:
        return {"kind": "memory", "text": "out of memory: the handler wanted more than it may have"}
    except Exception as error:
        traceback.print_exc()
        return {"kind": "retry", "text": f"{type(error).__name__}: {error}"}
    if result.status == "failed":
        return {"kind": "failed", "text": result.error or "the handler gave no reason"}
    if len((result.result or "").encode("utf-8", "replace")) > RESULT_MAX_BYTES:
        return {"kind": "failed", "text": f"the handler's result is longer than {RESULT_MAX_BYTES} bytes"}
    return {"kind": "completed", "text": result.result}


async def _execute(spec: str, task: dict[str, Any]) -> Result:
    handler = load_handlers(spec).create(task["task_type"])
    return Result.parse(await handler.execute(task["payload"]))


def load_handlers(spec: str) -> Handlers:
    """Import the registry that `module:name` names.

    Raises:
        FailedForGood: it names no `Handlers`.
    """
    module, _, name = spec.partition(":")
    found = getattr(import_module(module), name or "handlers", None)
    if not isinstance(found, Handlers):
        raise FailedForGood(f"{spec} names no dayfly.Handlers")
    return found


def _die_with(supervisor_pid: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have died before the signal was asked for; then nobody would ever send it.
    if os.getppid() != supervisor_pid:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
