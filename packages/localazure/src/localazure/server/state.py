"""The state folder: whose it is, and the small things in it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localazure.errors import UsageError


@contextlib.contextmanager
def state_folder(folder: Path) -> Iterator[Path]:
    """Make a folder ours while the block runs, made if need be, for this user's eyes only.

    Raises:
        UsageError: Another server uses it, or it cannot be made or written to.
    """
    try:
        folder = folder.absolute()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+", encoding="ascii")
    except OSError as exc:
        raise UsageError(f"the state folder {folder} cannot be used: {exc.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "?"
            raise UsageError(
                f"the state folder {folder} is in use by process {owner}: stop it, or give another --state"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield folder


def secret(path: Path, length: int = 32) -> str:
    """Return the secret kept in a file, made at random if there is none; hexadecimal.

    Args:
        path: The file, readable by this user only.
        length: Random bytes in it.
    """
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(encoding="ascii")
    value = secrets.token_hex(length)
    write_private(path, value)
    return value


def write_private(path: Path, text: str) -> None:
    """Put a file in place whole, readable by this user only."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def read_facts(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file, empty if there is none."""
    with contextlib.suppress(OSError, ValueError):
        value = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(value, dict):
            return value
    return {}
