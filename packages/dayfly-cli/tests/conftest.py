"""What the tests of the command share. Services are real; each test that starts some, sees them end."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from dayfly_cli.node import npm_packages

_OURS = (
    "OPENAI_",
    "SUPABASE_",
    "AZURE_STORAGE_",
    "WORKER_",
    "WEBHOOK_",
    "DAYFLY_STATE",
    "DAYFLY_UP",
    "CLIENT_ID",
)


@pytest.fixture(autouse=True)
def _no_settings_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith(_OURS) or name == "INTERNAL_API_KEY":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def packages() -> Path:
    return npm_packages()


@pytest.fixture
def refuses() -> Callable[[str], bool]:
    """Whether nobody listens at an address any more."""

    def check(url: str) -> bool:
        parts = urlsplit(url)
        with socket.socket() as probe:
            return probe.connect_ex((parts.hostname or "", parts.port or 0)) != 0

    return check


@pytest.fixture
def is_gone() -> Callable[[int], bool]:
    """Whether a process has ended, now or within two seconds."""

    def check(pid: int) -> bool:
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            try:
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                return True
            if state == "Z":
                return True
            time.sleep(0.02)
        return False

    return check


@pytest.fixture
def processes_of() -> Callable[[Path], list[str]]:
    """The command lines of processes that name a folder."""

    def find(folder: Path) -> list[str]:
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in line and entry.parent.name != str(os.getpid()):
                found.append(line)
        return found

    return find
