"""Handlers in a process of their own: every way to end, and none that takes the supervisor along."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dayfly.clock import SystemClock
from dayfly.process import HandlerOutcome, HandlerProcess, LogTail
from dayfly.task import Task

HERE = Path(__file__).parent
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _example_handlers_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))


async def run(
    task_type: str, timeout_s: float = 30, log: LogTail | None = None, **payload: object
) -> HandlerOutcome:
    runner = HandlerProcess(
        "example_handlers:handlers", SystemClock(), timeout_s, memory_max_bytes=512 * MIB, echo=False
    )
    return await runner.run(Task(task_type, "t1", payload), log or LogTail())


async def wait_for(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_handlers_result_comes_back_and_its_prints_go_to_the_log() -> None:
    log = LogTail()

    assert await run("echo", log=log, text="grüße") == HandlerOutcome("completed", "grüße")

    assert "echoing {'text': 'grüße'}" in log.text()


@pytest.mark.parametrize(
    ("task_type", "expected"),
    [
        ("seed", HandlerOutcome("completed", "hi")),
        ("deny", HandlerOutcome("failed", "no such document")),
        ("later", HandlerOutcome("retry", "the model service is busy", 30)),
        ("bug", HandlerOutcome("retry", "ZeroDivisionError: division by zero")),
        ("crash", HandlerOutcome("retry", "the handler process died of SIGSEGV")),
        ("exit", HandlerOutcome("retry", "the handler process ended with exit code 3 and no answer")),
        ("read", HandlerOutcome("completed", "''")),
    ],
)
async def test_every_end_of_a_handler_has_its_meaning(task_type: str, expected: HandlerOutcome) -> None:
    assert await run(task_type, text="hi") == expected


async def test_an_unknown_type_is_refused_with_those_there_are() -> None:
    outcome = await run("sing")

    assert outcome.kind == "failed"
    assert "unknown task type 'sing'; this worker knows: missing-once, environment, echo" in outcome.text


async def test_a_handler_that_returns_something_else_is_told_so() -> None:
    outcome = await run("wrong")

    assert outcome.kind == "failed"
    assert "the handler returned str" in outcome.text


async def test_what_is_the_supervisors_alone_is_withheld_from_handlers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    withheld = {"INTERNAL_API_KEY", "WEBHOOK_SECRET", "POP_RECEIPT", "TASK_DATA"}
    for name in (*withheld, "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "a value")

    seen = set((await run("environment")).text.split())

    assert not withheld & seen
    assert "OPENAI_API_KEY" in seen


async def test_no_room_for_a_handler_process_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    outcome = await run("echo", text="hi")

    assert outcome.kind == "retry"
    assert "no handler process could be started" in outcome.text


async def test_more_memory_than_allowed_ends_the_handler_not_the_worker() -> None:
    outcome = await run("eat", bytes=800 * MIB)

    assert outcome.kind == "memory"
    assert (await run("eat", bytes=MIB)).text == str(MIB)


async def test_a_handler_that_hangs_is_killed_with_all_it_started(tmp_path: Path) -> None:
    started = tmp_path / "pid"

    outcome = await run("spawn", timeout_s=1.5, started=str(started))

    assert outcome == HandlerOutcome("retry", "the handler took longer than 1.5 s")
    await wait_for(lambda: not alive(int(started.read_text())))


async def test_cancelling_ends_the_handler(tmp_path: Path) -> None:
    started = tmp_path / "pid"
    running = asyncio.create_task(run("sleep", started=str(started)))
    await wait_for(lambda: started.exists() and started.read_text())

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert not alive(int(started.read_text()))


async def test_a_handler_killed_from_outside_is_taken_for_a_memory_kill(tmp_path: Path) -> None:
    started = tmp_path / "pid"
    running = asyncio.create_task(run("sleep", started=str(started)))
    await wait_for(lambda: started.exists() and started.read_text())

    os.kill(int(started.read_text()), signal.SIGKILL)

    assert (await running).kind == "memory"


def test_a_handler_dies_with_its_supervisor(tmp_path: Path) -> None:
    started = tmp_path / "pid"
    program = textwrap.dedent(
        f"""
        import asyncio
        from dayfly.clock import SystemClock
        from dayfly.process import HandlerProcess, LogTail
        from dayfly.task import Task
        runner = HandlerProcess("example_handlers:handlers", SystemClock(), 60, 0)
        asyncio.run(runner.run(Task("sleep", "t", {{"started": {str(started)!r}}}), LogTail()))
        """
    )
    supervisor = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 10
    while not (started.exists() and started.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)

    supervisor.kill()
    supervisor.wait()

    while alive(int(started.read_text())) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(int(started.read_text()))


def test_a_secret_is_masked_wherever_the_log_was_cut() -> None:
    log = LogTail(("s3cr3t-value",))
    for _ in range(4000):
        log.add(b"some text s3cr3t-")
        log.add(b"value more text\n")

    assert "s3cr3t" not in log.text()
    assert len(log.text()) == 16_384
