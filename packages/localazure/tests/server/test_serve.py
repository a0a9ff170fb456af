"""`localazure serve` as a command: readiness, stops, kills, errors in one line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from localazure.cli import main

GROUP = "localazure"


class Command:
    """One `localazure serve`."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, *options: str, **environment: str) -> dict[str, Any]:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "localazure", "serve", "--state", str(self.state), "--image", "shell=/bin/sh"),
            *options,
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), 20)
        if not line:
            raise AssertionError((await self.process.communicate())[1].decode())
        ready: dict[str, Any] = json.loads(line)
        return ready

    async def end(self, how: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        out, err = await asyncio.wait_for(self.process.communicate(), 20)
        assert (out, err) == (b"", b"")
        assert self.process.returncode is not None
        return self.process.returncode


@pytest.fixture
async def command(tmp_path: Path) -> AsyncIterator[Command]:
    made = Command(tmp_path / "state")
    yield made
    if made.process is not None and made.process.returncode is None:
        made.process.kill()
        await made.process.communicate()
    for claim in tmp_path.rglob("claim"):
        try:
            os.kill(int(claim.read_text()), signal.SIGTERM)
        except ProcessLookupError:
            continue


async def test_it_says_when_it_is_ready_and_stops_cleanly(command, tmp_path):
    ready_file = tmp_path / "ready.json"
    ready = await command.start("--ready-file", str(ready_file), "--resource-group", "mine")
    assert json.loads(ready_file.read_text()) == ready
    assert ready["resource_group"] == "mine"
    assert ready["admin"] == ready["arm"] + "/_admin"
    assert ready["pid"] == command.process.pid
    assert Path(ready["arm_ca"]).is_file()
    assert await command.end(signal.SIGINT) == 0


async def test_killed_and_started_again_it_goes_on_where_it_was(
    command, connected, disconnected, shell_group, tmp_path
):
    flag, ended = tmp_path / "go", tmp_path / "ended"
    served = await connected(await command.start())
    wait = f"echo up; while [ ! -e {flag} ]; do sleep 0.02; done; exit 5"
    await served.deploy("long", shell_group(wait))
    await served.deploy("short", shell_group(f"sleep 0.5; touch {ended}; exit 6"))
    await served.admin("PUT", "quotas", {"groups": 7})
    first = served.ready
    await disconnected(served)
    assert await command.end(signal.SIGKILL) == -signal.SIGKILL
    async with asyncio.timeout(10):
        while not ended.exists():
            await asyncio.sleep(0.02)

    again = await command.start()
    assert {**again, "pid": 0} == {**first, "pid": 0}  # same ports, same header
    served = await connected(again)
    gone = await served.state("short", "Terminated")
    assert gone.instance_view.current_state.exit_code == 6
    still = await served.state("long", "Running")
    assert still.instance_view.restart_count == 0
    assert (await served.sdk.containers.list_logs(GROUP, "long", "c")).content == "up\n"
    flag.touch()
    over = await served.state("long", "Terminated")
    assert over.instance_view.current_state.exit_code == 5
    assert [event.count for event in over.instance_view.events] == [1, 1, 1, 1]
    assert (await served.admin("GET", "quotas")).json()["limits"]["groups"] == 7
    await disconnected(served)
    assert await command.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(("options", "state"), [((), "Running"), (("--stop-containers",), "Terminated")])
async def test_containers_run_on_when_it_stops_unless_they_are_to_end_with_it(
    command, connected, disconnected, shell_group, options, state
):
    served = await connected(await command.start(*options))
    await served.deploy("job", shell_group("sleep 600"))
    await disconnected(served)
    assert await command.end(signal.SIGTERM) == 0
    served = await connected(await command.start())
    await served.state("job", state)
    await (await served.sdk.container_groups.begin_delete(GROUP, "job")).result()
    await disconnected(served)
    assert await command.end(signal.SIGTERM) == 0


async def test_the_account_key_of_the_environment_reaches_no_container(
    command, connected, disconnected, shell_group
):
    account = "AccountName=dev;AccountKey=c2VjcmV0;QueueEndpoint=http://127.0.0.1:9/dev"
    served = await connected(await command.start(LOCALAZURE_STORAGE=f"{account}\n"))
    await served.deploy("look", shell_group("env; exit 0", MINE="yes"))
    await served.state("look", "Terminated")
    seen = (await served.sdk.containers.list_logs(GROUP, "look", "c")).content
    assert "MINE=yes" in seen
    assert "LOCALAZURE_STORAGE" not in seen
    assert "c2VjcmV0" not in seen
    await disconnected(served)
    assert await command.end(signal.SIGTERM) == 0


def test_a_storage_account_of_the_environment_that_cannot_work_is_told_in_one_line(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("LOCALAZURE_STORAGE", "AccountName=dev")
    assert main(["serve", "--state", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        "localazure: --storage, or LOCALAZURE_STORAGE: the storage connection string needs AccountName and"
        " AccountKey\n"
    )


async def test_a_folder_in_use_and_a_port_in_use_are_told_in_one_line(command, tmp_path, capsys):
    ready = await command.start()
    assert main(["serve", "--state", str(command.state)]) == 1
    told = capsys.readouterr().err
    assert told == (
        f"localazure: the state folder {command.state} is in use by process {ready['pid']}: stop it, or give"
        " another --state\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "localazure",
                "serve",
                "--state",
                str(tmp_path / "other"),
                "--port",
                port,
            ),
            stderr=asyncio.subprocess.PIPE,
        )
        _, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert err.decode() == (
        f"localazure: cannot listen on 127.0.0.1:{port} (Address already in use): give another --port, or 0"
        " for a free one\n"
    )


@pytest.mark.parametrize("options", [["--image", "x"], ["--port", "70000"], ["--state", "/proc/nowhere"]])
def test_an_option_that_cannot_work_is_told_in_one_line(options, tmp_path, capsys):
    assert main(["serve", "--state", str(tmp_path), *options]) == 1
    told = capsys.readouterr().err
    assert told.startswith("localazure: ")
    assert told.count("\n") == 1


@pytest.mark.parametrize("command_name", ["serve", "check", "evaluate"])
def test_every_command_has_a_help_with_an_example(command_name, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command_name, "--help"])
    assert caught.value.code == 0
    assert "example:\n" in capsys.readouterr().out
