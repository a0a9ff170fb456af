"""Child processes of the laptop's cloud: started, waited for, and gone when their parent is.

Each child has a process group of its own (Ctrl-C at the terminal reaches the parent alone, which then stops
them in order), a log file, and a parent-death signal: should the parent be killed outright, the kernel
tells the child. What children of ours leave behind (container shims outlive the server that started them)
is adopted, and ended last.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dayfly_cli.errors import ServiceError

T = TypeVar("T")

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_READY_POLL_S = 0.02
#: Seconds that a child has to end by itself.
GRACE_S = 8.0
_SOCKET_PATH_MAX_BYTES = 107  # unix(7): sun_path, less the zero at its end
_PLAIN = re.compile(rb"[\w./+@-]+")
_RESTART_PAUSE_S = 0.5
#: Resolved before any fork: loading a library between fork and exec may deadlock.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def python_environment() -> dict[str, str]:
    """Return our environment for a Python child that starts often: it may keep its compiled modules."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Account:
    """The Unix account a child runs as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Child:
    """A running child process."""

    name: str
    log: Path
    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its process group."""
        return self.process.pid

    async def ready(self, check: Callable[[], Awaitable[T | None]], limit_s: float = 30.0) -> T:
        """Ask `check` again and again until it returns something.

        Raises:
            ServiceError: the child ended first, or `limit_s` passed.
        """
        deadline = time.monotonic() + limit_s
        while (answer := await check()) is None:
            if self.process.returncode is not None:
                raise self.ended()
            if time.monotonic() > deadline:
                raise ServiceError(f"{self.name} was not ready after {limit_s:.0f} s: see {self.log}")
            await asyncio.sleep(_READY_POLL_S)
        return answer

    def ended(self) -> ServiceError:
        """Return the error that tells how this child ended, with the last line it wrote."""
        last = last_line(self.log)
        said = f": {last}" if last else ""
        return ServiceError(
            f"{self.name} ended with exit code {self.process.returncode}{said} (log: {self.log})"
        )

    async def stop(self, how: signal.Signals = signal.SIGTERM, grace_s: float = GRACE_S) -> None:
        """Ask the child to end, then kill its whole group; returns when it is gone."""
        try:
            if self.process.returncode is None:
                self.process.send_signal(how)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.process.wait(), grace_s)
        finally:
            # Also on a second Ctrl-C, which cancels the wait above: nothing may stay.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        await self.process.wait()


@dataclass
class Kept:
    """A child process that is started again when it ends."""

    name: str
    log: Path
    #: The process of the moment, or the last one between two.
    current: Child | None = None
    #: How often it has ended and was started again.
    starts: int = 0

    async def ready(self, check: Callable[[], Awaitable[T | None]], limit_s: float = 30.0) -> T:
        """Wait as `Child.ready` does, for the first process: one that ends at once is a failure to start."""
        assert self.current is not None  # noqa: S101  # `kept` yields once it is set
        return await self.current.ready(check, limit_s)


@asynccontextmanager
async def child(
    name: str,
    command: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    account: Account | None = None,
    stop_with: signal.Signals = signal.SIGTERM,
    grace_s: float = GRACE_S,
) -> AsyncIterator[Child]:
    """Run `command` for as long as the context is open.

    Args:
        name: what messages call it.
        command: the program and its arguments.
        log: where its output goes; appended to.
        env: the whole environment; None = ours.
        cwd: the working directory; None = ours.
        account: whom it runs as; None = as we do.
        stop_with: the signal that asks it to end, on leaving the context and when this process dies.
        grace_s: seconds it then has before it is killed.

    Raises:
        ServiceError: the program could not be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
                preexec_fn=_die_with(os.getpid(), stop_with),
                **_identity(account),
            )
        except OSError as exc:
            raise ServiceError(f"{name} could not be started: {exc}") from exc
    started = Child(name, log, process)
    try:
        yield started
    finally:
        await started.stop(stop_with, grace_s)


@asynccontextmanager
async def kept(
    name: str,
    command: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    grace_s: float = GRACE_S,
) -> AsyncIterator[Kept]:
    """Run `command` like `child`, and start it again whenever it ends while the context is open.

    The context opens once the first process is started; wait for it with `Kept.ready`.

    Raises:
        ServiceError: the program could not be started.
    """
    first: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
    running = Kept(name, log)

    async def keep() -> None:
        while True:
            try:
                async with child(name, command, log, env=env, grace_s=grace_s) as process:
                    running.current = process
                    if not first.done():
                        first.set_result(process)
                    await process.process.wait()
                    running.starts += 1
            except ServiceError as exc:
                if not first.done():
                    first.set_exception(exc)
                    return
            await asyncio.sleep(_RESTART_PAUSE_S)

    keeper = asyncio.create_task(keep(), name=f"keep {name} running")
    try:
        await first
        yield running
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper


@contextmanager
def socket_folder(preferred: Path, longest_name: str, elsewhere: str | None = None) -> Iterator[Path]:
    """Yield a folder for Unix sockets: `preferred`, or a short-lived one where its path would not do.

    Too long a path is refused by the system; spaces, commas and accents by some of the programs.

    Args:
        preferred: must exist.
        longest_name: of a socket that will be made there.
        elsewhere: where a short-lived one is made; None = the usual place.
    """
    path = os.fsencode(preferred / longest_name)
    if len(path) <= _SOCKET_PATH_MAX_BYTES and _PLAIN.fullmatch(path):
        yield preferred
        return
    with tempfile.TemporaryDirectory(prefix="dayfly-", dir=elsewhere) as folder:
        yield Path(folder)


def last_line(log: Path) -> str:
    """Return the last line of a log that says something, or an empty string."""
    try:
        lines = log.read_bytes()[-4096:].decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


@asynccontextmanager
async def adopting_orphans() -> AsyncIterator[None]:
    """Adopt what children of ours leave behind, and end it when the context closes (on Linux)."""
    if _libc is None:
        yield
        return
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    own = set(_children())
    reaper = asyncio.create_task(_reap_adopted(), name="reap adopted processes")
    try:
        yield
    finally:
        reaper.cancel()
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 0)
        _end_all_but(own)


def _identity(account: Account | None) -> dict[str, Any]:
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


def _die_with(parent: int, how: signal.Signals) -> Callable[[], None]:
    def prepare() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(how))
            if os.getppid() != parent:  # it died before the line above
                os._exit(1)

    return prepare


def _children() -> list[int]:
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


def _is_zombie(pid: int) -> bool:
    try:
        # proc(5): the state follows the program's name, which stands in brackets.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


async def _reap_adopted() -> None:
    # asyncio collects the children it started within milliseconds: a zombie seen twice is nobody's.
    seen: set[int] = set()
    while True:
        await asyncio.sleep(1.0)
        zombies = {pid for pid in _children() if _is_zombie(pid)}
        _collect(zombies & seen)
        seen = zombies


def _collect(zombies: set[int]) -> None:
    for pid in zombies:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _end_all_but(own: set[int]) -> None:
    deadline = time.monotonic() + 2.0
    while (left := [pid for pid in _children() if pid not in own]) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
