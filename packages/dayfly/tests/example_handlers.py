"""Handlers that misbehave in every way that a handler process has to survive."""

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dayfly import FailedForGood, Handlers, Result, Retry


class Echo:
    async def execute(self, payload: Mapping[str, Any]) -> Result:
        print("echoing", payload)
        return Result.completed(str(payload.get("text")))


class Seed:
    """The form that the first worker's handlers had."""

    async def execute(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        return {"status": "completed", "result": payload["text"], "error": None}


class Sleep:
    async def execute(self, payload: Mapping[str, Any]) -> Result:
        Path(payload["started"]).write_text(str(os.getpid()))
        time.sleep(600)
        return Result.completed()


class Wait:
    """Goes on when a file appears, and says who did the work."""

    async def execute(self, payload: Mapping[str, Any]) -> Result:
        with Path(payload["started"]).open("a") as started:
            started.write(f"{os.getpid()}\n")
        while not Path(payload["go"]).exists():
            time.sleep(0.02)
        return Result.completed(str(os.getpid()))


class Spawn:
    """Starts a program that would outlive it."""

    async def execute(self, payload: Mapping[str, Any]) -> Result:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(payload["started"]).write_text(str(child.pid))
        time.sleep(600)
        return Result.completed()


class Crash:
    async def execute(self, payload: Mapping[str, Any]) -> Result:
        ctypes.string_at(0)
        return Result.completed()


class Exit:
    async def execute(self, payload: Mapping[str, Any]) -> Result:
        os._exit(3)


class Eat:
    async def execute(self, payload: Mapping[str, Any]) -> Result:
        return Result.completed(str(len(bytearray(payload["bytes"]))))


class Deny:
    async def execute(self, payload: Mapping[str, Any]) -> Result:
        raise FailedForGood("no such document")


class Later:
    async def execute(self, payload: Mapping[str, Any]) -> Result:
        raise Retry("the model service is busy", after_s=30)


class Bug:
    async def execute(self, payload: Mapping[str, Any]) -> Result:
        return 1 / 0


class Wrong:
    async def execute(self, payload: Mapping[str, Any]) -> Any:
        return "done"


class Read:
    async def execute(self, payload: Mapping[str, Any]) -> Result:
        return Result.completed(repr(sys.stdin.read()))


class Environment:
    async def execute(self, payload: Mapping[str, Any]) -> Result:
        return Result.completed(" ".join(os.environ))


class MissingOnce:
    """Fails until the folder it notes its first run in exists."""

    async def execute(self, payload: Mapping[str, Any]) -> Result:
        seen = Path(os.environ["SEEN"])
        if not seen.exists():
            seen.mkdir()
            raise Retry("not there yet")
        return Result.completed(payload["text"])


handlers = Handlers()
handlers.add("missing-once", MissingOnce)
handlers.add("environment", Environment)
for _kind in (Echo, Seed, Sleep, Wait, Spawn, Crash, Exit, Eat, Deny, Later, Bug, Wrong, Read):
    handlers.add(_kind.__name__.lower(), _kind)
