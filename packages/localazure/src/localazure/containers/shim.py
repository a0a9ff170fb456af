"""The small process that stands between localazure and one container, and outlives localazure.

`python -m localazure.containers.shim FOLDER` reads what to run from its standard input, one JSON object
`{"argv", "environment", "directory", "log_limit_bytes", "stopped_log_bytes", "stopped_log_lines"}`, runs it
in a session of its own and leaves in FOLDER:

    claim         made by the first shim of this folder and locked as long as it lives; holds its process id
    started.json  {"pid", "started_at"}: the container's first process; seconds since the epoch
    log.old, log  standard output and error; each line led by the time it began, 28 bytes with the blank
    exit.json     {"exit_code", "finished_at"}: there once everything the container started is gone

SIGTERM to the shim kills the container, at once and whole. A container is everything that descends from its
first process; what that one leaves behind when it ends is killed, as with the first process of a real one.
A second shim in a folder that has a claim ends without running anything.

Only what starts fast is imported: this module runs by itself, without site-packages.
"""

# pathlib takes longer to import than all of this together:
# ruff: noqa: PTH105, PTH108, PTH110, PTH112, PTH118, PTH123, PTH208

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes as long to import as all the rest
    from typing import Any

#: Exit code of a command that could not be started, as shells have it.
NOT_STARTED = 127

#: Length of the time that leads each line of the log, the blank after it included.
STAMP_BYTES = 28

_PR_SET_CHILD_SUBREAPER = 36
_READ_BYTES = 65536


class Log:
    """The container's output on disk: at most twice `limit_bytes`, the newest at the end of `log`."""

    def __init__(self, folder: str, limit_bytes: int) -> None:
        self._path = os.path.join(folder, "log")
        self._old = self._path + ".old"
        self._limit_bytes = limit_bytes
        self._fd = self._open()
        self._size = 0
        self._in_line = False

    def write(self, data: bytes) -> None:
        """Append output, a time before each line that begins in it."""
        stamp = _stamp(time.time())
        out = []
        for line in _split_lf(data):
            out.append(line if self._in_line else stamp + line)
            self._in_line = not line.endswith(b"\n")
        text = b"".join(out)
        try:
            self._size += os.write(self._fd, text)
        except OSError:  # a full disk costs the log, not the container
            return
        if self._size >= self._limit_bytes:
            os.close(self._fd)
            os.replace(self._path, self._old)
            self._fd = self._open()
            self._size = 0

    def shorten(self, limit_bytes: int, limit_lines: int) -> None:
        """Keep only the last lines: at most so many, and so many bytes of output."""
        os.close(self._fd)
        kept: list[bytes] = []
        left = limit_bytes
        for line in reversed(self._read(self._old) + self._read(self._path)):
            stamp, text = line[:STAMP_BYTES], line[STAMP_BYTES:]
            if not left or len(kept) == limit_lines:
                break
            kept.append(stamp + text[-left:])
            left -= len(text[-left:])
        with open(self._path + ".new", "wb") as file:
            file.write(b"".join(reversed(kept)))
        os.replace(self._path + ".new", self._path)
        if os.path.exists(self._old):
            os.unlink(self._old)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    @staticmethod
    def _read(path: str) -> list[bytes]:
        try:
            with open(path, "rb") as file:
                return _split_lf(file.read())
        except FileNotFoundError:
            return []


def _split_lf(data: bytes) -> list[bytes]:
    """Split after each line feed; carriage returns (progress bars) end no line."""
    parts = data.split(b"\n")
    lines = [part + b"\n" for part in parts[:-1]]
    return [*lines, parts[-1]] if parts[-1] else lines


def _stamp(now: float) -> bytes:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return f"{whole}.{int(now % 1 * 1e6):06d}Z ".encode("ascii")


def claim(folder: str) -> bool:
    """Make this folder ours for good; False if it has been somebody's before."""
    path = os.path.join(folder, "claim")
    draft = f"{path}.{os.getpid()}"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    # Locked and written before it gets its name: whoever sees a claim sees a whole one.
    fcntl.flock(fd, fcntl.LOCK_EX)
    os.write(fd, str(os.getpid()).encode("ascii"))
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(draft)
    return True


def descendants(root: int) -> list[int]:
    """Return the ids of all living processes that descend from `root` (Linux; elsewhere none)."""
    parents: dict[int, int] = {}
    try:
        entries = os.listdir("/proc")
    except FileNotFoundError:
        return []
    for entry in entries:
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:
                    state, parent = file.read().rpartition(b")")[2].split()[:2]
            except OSError:
                continue
            if state not in (b"Z", b"X"):
                parents[int(entry)] = int(parent)
    found: list[int] = []
    layer = {root}
    while layer:
        layer = {pid for pid, parent in parents.items() if parent in layer}
        found += layer
    return found


def _start(spec: dict[str, Any], output: int) -> int:
    """Fork the container's first process and return its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(name, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.chdir(spec["directory"])
        os.execvpe(spec["argv"][0], spec["argv"], spec["environment"])  # noqa: S606 (that is what we are for)
    except (OSError, ValueError) as exc:  # ValueError: a variable that no process can have
        os.write(2, f"cannot start {spec['argv'][0]!r}: {exc}\n".encode())
    finally:
        os._exit(NOT_STARTED)


def _kill_all(first: int) -> None:
    """Kill the container until nothing of it lives."""
    for _ in range(100):
        mine = descendants(os.getpid()) or _group_alive(first)
        if not mine:
            return
        for pid in mine:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        _reap(first)
        time.sleep(0.002)


def _group_alive(first: int) -> list[int]:
    if os.path.isdir("/proc/self"):
        return []
    try:
        os.killpg(first, 0)
    except OSError:
        return []
    return [-first]


def _reap(first: int) -> int | None:
    """Collect the dead; return the exit code of `first` if it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == first:
            code = os.waitstatus_to_exitcode(status)
            code = 128 - code if code < 0 else code


def _watch(first: int, output: int, wakeup: int, log: Log) -> int:
    """Keep the log until the first process has ended; return its exit code."""
    poll = select.poll()
    poll.register(output, select.POLLIN)
    poll.register(wakeup, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == wakeup and signal.SIGTERM in os.read(wakeup, 64):
                _kill_now(first)
            elif fd == output:
                data = os.read(output, _READ_BYTES)
                if data:
                    log.write(data)
                else:
                    poll.unregister(output)
        code = _reap(first)
        if code is not None:
            return code


def _kill_now(first: int) -> None:
    for pid in descendants(os.getpid()) or [first]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _drain(output: int, log: Log) -> None:
    """Take what is left in the pipe; all writers are dead by now."""
    os.set_blocking(output, False)
    while True:
        try:
            data = os.read(output, _READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            return
        log.write(data)


def _write_json(folder: str, name: str, value: dict[str, Any]) -> None:
    path = os.path.join(folder, name)
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(path + ".new", path)


def _adopt_orphans() -> None:
    """Become the parent of every orphan below us (Linux), so that none of them gets away."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (OSError, AttributeError):
        return


def main() -> int:
    """Run one container to its end."""
    folder = sys.argv[1]
    spec = json.loads(sys.stdin.buffer.read())
    if not claim(folder):
        return 0
    output, container_output = os.pipe()
    wakeup, wakeup_in = os.pipe()
    os.set_blocking(wakeup_in, False)
    signal.set_wakeup_fd(wakeup_in, warn_on_full_buffer=False)
    for name in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(name, lambda *_: None)
    for name in (signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    _adopt_orphans()
    log = Log(folder, spec["log_limit_bytes"])
    started_at = time.time()
    first = _start(spec, container_output)
    os.close(container_output)
    _write_json(folder, "started.json", {"pid": first, "started_at": started_at})
    code = _watch(first, output, wakeup, log)
    finished_at = time.time()
    _kill_all(first)
    _drain(output, log)
    log.shorten(spec["stopped_log_bytes"], spec["stopped_log_lines"])
    _write_json(folder, "exit.json", {"exit_code": code, "finished_at": finished_at})
    return 0


if __name__ == "__main__":
    sys.exit(main())
