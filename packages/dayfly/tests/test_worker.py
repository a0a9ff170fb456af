"""The worker as a process, on the real queue protocol: single task, polling, and its exit codes."""

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from dayfly.azure_storage import AzureBlobContainer, AzureQueue, StorageAccount
from dayfly.deadletter import replay
from dayfly.ledger import Entry, Ledger
from dayfly_cli.azurite import Azurite

HERE = Path(__file__).parent

PROGRAM = """
import asyncio, os, sys
from dayfly import AsyncWorker, process_single_task
async def main():
    if (task_data := os.environ.get("TASK_DATA")) is not None:
        return await process_single_task(task_data, "example_handlers:handlers")
    worker = AsyncWorker("example_handlers:handlers")
    worker.setup_signal_handlers()
    return await worker.run()
sys.exit(asyncio.run(main()))
"""


class Client:
    """One client's storage, and workers that serve it."""

    def __init__(
        self, client_id: str, azurite: Azurite, queue: AzureQueue, blobs: AzureBlobContainer
    ) -> None:
        self.queue = queue
        self.blobs = blobs
        self.env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(HERE),
            "CLIENT_ID": client_id,
            "AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string,
            "WORKER_POLLING_INTERVAL": "0.5",
            "WORKER_RETRY_DELAY": "0.1",
            "WORKER_VISIBILITY_TIMEOUT": "3",
        }

    async def submit(self, task_type: str, **payload: object) -> str:
        fields = {"task_type": task_type, "payload": payload}
        text = base64.b64encode(json.dumps(fields).encode()).decode()
        return (await self.queue.put(text)).receipt.message_id

    async def start(self, program: str = PROGRAM, **env: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, env=self.env | env, stdout=-1, stderr=-1
        )

    async def hand_over(self, group: str = "group-1") -> dict[str, str]:
        """What the launcher gives to a container."""
        [message] = await self.queue.receive(1, 60)
        return {
            "TASK_DATA": message.text,
            "MESSAGE_ID": message.receipt.message_id,
            "POP_RECEIPT": message.receipt.pop_receipt,
            "DEQUEUE_COUNT": str(message.dequeue_count),
            "MESSAGE_EXPIRES": "Fri, 31 Dec 9999 23:59:59 GMT",
            "CONTAINER_GROUP": group,
        }

    async def entry(self, key: str) -> Entry | None:
        found = await Ledger(self.blobs).read(key)
        return found[0] if found else None

    async def outcome(self, key: str) -> Entry:
        async with asyncio.timeout(20):
            while not (entry := await self.entry(key)) or not entry.outcome:
                await asyncio.sleep(0.05)
        return entry

    async def until_empty(self) -> None:
        async with asyncio.timeout(10):
            while not await self.is_empty():
                await asyncio.sleep(0.05)

    async def is_empty(self) -> bool:
        return (await self.queue._client.get_queue_properties()).approximate_message_count == 0


@pytest.fixture
async def client(azurite: Azurite, client_account: str) -> AsyncIterator[Client]:
    account = StorageAccount(azurite.connection_string)
    async with (
        account.queue(f"{client_account}-tasks") as queue,
        account.container(f"{client_account}-dayfly") as blobs,
    ):
        yield Client(client_account, azurite, queue, blobs)


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    async with asyncio.timeout(20):
        out, err = await process.communicate()
    return process.returncode, out.decode() + err.decode()


@asynccontextmanager
async def polling(client: Client, **env: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await client.start(**env)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await ended(process)


async def wait_for(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(("task_type", "code"), [("echo", 0), ("deny", 1), ("bug", 75)])
async def test_the_exit_code_of_a_single_task_is_the_ledgers_word(
    client: Client, task_type: str, code: int
) -> None:
    key = await client.submit(task_type, text="hi")

    exit_code, told = await ended(await client.start(**await client.hand_over()))

    entry = await client.entry(key)
    assert exit_code == code, told
    assert entry.attempts[0].container_group == "group-1"
    assert (entry.outcome is None) == (code == 75)
    assert await client.is_empty() == (code != 75)


async def test_a_container_restarted_before_its_task_was_done_ends_with_75(
    client: Client, tmp_path: Path
) -> None:
    started = tmp_path / "pid"
    await client.submit("sleep", started=str(started))
    env = await client.hand_over()
    first = await client.start(**env)
    await wait_for(started.exists)
    first.kill()
    await first.wait()

    exit_code, _ = await ended(await client.start(**env))

    assert exit_code == 75


async def test_a_container_restarted_after_its_task_was_done_ends_with_the_same_code(client: Client) -> None:
    await client.submit("deny")
    env = await client.hand_over()

    assert (await ended(await client.start(**env)))[0] == 1
    assert (await ended(await client.start(**env)))[0] == 1


async def test_a_manual_start_does_its_task_without_a_message(client: Client) -> None:
    text = json.dumps({"task_type": "echo", "payload": {"text": "by hand"}})

    exit_code, told = await ended(await client.start(TASK_DATA=text, CONTAINER_GROUP="by-hand-1"))

    assert exit_code == 0, told
    assert (await client.entry("by-hand-1")).outcome.result == "by hand"


async def test_an_empty_text_is_a_message_that_is_no_task(client: Client) -> None:
    await client.queue.put("")

    exit_code, told = await ended(await client.start(**await client.hand_over()))

    assert exit_code == 1, told
    assert await client.is_empty()


async def test_a_defect_of_the_worker_itself_is_not_taken_for_a_failed_task(client: Client) -> None:
    key = await client.submit("echo", text="hi")
    broken = PROGRAM.replace(
        "import asyncio, os, sys", "import asyncio, os, sys, dayfly.ledger as l; l.Entry.to_json = None"
    )

    exit_code, told = await ended(await client.start(broken, **await client.hand_over()))

    assert exit_code == 75
    assert "broken off by a defect" in told
    assert await client.entry(key) is None


async def test_a_container_told_to_stop_gives_its_message_back_at_once(
    client: Client, tmp_path: Path
) -> None:
    started = tmp_path / "pid"
    await client.submit("sleep", started=str(started))
    process = await client.start(**await client.hand_over())
    await wait_for(started.exists)

    process.terminate()

    assert (await ended(process))[0] == 75
    assert len(await client.queue.receive(1, 30)) == 1


async def test_settings_that_are_wrong_stop_the_start_with_78_and_no_traceback(client: Client) -> None:
    for env in ({"TASK_DATA": "{}"}, {}):
        exit_code, told = await ended(
            await client.start(WORKER_MAX_ATTEMPTS="many", AZURE_STORAGE_CONNECTION_STRING="", **env)
        )

        assert exit_code == 78
        assert "dayfly: could not start: WORKER_MAX_ATTEMPTS" in told
        assert "Traceback" not in told


@pytest.mark.parametrize("env", [{"TASK_DATA": "{}"}, {}])
async def test_a_missing_queue_or_container_stops_the_start_by_name(
    client: Client, env: dict[str, str]
) -> None:
    exit_code, told = await ended(await client.start(CLIENT_ID="nobody", **env))

    assert exit_code == 78
    assert "nobody-" in told
    assert "does not exist" in told


async def test_a_poller_does_what_is_in_the_queue_and_ends_when_told(client: Client) -> None:
    keys = [await client.submit("echo", text=str(n)) for n in range(3)]

    async with polling(client) as process:
        results = [(await client.outcome(key)).outcome.result for key in keys]
        process.terminate()
        exit_code, _ = await ended(process)

    assert results == ["0", "1", "2"]
    assert exit_code == 0
    assert await client.is_empty()


async def test_a_poller_killed_in_mid_task_loses_nothing(client: Client, tmp_path: Path) -> None:
    started = tmp_path / "pid"
    key = await client.submit("sleep", started=str(started))
    async with polling(client) as process:
        await wait_for(started.exists)
        process.kill()
        await process.wait()

    async with polling(client, WORKER_TASK_TIMEOUT="0.5", WORKER_MAX_ATTEMPTS="2"):
        entry = await client.outcome(key)

    assert [a.dequeue_count for a in entry.attempts] == [1, 2]
    assert entry.outcome.reason == "exhausted"


async def test_a_draining_poller_gives_back_what_does_not_fit_into_its_grace(
    client: Client, tmp_path: Path
) -> None:
    started = tmp_path / "pid"
    await client.submit("sleep", started=str(started))
    async with polling(client, WORKER_GRACE="0.1") as process:
        await wait_for(started.exists)
        process.terminate()
        exit_code, _ = await ended(process)

    assert exit_code == 0
    assert len(await client.queue.receive(1, 30)) == 1


async def test_of_two_live_attempts_the_one_that_lost_its_lease_settles_nothing(
    client: Client, tmp_path: Path
) -> None:
    started, go = tmp_path / "pids", tmp_path / "go"
    key = await client.submit("wait", started=str(started), go=str(go))
    frozen = await client.start(**await client.hand_over("group-1"))
    await wait_for(started.exists)
    frozen.send_signal(signal.SIGSTOP)  # its lease of 3 s ends while it cannot renew it

    async def visible_again() -> dict[str, str]:
        async with asyncio.timeout(15):
            while True:
                try:
                    return await client.hand_over("group-2")
                except ValueError:
                    await asyncio.sleep(0.1)

    successor = await client.start(**await visible_again())
    await wait_for(lambda: len(started.read_text().split()) == 2)
    frozen.send_signal(signal.SIGCONT)
    straggler_ended = asyncio.create_task(ended(frozen))
    go.touch()

    exit_code, told = await ended(successor)
    straggler_exit_code, straggler_told = await straggler_ended

    entry = await client.entry(key)
    assert (exit_code, entry.outcome.status) == (0, "completed"), told
    assert entry.outcome.result == started.read_text().split()[1]
    assert entry.outcome.attempt_id == entry.attempts[1].id
    assert [a.container_group for a in entry.attempts] == ["group-1", "group-2"]
    assert straggler_exit_code in (0, 75), straggler_told
    assert await client.is_empty()


async def test_a_dead_letter_of_64_kib_is_replayed_whole(client: Client, tmp_path: Path) -> None:
    fields = {"task_type": "missing-once", "payload": {"text": ""}}
    fields["payload"]["text"] = "x" * (65_536 - len(json.dumps(fields)))
    message = await client.queue.put(json.dumps(fields))
    key = message.receipt.message_id
    async with polling(client, WORKER_MAX_ATTEMPTS="1", SEEN=str(tmp_path / "seen")):
        entry = await client.outcome(key)
        assert entry.outcome.reason == "exhausted"
        await client.until_empty()

        assert await replay(client.blobs, client.queue, key) == f"{key}-r1"

        replayed = await client.outcome(f"{key}-r1")
    assert replayed.outcome.result == fields["payload"]["text"]


async def test_a_poller_leaves_messages_alone_that_another_engine_may_take(client: Client) -> None:
    await client.blobs.write("route.json", b'{"engine": "aci"}')
    key = await client.submit("echo")

    async with polling(client) as process:
        line = await process.stdout.readline()
        assert json.loads(line)["route"] == "aci"
        process.terminate()

    assert await client.entry(key) is None
    assert not await client.is_empty()
