import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from dayfly_cli.errors import ServiceError
from dayfly_cli.processes import adopting_orphans, child, kept, socket_folder
from dayfly_cli.running import Stopped, run, while_well

SLEEP = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]
IGNORE = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
DEAF = [sys.executable, "-c", IGNORE + SLEEP[2]]


def says(log: Path, word: str) -> Callable[[], object]:
    async def check() -> bool | None:
        return word in log.read_text() or None

    return check


async def test_a_child_ends_with_its_context(tmp_path: Path, is_gone) -> None:
    log = tmp_path / "log"
    async with child("sleeper", SLEEP, log) as process:
        await process.ready(says(log, "here"))
        pid = process.pid
    assert is_gone(pid)


async def test_a_child_that_does_not_listen_is_killed(tmp_path: Path, is_gone) -> None:
    log = tmp_path / "log"
    async with child("deaf", DEAF, log, grace_s=0.1) as process:
        await process.ready(says(log, "here"))
        pid = process.pid
    assert is_gone(pid)


async def test_a_child_ends_when_starting_is_given_up(tmp_path: Path, is_gone) -> None:
    log = tmp_path / "log"
    pids = []

    async def start() -> None:
        async with child("sleeper", SLEEP, log) as process:
            pids.append(process.pid)
            await process.ready(says(log, "never"), limit_s=0.1)

    with pytest.raises(ServiceError, match=rf"sleeper was not ready after 0 s: see {log}"):
        await start()
    assert is_gone(pids[0])


async def test_a_child_that_ends_while_starting_is_told_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('no such option'); sys.exit(3)"]
    with pytest.raises(ServiceError, match="picky ended with exit code 3: no such option"):
        async with child("picky", command, tmp_path / "log") as process:
            await process.ready(says(tmp_path / "log", "never"))


async def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"ghost could not be started: .*no-such-program"):
        async with child("ghost", ["/no-such-program"], tmp_path / "log"):
            pass


async def test_a_second_interruption_kills_at_once_what_the_first_waits_for(tmp_path: Path, is_gone) -> None:
    log = tmp_path / "log"
    pids = []

    async def work() -> None:
        async with child("deaf", DEAF, log, grace_s=600) as process:
            await process.ready(says(log, "here"))
            pids.append(process.pid)
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    while not pids:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.1)
    assert not task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(task, 2)
    assert is_gone(pids[0])


def test_a_child_dies_with_a_parent_that_was_killed_outright(tmp_path: Path, is_gone) -> None:
    script = textwrap.dedent(f"""
        import asyncio
        from pathlib import Path
        from dayfly_cli.processes import child

        async def main():
            async with child("sleeper", {SLEEP!r}, Path({str(tmp_path / "log")!r})) as process:
                print(process.pid, flush=True)
                await asyncio.Event().wait()

        asyncio.run(main())
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    assert is_gone(pid)


async def test_a_kept_process_is_started_again_until_the_context_ends(tmp_path: Path, is_gone) -> None:
    log = tmp_path / "log"
    async with kept("sleeper", SLEEP, log) as process:
        await process.ready(says(log, "here"))
        first = process.current
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        async with asyncio.timeout(5):
            while process.current is first:
                await asyncio.sleep(0.02)
        second = process.current
    assert process.starts == 1
    assert is_gone(second.pid)


async def test_what_children_leave_behind_is_ended_last(tmp_path: Path, is_gone) -> None:
    log = tmp_path / "log"
    leave = (
        "import subprocess; p = subprocess.Popen(['sleep', '600'], start_new_session=True); "
        "print('left', p.pid, flush=True)"
    )
    async with adopting_orphans():
        async with child("parent", [sys.executable, "-c", leave], log) as process:
            assert await process.process.wait() == 0
        pid = int(log.read_text().split()[1])
        assert Path(f"/proc/{pid}").exists()
    assert is_gone(pid)


def test_a_signal_ends_the_work_after_it_has_cleaned_up(tmp_path: Path, is_gone) -> None:
    log = tmp_path / "log"
    pids = []

    async def work() -> None:
        async with child("sleeper", SLEEP, log) as process:
            await process.ready(says(log, "here"))
            pids.append(process.pid)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()

    with pytest.raises(Stopped):
        run(work())
    assert is_gone(pids[0])


async def test_work_is_given_up_when_what_it_needs_breaks() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def broken() -> Exception:
        return ServiceError("Azurite ended")

    with pytest.raises(ServiceError, match="Azurite ended"):
        await while_well(work(), broken())
    assert ended.is_set()


async def test_work_that_is_cancelled_has_ended_before_anything_else_goes_on() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            ended.set()

    async def broken() -> Exception:
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(while_well(work(), broken()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


@pytest.mark.parametrize("name", ["with space", "größe", "a,b", "long" * 30])
def test_a_socket_goes_elsewhere_when_its_path_would_be_refused(tmp_path: Path, name: str) -> None:
    with socket_folder(tmp_path, "a.sock") as folder:
        assert folder == tmp_path
    (tmp_path / name).mkdir()
    with socket_folder(tmp_path / name, "a.sock") as folder:
        assert folder.is_dir()
        assert tmp_path not in folder.parents
    assert not folder.exists()
