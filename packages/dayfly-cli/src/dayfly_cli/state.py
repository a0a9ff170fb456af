"""The state folder of `dayfly up`: data, logs, secrets, and the file that tells others what is where."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dayfly_cli.errors import NotRunningError, SetupError

DEFAULT = ".dayfly"


class State:
    """One state folder. Nothing is made before `prepare`.

    Args:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self.logs = self.folder / "logs"
        self.azurite = self.folder / "azurite"
        self.postgres = self.folder / "postgres"
        self.localazure = self.folder / "localazure"
        self.deliveries = self.folder / "deliveries.jsonl"
        self.up_json = self.folder / "up.json"
        self.env_sh = self.folder / "env.sh"

    def prepare(self) -> None:
        """Make the folder: private files in it, but passable, since PostgreSQL may run as another account.

        Raises:
            SetupError: it cannot be made.
        """
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            self.logs.chmod(0o700)
            self.folder.chmod(0o711)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as exc:
            raise SetupError(
                f"the state folder {self.folder} cannot be made ({exc.strerror}): pass --state"
            ) from exc

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process alone.

        Raises:
            SetupError: another `dayfly up` holds it.
        """
        try:
            lock = (self.folder / "lock").open("a+")
        except OSError as exc:
            raise SetupError(
                f"the state folder {self.folder} cannot be locked ({exc.strerror}): pass --state"
            ) from exc
        with lock as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise SetupError(
                    f"another `dayfly up` is using {self.folder}: stop it, or pass --state another folder"
                ) from exc
            yield

    def secret(self, name: str, make: Callable[[], str]) -> str:
        """Return the secret kept under `name`, made at first use: it stays the same in every start.

        Raises:
            SetupError: the file of secrets cannot be read.
        """
        path = self.folder / "secrets.json"
        try:
            secrets: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        except ValueError as exc:
            raise SetupError(f"{path} is damaged ({exc}): pass --state another folder") from exc
        if name not in secrets:
            secrets[name] = make()
            write_private(path, json.dumps(secrets, indent=1))
        return secrets[name]

    @contextmanager
    def announced(self, description: Mapping[str, Any]) -> Iterator[None]:
        """Tell where everything is, in `up.json` and `env.sh`, for as long as the context is open."""
        write_private(self.up_json, json.dumps(description, indent=1) + "\n")
        exports = "".join(
            f"export {name}={shlex.quote(value)}\n" for name, value in description["environment"].items()
        )
        write_private(self.env_sh, exports)
        try:
            yield
        finally:
            self.up_json.unlink(missing_ok=True)
            self.env_sh.unlink(missing_ok=True)

    def running(self) -> dict[str, Any]:
        """Return what the running `dayfly up` told.

        Raises:
            NotRunningError: none is running with this folder.
        """
        try:
            told: dict[str, Any] = json.loads(self.up_json.read_text())
            os.kill(int(told["pid"]), 0)
        except (OSError, ValueError, KeyError) as exc:
            raise NotRunningError(
                f"no `dayfly up` is running with the state folder {self.folder}: start one, pass --state, "
                "or set AZURE_STORAGE_CONNECTION_STRING and pass --azure"
            ) from exc
        return told


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read, whole or not at all."""
    aside = path.with_name(path.name + ".part")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    aside.rename(path)


def find_state(given: Path | None) -> State:
    """Return the state folder: the one given, else `$DAYFLY_STATE`, else `.dayfly` here or above."""
    chosen = given or (Path(os.environ["DAYFLY_STATE"]) if os.environ.get("DAYFLY_STATE") else None)
    if chosen is not None:
        return State(chosen)
    here = Path.cwd()
    known = (folder / DEFAULT for folder in (here, *here.parents) if (folder / DEFAULT).is_dir())
    return State(next(known, here / DEFAULT))
