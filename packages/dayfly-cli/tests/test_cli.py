import base64
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import click
import pytest
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient
from click.testing import CliRunner
from dayfly_cli.azurite import Azurite, azurite
from dayfly_cli.clients import Client
from dayfly_cli.commands.submit import find_target
from dayfly_cli.errors import InputError, NotRunningError
from dayfly_cli.main import COMMANDS, cli, main
from dayfly_cli.state import State
from dayfly_cli.storage import open_storage

ACME = Client.named("acme")


def dayfly(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dayfly_cli.main", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=30, env=os.environ | environment, check=False
    )


@pytest.mark.parametrize("name", list(COMMANDS))
def test_each_command_has_help_with_an_example(name: str) -> None:
    command: click.Command = getattr(importlib.import_module(f"dayfly_cli.commands.{name}"), name)
    shown = CliRunner().invoke(cli, [name, "--help"]).output
    assert f"Example:\n    dayfly {name}" in shown
    undocumented = [
        option.name for option in command.params if isinstance(option, click.Option) and not option.help
    ]
    assert undocumented == []


def test_the_help_lists_every_command() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).output
    assert all(name in shown and sentence in shown for name, sentence in COMMANDS.items())


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing"], 2, "No such command 'nothing'"),
        (["up", "--engine", "vps"], 2, "'vps' is not one of"),
        (["up", "--client", "a_b"], 2, "dayfly: client 'a_b': queues are named after it"),
        (["submit", "ingest"], 2, "Missing argument"),
        (["submit", "ingest", "x.pdf", "--state", "/nonexistent"], 1, "no `dayfly up` is running"),
        (["submit", "", "x.pdf"], 2, "TYPE is empty"),
        (["submit", "ingest", "x.pdf", "--document-set", "../x"], 2, "--document-set '../x' is no name"),
        (["submit", "ingest", "x.pdf", "--webhook", "backend"], 2, "--webhook 'backend' is no URL"),
        (["submit", "ingest", "x.pdf", "--azure"], 1, "set AZURE_STORAGE_CONNECTION_STRING or"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_the_way_out(
    arguments: list[str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["dayfly", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert ended.value.code == code
    assert said in err
    assert "Traceback" not in err
    assert out == ""


def test_the_systems_own_refusal_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lock").mkdir()
    monkeypatch.setattr(sys, "argv", ["dayfly", "up", "--state", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.splitlines() == [
        f"dayfly: the state folder {tmp_path} cannot be locked (Is a directory): pass --state"
    ]


def test_what_an_env_sh_exported_is_not_taken_for_azure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAYFLY_UP", "17")
    monkeypatch.setenv("DAYFLY_STATE", str(tmp_path))
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "UseDevelopmentStorage=true")
    with pytest.raises(NotRunningError, match="no `dayfly up` is running"):
        find_target(None, None, None, azure=False)
    with pytest.raises(InputError, match="has sourced"):
        find_target(None, None, None, azure=True)


def test_an_account_url_that_is_none_is_told(tmp_path: Path) -> None:
    done = dayfly(
        *("submit", "ingest", "x.pdf"),
        AZURE_STORAGE_ACCOUNT_URL="account",
        AZURE_STORAGE_CONNECTION_STRING="",
        DAYFLY_UP="",
        DAYFLY_STATE=str(tmp_path),
    )
    assert done.returncode == 2
    assert done.stderr.startswith("dayfly: AZURE_STORAGE_ACCOUNT_URL is 'account': write it as https://")


@pytest.fixture
async def running(packages: Path, tmp_path: Path) -> AsyncIterator[tuple[State, Azurite]]:
    """A state folder as a running `dayfly up` leaves it, with its storage."""
    state = State(tmp_path / "state")
    state.prepare()
    async with (
        azurite(packages, tmp_path / "azurite.log", location=None) as account,
        open_storage(account.connection_string) as storage,
    ):
        await storage.create(ACME)
        told = {
            "pid": os.getpid(),
            "storage_connection_string": account.connection_string,
            "webhook_inbox": "http://127.0.0.1:9/webhooks",
            "clients": {"acme": {"documents": ACME.documents}},
            "environment": {},
        }
        with state.announced(told):
            yield state, account


async def test_submit_uploads_a_file_and_puts_the_backends_message(
    running: tuple[State, Azurite], tmp_path: Path
) -> None:
    state, account = running
    document = tmp_path / "hinweise für alle.txt"
    document.write_text("Hallo")
    done = dayfly(
        *("submit", "ingest", str(document), "--document-set", "kunden"),
        *("--state", str(state.folder), "--json"),
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    with QueueClient.from_connection_string(account.connection_string, "acme-tasks") as queue:
        [message] = queue.receive_messages()
    assert json.loads(base64.b64decode(message.content)) == {
        "task_type": "ingest",
        "task_id": told["task_id"],
        "payload": {"filename": document.name, "document_set": "kunden"},
        "webhook_url": "http://127.0.0.1:9/webhooks",
    }
    assert (told["message_id"], told["status"]) == (message.id, None)
    with BlobServiceClient.from_connection_string(account.connection_string) as blobs:
        blob = blobs.get_blob_client("acme-documents", f"kunden/{document.name}")
        assert blob.download_blob().readall() == b"Hallo"

    # A blob that is there is named by its file name, or by container and path.
    for name, file_url in ((document.name, None), (f"acme-documents/kunden/{document.name}",) * 2):
        again = dayfly(
            *("submit", "summarize", name, "--document-set", "kunden"),
            *("--webhook", "https://backend.example/hook", "--state", str(state.folder), "--json"),
        )
        assert again.returncode == 0, again.stderr
        with QueueClient.from_connection_string(account.connection_string, "acme-tasks") as queue:
            [message] = queue.receive_messages()
        sent = json.loads(base64.b64decode(message.content))
        assert sent["payload"].get("file_url") == file_url
        assert sent["webhook_url"] == "https://backend.example/hook"

    missing = dayfly("submit", "ingest", "nowhere.pdf", "--state", str(state.folder))
    assert missing.returncode == 2
    assert missing.stderr.splitlines()[-1] == (
        "dayfly: 'nowhere.pdf' is no file here, and no blob acme-documents/default/nowhere.pdf"
    )
    stranger = dayfly("submit", "ingest", "x", "--client", "north", "--state", str(state.folder))
    assert stranger.stderr.strip() == "dayfly: `dayfly up` does not serve client 'north': it serves acme"


async def test_submit_waits_for_the_outcome_and_ends_with_it(
    running: tuple[State, Azurite], tmp_path: Path
) -> None:
    state, account = running
    document = tmp_path / "a.md"
    document.write_text("# A")
    command = [sys.executable, "-m", "dayfly_cli.main", "submit", "ingest", str(document), "--wait", "--json"]
    with subprocess.Popen(
        [*command, "--state", str(state.folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as waiting:
        with QueueClient.from_connection_string(account.connection_string, "acme-tasks") as queue:
            while not (found := list(queue.receive_messages())):
                time.sleep(0.05)
        entry = {
            "attempts": [{"id": "a", "began_at": "2026-01-01T00:00:00Z", "container_group": "g"}],
            "outcome": {"status": "failed", "error": "nothing in it", "at": "2026-01-01T00:00:01Z"},
            "delivery": None,
        }
        with BlobServiceClient.from_connection_string(account.connection_string) as blobs:
            ledger = blobs.get_blob_client("acme-dayfly", f"ledger/{found[0].id}.json")
            ledger.upload_blob(json.dumps(entry))
        out, err = waiting.communicate(timeout=20)
    assert waiting.returncode == 1
    told = json.loads(out)
    assert (told["status"], told["error"], told["container_group"]) == ("failed", "nothing in it", "g")
    assert "waiting" not in out
    assert "ingest default/a.md failed: nothing in it" in err


@pytest.mark.parametrize("after", ["", "ARM:"])
def test_up_that_is_stopped_while_it_starts_leaves_no_process(
    after: str, packages: Path, tmp_path: Path, processes_of
) -> None:
    folder = tmp_path / "state"
    command = [sys.executable, "-m", "dayfly_cli.main", "up", "--state", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as starting:
        assert starting.stderr is not None
        if after:
            for line in starting.stderr:
                if after in line:
                    break
        else:
            while not (folder / "logs" / "azurite.log").exists():
                time.sleep(0.01)
        starting.send_signal(signal.SIGTERM)
        last = starting.stderr.read().splitlines()[-1]
        assert starting.wait(20) == 0
    assert last == "dayfly: stopped, nothing is left running"
    assert processes_of(folder) == []


def test_up_that_is_killed_outright_takes_its_services_along(
    packages: Path, tmp_path: Path, processes_of
) -> None:
    folder = tmp_path / "state"
    command = [sys.executable, "-m", "dayfly_cli.main", "up", "--state", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as starting:
        assert starting.stderr is not None
        for line in starting.stderr:
            if "ARM:" in line:
                break
        assert len(processes_of(folder)) >= 3
        starting.kill()
    deadline = time.monotonic() + 10
    while processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(folder) == []
    if (note := folder / "postgres.at").exists():  # lent to another account, and never given back
        shutil.rmtree(note.read_text())
