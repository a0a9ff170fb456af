"""The process backend: real processes, one shim each."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from localazure.containers.backend import Run, RunSpec
from localazure.containers.images import ImageMapping, Images
from localazure.containers.process import ProcessBackend
from localazure.containers.views import log_text

RUN = Run("group", "c", 1, 1)


@dataclass
class Processes:
    folder: Path
    backend: ProcessBackend

    async def start(self, script: str, **environment: str) -> None:
        await self.backend.start(RUN, RunSpec("sh", ("/bin/sh", "-c", script), environment, 1, 1))

    def again(self) -> ProcessBackend:
        """Another backend over the same folder, as after a restart."""
        return ProcessBackend(self.folder, Images())

    def text(self) -> str:
        return log_text(self.backend.log(RUN), tail=None, timestamps=False)

    def run_folder(self) -> Path:
        return self.folder / "group" / "1.c.1"

    async def logged(self, what: str) -> str:
        async with asyncio.timeout(10):
            while what not in self.text():
                await asyncio.sleep(0.01)
        return self.text()


@pytest.fixture
async def processes(tmp_path) -> AsyncIterator[Processes]:
    made = Processes(tmp_path, ProcessBackend(tmp_path, Images([ImageMapping("sh", ("/bin/sh",))])))
    yield made
    await made.backend.remove("group")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in {"Z", "X"}


async def gone(pid: int) -> bool:
    async with asyncio.timeout(5):
        while alive(pid):
            await asyncio.sleep(0.01)
    return True


async def test_exit_code_times_and_output_are_kept(processes):
    await processes.start("echo out; echo err >&2; exit 7")
    ended = await processes.backend.wait(RUN)
    assert (ended.exit_code, ended.lost) == (7, False)
    assert processes.text() == "out\nerr\n"
    assert (await processes.again().wait(RUN)) == ended


async def test_death_by_a_signal_is_128_and_the_signal(processes):
    await processes.start("kill -SEGV $$")
    assert (await processes.backend.wait(RUN)).exit_code == 128 + signal.SIGSEGV


async def test_a_command_that_is_not_there_ends_with_127(processes):
    await processes.backend.start(RUN, RunSpec("sh", ("/no/such/program",), {}, 1, 1))
    assert (await processes.backend.wait(RUN)).exit_code == 127
    assert "/no/such/program" in processes.text()


@pytest.mark.parametrize("value", ["a\0b", "\ud800", "x" * 200_000])
async def test_a_variable_that_no_process_can_have_is_told_in_the_log(processes, value):
    await processes.start("exit 0", BAD=value)
    assert (await processes.backend.wait(RUN)).exit_code == 127
    assert "cannot start '/bin/sh'" in processes.text()


async def test_a_variable_of_64_kilobytes_arrives(processes):
    await processes.start('printf %s "$TASK" | wc -c', TASK="x" * 65_536)
    assert (await processes.backend.wait(RUN)).exit_code == 0
    assert processes.text().strip() == "65536"


async def test_the_container_sees_its_own_variables_and_none_of_ours(processes, monkeypatch):
    monkeypatch.setenv("SERVER_SECRET", "no")
    await processes.start("env", MINE="yes", HOME="/")
    await processes.backend.wait(RUN)
    seen = dict(line.split("=", 1) for line in processes.text().splitlines())
    assert seen.pop("MINE") == "yes"
    assert seen.pop("HOME") == "/"
    assert set(seen) <= {"PATH", "TMPDIR", "LANG", "PWD", "SHLVL", "_", "OLDPWD"}


async def test_the_images_command_is_used_and_its_neighbours_are_found(tmp_path):
    images = Images(
        [ImageMapping("python", (sys.executable, "-c", "import shutil; print(shutil.which('python'))"))]
    )
    backend = ProcessBackend(tmp_path, images)
    await backend.start(RUN, RunSpec("python:3", (), {}, 1, 1))
    assert (await backend.wait(RUN)).exit_code == 0
    assert log_text(backend.log(RUN), tail=None, timestamps=False).startswith(
        str(Path(sys.executable).parent)
    )


async def test_killing_ends_the_whole_tree_even_what_has_a_session_of_its_own(processes):
    await processes.start("setsid sh -c 'echo child $$; exec sleep 600' & echo main $$; wait")
    text = await processes.logged("child ")
    await processes.logged("main ")
    pids = [int(line.split()[1]) for line in (text + processes.text()).splitlines() if " " in line]
    await processes.again().kill(RUN)
    assert (await processes.backend.wait(RUN)).exit_code == 128 + signal.SIGKILL
    assert all([await gone(pid) for pid in pids])


async def test_what_the_first_process_leaves_behind_is_killed(processes):
    await processes.start("setsid sleep 600 & echo left $!; exit 0")
    assert (await processes.backend.wait(RUN)).exit_code == 0
    assert await gone(int(processes.text().split()[1]))


async def test_a_container_outlives_the_server_and_is_found_again(processes):
    await processes.start("while [ ! -e go ]; do sleep 0.02; done; exit 5")
    again = processes.again()
    waiting = asyncio.create_task(again.wait(RUN))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    (processes.run_folder() / "home" / "go").touch()
    assert (await waiting).exit_code == 5


async def test_starting_twice_runs_once(processes):
    await asyncio.gather(processes.start("echo once; sleep 0.2"), processes.start("echo once; sleep 0.2"))
    await processes.backend.wait(RUN)
    assert processes.text() == "once\n"


async def test_a_shim_that_is_killed_takes_its_container_with_it_once_that_is_seen(processes):
    await processes.start("echo main $$; exec sleep 600")
    main = int((await processes.logged("main")).split()[1])
    os.kill(int((processes.run_folder() / "claim").read_text()), signal.SIGKILL)
    ended = await processes.backend.wait(RUN)
    assert (ended.exit_code, ended.lost) == (137, True)
    assert await gone(main)


async def test_once_stopped_the_log_is_its_last_thousand_lines_or_16_kilobytes(processes):
    await processes.start("i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done")
    await processes.backend.wait(RUN)
    assert processes.text().splitlines() == [str(at) for at in range(2000, 3000)]


async def test_while_running_the_log_is_bounded(processes):
    await processes.start(
        "yes 0123456789012345678901234567890123456789 | head -c 20000000; echo end; sleep 600"
    )
    await processes.logged("end")
    sizes = [(processes.run_folder() / name).stat().st_size for name in ("log", "log.old")]
    assert 4_000_000 < sum(sizes) < 9_000_000
    assert processes.text().endswith("end\n")
    await processes.backend.kill(RUN)
    assert len(processes.text()) <= 16 * 1024


async def test_nothing_of_a_removed_group_is_left(processes):
    await processes.start("sleep 600")
    await processes.backend.remove("group")
    assert list(processes.folder.iterdir()) == []
