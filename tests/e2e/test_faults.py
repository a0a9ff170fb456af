"""What the platform is allowed to do, done to real tasks."""

import os
import signal
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(150)


def worker_pids(message_id: str) -> list[int]:
    """Processes of a message's container: its supervisor, then its handler."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                environ = (folder / "environ").read_bytes()
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if f"MESSAGE_ID={message_id}".encode() in environ and b"worker.main" in command:
                found.append((0, int(folder.name)))
            elif f"MESSAGE_ID={message_id}".encode() in environ and b"dayfly.child" in command:
                found.append((1, int(folder.name)))
    return [pid for _, pid in sorted(found)]


async def test_a_container_that_never_starts_is_given_back_and_counts_no_attempt(laptop) -> None:
    await laptop.order({"kind": "provisioning-failed", "times": 1})
    key = await laptop.submit(await laptop.upload("never.md"))

    entry = await laptop.settled(key)
    await laptop.quiet()

    assert entry["outcome"]["status"] == "completed"
    assert [a["dequeue_count"] for a in entry["attempts"]] == [2]
    first, second = await laptop.runs_of(key)
    assert (first["properties"]["status"], second["properties"]["status"]) == ("Failed", "Succeeded")


async def test_a_container_slower_than_a_poll_is_not_launched_twice(laptop) -> None:
    await laptop.order({"kind": "slow-start", "times": 1, "seconds": 5})
    key = await laptop.submit(await laptop.upload("slow.md"))

    entry = await laptop.settled(key)
    await laptop.quiet()

    assert len(entry["attempts"]) == 1
    assert len(await laptop.runs_of(key)) == 1


@pytest.mark.parametrize("kind", ["throttled", "capacity", "quota", "unavailable"])
async def test_a_launch_that_arm_refuses_is_deferred_and_counts_no_attempt(laptop, kind: str) -> None:
    await laptop.order({"kind": kind, "times": 1, "method": "PUT"})
    key = await laptop.submit(await laptop.upload("refused.md"))

    entry = await laptop.settled(key)
    await laptop.quiet()

    assert (entry["outcome"]["status"], len(entry["attempts"])) == ("completed", 1)
    runs = await laptop.runs_of(key)
    assert [r["properties"]["status"] for r in runs] == ["Cancelled", "Succeeded"]


async def test_a_lost_answer_to_the_launch_runs_the_task_once(laptop) -> None:
    await laptop.order({"kind": "lost-answer", "times": 1})
    key = await laptop.submit(await laptop.upload("lost.md"))

    entry = await laptop.settled(key)
    await laptop.quiet()

    assert (entry["outcome"]["status"], len(entry["attempts"])) == ("completed", 1)


async def test_a_supervisor_killed_in_mid_task_is_followed_by_another_attempt(laptop) -> None:
    laptop.gate.open = False
    key = await laptop.submit(await laptop.upload("supervisor.md"))
    await laptop.handlers_wait()

    os.kill(worker_pids(key)[0], signal.SIGKILL)
    laptop.gate.open = True
    entry = await laptop.settled(key, within_s=90)
    await laptop.quiet()

    assert (entry["outcome"]["status"], len(entry["attempts"])) == ("completed", 2)
    assert [d["status"] for d in await laptop.deliveries(key)] == ["completed"]


async def test_a_handler_killed_in_mid_task_is_tried_again(laptop) -> None:
    laptop.gate.open = False
    key = await laptop.submit(await laptop.upload("handler.md"))
    await laptop.handlers_wait()

    os.kill(worker_pids(key)[1], signal.SIGKILL)
    laptop.gate.open = True
    entry = await laptop.settled(key, within_s=90)
    await laptop.quiet()

    assert (entry["outcome"]["status"], len(entry["attempts"])) == ("completed", 2)
    assert "killed" in entry["attempts"][0]["error"]
    runs = await laptop.runs_of(key)
    assert [r["properties"]["status"] for r in runs] == ["Cancelled", "Succeeded"]


async def test_localazure_killed_in_mid_task_goes_on_where_it_was(laptop) -> None:
    laptop.gate.open = False
    keys = [await laptop.submit(await laptop.upload(f"plane-{n}.md")) for n in range(5)]
    await laptop.handlers_wait(2)
    before = laptop.localazure_pid()

    os.kill(before, signal.SIGKILL)

    async def back() -> bool:
        try:
            return laptop.localazure_pid() != before
        except (OSError, ValueError):
            return False

    await laptop.until(back, "localazure is back")
    laptop.gate.open = True
    entries = [await laptop.settled(key, within_s=90) for key in keys]
    await laptop.quiet(within_s=90)

    assert [e["outcome"]["status"] for e in entries] == ["completed"] * 5
    assert [len(e["attempts"]) for e in entries] == [1] * 5
    for key in keys:
        assert len(await laptop.deliveries(key)) == 1


@pytest.mark.slow
async def test_sixty_messages_with_room_for_three_all_complete_at_their_first_attempt(laptop) -> None:
    await laptop.upload("many.md")
    await laptop.order(
        {"kind": "throttled", "times": 3, "method": "PUT", "retry_after_s": 1},
        {"kind": "capacity", "times": 3},
    )
    keys = [await laptop.submit("many.md") for _ in range(60)]

    entries = [await laptop.settled(key, within_s=140) for key in keys]
    await laptop.quiet(within_s=60)

    assert [e["outcome"]["status"] for e in entries] == ["completed"] * 60
    assert {len(e["attempts"]) for e in entries} == {1}
    assert not set(keys) & set(await laptop.dead_letters())
