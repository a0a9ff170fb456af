"""The `process` backend: each container is a process tree under a shim of its own."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localazure.containers import shim
from localazure.containers.backend import Exit, Run, RunSpec
from localazure.containers.images import Images

#: Bytes of output kept while a container runs; Azure keeps 4 MB (ACI's resource limits, read 2025-11-17).
RUNNING_LOG_BYTES = 4 * 1024 * 1024
#: Bytes and lines of output kept once it stopped, whichever is less (the same page).
STOPPED_LOG_BYTES = 16 * 1024
STOPPED_LOG_LINES = 1000

#: Exit code of a container whose end nobody saw: it was killed.
KILLED = 128 + signal.SIGKILL

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_STARTS_WITHIN_S = 20.0
_LOOK_AGAIN_S = 0.004


class ProcessBackend:
    """Runs containers as processes of this machine.

    Args:
        folder: Where runs leave their state; only this user may look into it.
        images: Which command stands for which image.
    """

    def __init__(self, folder: Path, images: Images) -> None:
        self._folder = folder
        self._images = images
        # Shims we started and may have to collect: process id by folder.
        self._children: dict[Path, int] = {}

    def has_image(self, image: str) -> bool:
        """Whether a command stands for this image."""
        return self._images.command(image) is not None

    async def start(self, run: Run, spec: RunSpec) -> datetime:
        """Start a run, or find it started, and return when it began.

        Raises:
            OSError: No process could be started.
            TimeoutError: The shim has not come up.
        """
        folder = self._run_folder(run)
        if not (folder / "claim").exists():
            self._spawn(folder, spec)
        async with asyncio.timeout(_STARTS_WITHIN_S):
            while (started := _read(folder / "started.json")) is None:
                if not self._shim_lives(folder):
                    started = _read(folder / "started.json")
                    break
                await asyncio.sleep(_LOOK_AGAIN_S)
        if started is None:  # killed before it came to anything: `wait` tells
            return datetime.now(UTC)
        return datetime.fromtimestamp(started["started_at"], UTC)

    async def wait(self, run: Run) -> Exit:
        """Wait until a run is over."""
        folder = self._run_folder(run)
        while self._shim_lives(folder):
            if not await self._end_of_shim(folder):
                await asyncio.sleep(0.05)
        ended = _read(folder / "exit.json")
        if ended is not None:
            return Exit(ended["exit_code"], datetime.fromtimestamp(ended["finished_at"], UTC))
        self._kill_leftovers(folder)
        return Exit(KILLED, datetime.now(UTC), lost=True)

    async def kill(self, run: Run) -> None:
        """Kill a run with all its processes and wait until it is over."""
        await self._kill(self._run_folder(run))

    def log(self, run: Run) -> bytes:
        """Return a run's output, each line led by its time."""
        folder = self._run_folder(run)
        text = b""
        for name in ("log.old", "log"):
            with contextlib.suppress(FileNotFoundError):
                text += (folder / name).read_bytes()
        return text

    async def remove(self, group_uid: str, *, keep_deployment: int | None = None) -> None:
        """Kill and forget all runs of a group, except those of one deployment."""
        group = self._folder / group_uid
        if not group.is_dir():
            return
        for folder in sorted(group.iterdir()):
            if keep_deployment is None or not folder.name.startswith(f"{keep_deployment}."):
                await self._kill(folder)
                self._children.pop(folder, None)
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        if keep_deployment is None:
            await asyncio.to_thread(shutil.rmtree, group, ignore_errors=True)

    def _run_folder(self, run: Run) -> Path:
        return self._folder / run.group_uid / f"{run.deployment}.{run.container}.{run.number}"

    def _spawn(self, folder: Path, spec: RunSpec) -> None:
        home = folder / "home"
        (home / "tmp").mkdir(mode=0o700, parents=True, exist_ok=True)
        # Unnamed, so that the container's secrets do not lie about in a file.
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(json.dumps(self._spec(home, spec)).encode("utf-8"))
            file.seek(0)
            null = os.open(os.devnull, os.O_RDWR)
            try:
                self._children[folder] = os.posix_spawn(
                    sys.executable,
                    [sys.executable, "-I", "-S", shim.__file__, str(folder)],
                    {"PATH": _PATH},
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, file.fileno(), 0),
                        (os.POSIX_SPAWN_DUP2, null, 1),
                        (os.POSIX_SPAWN_DUP2, null, 2),
                    ],
                    setsid=True,
                )
            finally:
                os.close(null)

    def _spec(self, home: Path, spec: RunSpec) -> dict[str, Any]:
        own = self._images.command(spec.image) or ()
        path = _PATH
        # As in an image, a command's neighbours are found without a path: python, console scripts.
        if own and Path(own[0]).is_absolute():
            path = f"{Path(own[0]).parent}:{path}"
        given = {"PATH": path, "HOME": str(home), "TMPDIR": str(home / "tmp"), "LANG": "C.UTF-8"}
        return {
            "argv": list(spec.command or own),
            "environment": {**given, **spec.environment},
            "directory": str(home),
            "log_limit_bytes": RUNNING_LOG_BYTES,
            "stopped_log_bytes": STOPPED_LOG_BYTES,
            "stopped_log_lines": STOPPED_LOG_LINES,
        }

    async def _kill(self, folder: Path) -> None:
        if not self._shim_lives(folder):
            self._kill_leftovers(folder)
            return
        while self._shim_lives(folder):
            # No claim yet: it has not got as far as being able to obey.
            pid = _claimed_by(folder)
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            await asyncio.sleep(_LOOK_AGAIN_S)

    def _kill_leftovers(self, folder: Path) -> None:
        """Kill what a dead shim could not: its container's session, if that is still the one it started."""
        if (folder / "exit.json").exists():
            return
        started = _read(folder / "started.json")
        if started is not None and _age_matches(started["pid"], started["started_at"]):
            for pid in [*shim.descendants(started["pid"]), started["pid"]]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _shim_lives(self, folder: Path) -> bool:
        child = self._children.get(folder)
        if child is not None:
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(child, os.WNOHANG)[0] == 0:
                    return True
            del self._children[folder]
        return _is_locked(folder / "claim")

    async def _end_of_shim(self, folder: Path) -> bool:
        """Wait for the end of a folder's shim; False if that cannot be watched here."""
        pid = self._children.get(folder) or _claimed_by(folder)
        try:
            fd = os.pidfd_open(pid) if pid is not None else None
        except (OSError, AttributeError):  # gone already, or no Linux
            return False
        if fd is None:
            return False
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        try:
            # The id may be another process's by now: only a shim that still holds its claim is ours.
            if not self._shim_lives(folder):
                return True
            loop.add_reader(fd, ended.set)
            await ended.wait()
        finally:
            loop.remove_reader(fd)
            os.close(fd)
        return True


def _read(path: Path) -> dict[str, Any] | None:
    """Read a file the shim puts in place whole; None if it is not there."""
    try:
        value: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return value


def _claimed_by(folder: Path) -> int | None:
    try:
        return int((folder / "claim").read_bytes())
    except FileNotFoundError:
        return None


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _age_matches(pid: int, started_at: float) -> bool:
    """Whether a process began when our container did (Linux), so that its id was not given out again."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        boot = next(
            int(line.split()[1])
            for line in Path("/proc/stat").read_text().splitlines()
            if line.startswith("btime ")
        )
    except (OSError, StopIteration):
        return False
    began_at = boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return abs(began_at - started_at) < 3
