"""Attempts, crashes, lost answers, a canceller and replays, interleaved at random: what is promised holds.

Every call of a port waits until the machine lets it go: before its effect, or after it with the answer lost.
What is promised is what docs/concepts/guarantee.md says.
"""

import asyncio
import json
import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dayfly.attempt import Attempt
from dayfly.deadletter import DeadLetters, dead_letter_blob_name, replay
from dayfly.delivery import Courier
from dayfly.errors import Conflict, DayflyError, StorageUnavailable
from dayfly.ledger import Entry, Ledger, Outcome
from dayfly.process import HandlerOutcome, LogTail
from dayfly.retry import RetryPolicy
from dayfly.services import AttemptSettings, Services
from dayfly.storage import Blob, QueueMessage, Receipt
from dayfly.task import Task
from dayfly.testing import InMemoryBlobs, InMemoryQueue, ManualClock
from dayfly.webhook import Answer, webhook_body
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

LEASE_S = 120.0
# A handler and a receiver act by a script, so that what needs several failures in a row is met often.
TEXT = json.dumps({"task_type": "t", "task_id": "t1", "webhook_url": "https://backend.example/hook"})


@dataclass(eq=False)
class Call:
    """A call that waits to be let go: `go`, `refuse` (no effect) or `lose` (the answer, after the effect)."""

    actor: "Actor"
    what: str
    permit: "asyncio.Future[str]"


@dataclass(eq=False)
class Actor:
    """Somebody who calls ports: an attempt, a canceller, a replayer."""

    world: "World"
    name: str
    dead: bool = False
    attempt: Attempt | None = None
    task: "asyncio.Task[Any] | None" = None

    async def step(self, what: str) -> str:
        if self.dead:
            await asyncio.Event().wait()  # a process that was killed calls nothing any more
        call = Call(self, what, asyncio.get_running_loop().create_future())
        self.world.calls.append(call)
        try:
            verdict = await call.permit
        finally:
            if call in self.world.calls:
                self.world.calls.remove(call)
        if verdict == "refuse":
            raise StorageUnavailable(f"{what}: refused")
        return verdict

    def lost(self, verdict: str, what: str) -> None:
        if verdict == "lose":
            raise StorageUnavailable(f"{what}: answer lost")


class SteppedQueue:
    """The queue as one actor sees it."""

    def __init__(self, inner: InMemoryQueue, actor: Actor) -> None:
        self._inner, self._actor = inner, actor
        self.name = inner.name

    async def update(self, receipt: Receipt, visibility_timeout_s: float) -> Receipt:
        verdict = await self._actor.step("update")
        answer = await self._inner.update(receipt, visibility_timeout_s)
        self._actor.lost(verdict, "update")
        return answer

    async def put(self, text: str, visibility_timeout_s: float = 0) -> QueueMessage:
        verdict = await self._actor.step("put")
        answer = await self._inner.put(text, visibility_timeout_s)
        self._actor.lost(verdict, "put")
        return answer

    async def delete(self, receipt: Receipt) -> None:
        verdict = await self._actor.step("delete")
        before = {m.receipt.message_id for m in self._inner.messages}
        await self._inner.delete(receipt)
        if self._inner is self._actor.world.queue and receipt.message_id in before:
            self._actor.world.check_deleted(receipt.message_id)
        self._actor.lost(verdict, "delete")


class SteppedBlobs:
    """The container as one actor sees it."""

    def __init__(self, inner: InMemoryBlobs, actor: Actor) -> None:
        self._inner, self._actor = inner, actor

    async def read(self, name: str) -> Blob | None:
        await self._actor.step(f"read {name}")
        return await self._inner.read(name)

    async def create(self, name: str, data: bytes) -> str:
        verdict = await self._actor.step(f"create {name}")
        etag = await self._inner.create(name, data)
        self._actor.world.check_written(name)
        self._actor.lost(verdict, "create")
        return etag

    async def replace(self, name: str, data: bytes, etag: str) -> str:
        verdict = await self._actor.step(f"replace {name}")
        newest = await self._inner.replace(name, data, etag)
        self._actor.world.check_written(name)
        self._actor.lost(verdict, "replace")
        return newest

    async def write(self, name: str, data: bytes) -> None:
        verdict = await self._actor.step(f"write {name}")
        await self._inner.write(name, data)
        self._actor.lost(verdict, "write")


class SteppedWebhook:
    """The receiver; it may not accept, and its answer may be lost."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor

    async def deliver(self, entry: Entry) -> Answer:
        await self._actor.step("webhook")
        verdict = self._actor.world.receiver.pop(0) if self._actor.world.receiver else "go"
        if verdict == "refuse":
            return Answer(False, "500")
        if verdict == "forbid":
            return Answer(False, "not allowed", allowed=False)
        self._actor.world.check_told(entry.key, webhook_body(entry))
        return Answer(verdict != "lose", None if verdict != "lose" else "answer lost")


class SteppedRunner:
    """A handler that ends when and how the machine says."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor

    async def run(self, task: Task, log: LogTail) -> HandlerOutcome:
        await self._actor.step("handler")
        verdict = self._actor.world.handler.pop(0) if self._actor.world.handler else "go"
        if verdict == "retry":
            return HandlerOutcome("retry", "the model service answered 503")
        if verdict == "fail":
            return HandlerOutcome("failed", f"{self._actor.name} says it is broken")
        return HandlerOutcome("completed", f"the work of {self._actor.name}")


class World:
    """One client's storage, and everybody who works on it."""

    def __init__(self, life: timedelta, text: str, handler: list[str], receiver: list[str]) -> None:
        self.handler = handler
        self.receiver = receiver
        self.clock = ManualClock()
        self.queue = InMemoryQueue("acme-tasks", self.clock)
        self.poison = InMemoryQueue("acme-tasks-poison", self.clock)
        self.blobs = InMemoryBlobs()
        self.calls: list[Call] = []
        self.actors: list[Actor] = []
        self.outcomes: dict[str, Outcome] = {}
        self.delivered: set[str] = set()
        self.told: dict[str, bytes] = {}
        self.last_attempt: dict[str, str | None] = {}
        self.key = self.queue.send(text, life)
        self.keys = {self.key}

    # -- what must hold after each step --------------------------------------------------------------

    def entry(self, key: str) -> Entry | None:
        data = self.blobs.data.get(Ledger.blob_name(key))
        return Entry.from_json(data) if data else None

    def check_written(self, name: str) -> None:
        entry = Entry.from_json(self.blobs.data[name])
        overtaken = self.last_attempt.get(entry.key)
        if overtaken != entry.last_attempt_id and entry.outcome is None:
            assert not self.runs_under_its_lease(overtaken), "an attempt that holds its lease was overtaken"
            self.last_attempt[entry.key] = entry.last_attempt_id
        if entry.outcome is not None:
            known = self.outcomes.setdefault(entry.key, entry.outcome)
            assert known == entry.outcome, "a second outcome after the first"
        assert not (entry.key in self.outcomes and entry.outcome is None), "an outcome taken back"
        state = entry.delivery.state if entry.delivery else None
        assert not (entry.key in self.delivered and state != "delivered"), "delivered, no longer marked so"
        if state == "delivered":
            self.delivered.add(entry.key)

    def check_told(self, key: str, body: bytes) -> None:
        assert self.told.setdefault(key, body) == body, "one webhook id, two verdicts"

    def runs_under_its_lease(self, name: str | None) -> bool:
        actor = next((a for a in self.actors if a.name == name), None)
        if actor is None or actor.attempt is None or actor.attempt._lease is None:
            return False
        if not any(call.actor is actor and call.what == "handler" for call in self.calls):
            return False
        receipt = actor.attempt._lease.message.receipt
        stored = self.queue._stored.get(receipt.message_id)
        hidden = stored is not None and stored.visible_at > self.clock.now()
        return hidden and stored.message.receipt == receipt

    def settled(self, key: str) -> bool:
        entry = self.entry(key)
        if entry is None or entry.outcome is None or entry.delivery is None:
            return False
        dead = entry.dead_letter_reason is None or dead_letter_blob_name(key) in self.blobs.data
        told = entry.dead_letter_reason is None or any(key in m.text for m in self.poison.messages)
        return dead and told

    def check_deleted(self, message_id: str) -> None:
        for key in self.keys:
            entry = self.entry(key)
            if entry is not None and entry.outcome is None and entry.message.id == message_id:
                raise AssertionError("the message that holds an entry without outcome was deleted")
        if message_id == self.key and not self.settled(self.key):
            entry = self.entry(self.key)
            live = {m.receipt.message_id for m in self.queue.messages}
            assert entry is not None, "deleted, and the ledger knows nothing"
            assert entry.message.id in live, "deleted, neither settled nor held by another message"

    # -- who acts ------------------------------------------------------------------------------------

    def alive(self, kind: str) -> list[Actor]:
        return [
            a
            for a in self.actors
            if a.name.startswith(kind) and not a.dead and a.task is not None and not a.task.done()
        ]

    def begin(self, kind: str) -> Actor:
        actor = Actor(self, f"{kind}{len(self.actors)}")
        self.actors.append(actor)
        return actor

    def services(self, actor: Actor) -> Services:
        blobs = SteppedBlobs(self.blobs, actor)
        retry = RetryPolicy(random=random.Random(0))  # noqa: S311 - jitter is no secret
        return Services(
            queue=SteppedQueue(self.queue, actor),
            blobs=blobs,
            ledger=Ledger(blobs),
            dead_letters=DeadLetters(blobs, "acme-dayfly", SteppedQueue(self.poison, actor), self.clock),
            courier=Courier(SteppedWebhook(actor), self.clock, retry, max_age_s=3600),
            runner=SteppedRunner(actor),
            clock=self.clock,
            retry=retry,
            new_id=lambda: actor.name,
        )

    async def receive(self) -> bool:
        received = await self.queue.receive(1, LEASE_S)
        for message in received:
            actor = self.begin("attempt")
            attempt = Attempt(message, self.services(actor), AttemptSettings(LEASE_S, max_attempts=3))
            actor.attempt, actor.task = attempt, asyncio.create_task(attempt.run())
        return bool(received)

    async def cancel(self, actor: Actor) -> None:
        """What `dayfly tasks cancel` does: commit an outcome, the entry created if need be."""
        ledger = Ledger(SteppedBlobs(self.blobs, actor))
        found = await ledger.read(self.key)
        if found is None or found[0].outcome is not None:
            return
        outcome = Outcome("failed", self.clock.now().isoformat(), reason="cancelled", error="cancelled")
        await ledger.replace(found[0].with_outcome(outcome, None, ""), found[1])

    async def replay(self, actor: Actor, key: str) -> None:
        self.keys.add(await replay(SteppedBlobs(self.blobs, actor), SteppedQueue(self.queue, actor), key))


class Interleavings(RuleBasedStateMachine):
    """The machine that hypothesis drives."""

    @initialize(
        hours=st.sampled_from([2, 24 * 7]),
        text=st.sampled_from([TEXT, TEXT, TEXT, "no task"]),
        handler=st.lists(st.sampled_from(["go", "retry", "retry", "fail"]), max_size=6),
        receiver=st.lists(st.sampled_from(["go", "refuse", "lose", "forbid"]), max_size=4),
        late_replays=st.integers(0, 2),
    )
    def start(
        self, hours: int, text: str, handler: list[str], receiver: list[str], late_replays: int
    ) -> None:
        self.loop = asyncio.new_event_loop()
        self.faults = 4
        self.late_replays = late_replays
        self.world = self.do(self._world(hours, text, handler, receiver))

    async def _world(self, hours: int, text: str, handler: list[str], receiver: list[str]) -> World:
        return World(timedelta(hours=hours), text, handler, receiver)

    def do(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def settle(self) -> None:
        self.do(self.world.clock.settle())

    @precondition(lambda self: len(self.world.alive("attempt")) < 3)
    @rule()
    def receive(self) -> None:
        self.do(self.world.receive())
        self.settle()

    @precondition(lambda self: self.world.calls)
    @rule(data=st.data(), calls=st.integers(1, 8))
    def go_on(self, data: st.DataObject, calls: int) -> None:
        """Somebody does the next few things he has to do, and the last of them may go wrong."""
        actor = data.draw(st.sampled_from([c.actor for c in self.world.calls]), label="who")
        verdict = data.draw(st.sampled_from(["go", "refuse", "lose"]), label="ends") if self.faults else "go"
        for left in range(calls, 0, -1):
            call = next((c for c in self.world.calls if c.actor is actor), None)
            if call is None:
                return
            fails = left == 1 and verdict != "go" and call.what not in ("handler", "webhook")
            self.faults -= fails
            call.permit.set_result(verdict if fails else "go")
            self.settle()

    @precondition(lambda self: self.faults and self.world.alive("attempt"))
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        actor = data.draw(st.sampled_from(self.world.alive("attempt")), label="killed")
        self.faults -= 1
        actor.dead = True
        self.world.calls = [c for c in self.world.calls if c.actor is not actor]

    @rule(seconds=st.sampled_from([5.0, LEASE_S / 3 + 1, LEASE_S + 1]))
    def time_passes(self, seconds: float) -> None:
        self.do(self.world.clock.advance(seconds))

    @precondition(lambda self: self.faults)
    @rule()
    def everybody_stalls(self) -> None:
        """All leases end while their holders are frozen."""
        self.faults -= 1
        self.world.clock.jump(LEASE_S + 1)

    @precondition(lambda self: not any(a.name.startswith("canceller") for a in self.world.actors))
    @rule()
    def cancel(self) -> None:
        actor = self.world.begin("canceller")
        actor.task = self.loop.create_task(self._quietly(self.world.cancel(actor)))
        self.settle()

    @precondition(lambda self: sum(a.name.startswith("replayer") for a in self.world.actors) < 3)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        letters = sorted(k for k in self.world.keys if dead_letter_blob_name(k) in self.world.blobs.data)
        if letters:
            key = data.draw(st.sampled_from(letters), label="replayed")
            actor = self.world.begin("replayer")
            actor.task = self.loop.create_task(self._quietly(self.world.replay(actor, key)))
            self.settle()

    async def _quietly(self, work: Any) -> None:
        try:
            await work
        except (Conflict, StorageUnavailable, DayflyError):
            return  # who was refused says so, and the person tries again

    @invariant()
    def nobody_broke_a_promise(self) -> None:
        for actor in self.world.actors if hasattr(self, "world") else ():
            if actor.task is not None and actor.task.done() and not actor.task.cancelled():
                actor.task.result()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.do(self._run_to_quiet())
            for _ in range(self.late_replays):
                for key in sorted(self.world.keys):
                    self.do(self._replay_late(key))
                self.do(self._run_to_quiet())
            self.nobody_broke_a_promise()
            assert not self.world.queue.messages, "a message is left for ever"
            for key in self.world.keys:
                assert self.world.settled(key), f"{key} is lost"
        finally:
            self.do(self._end())
            self.loop.close()

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _replay_late(self, key: str) -> None:
        if dead_letter_blob_name(key) in self.world.blobs.data:
            self.world.keys.add(await replay(self.world.blobs, self.world.queue, key))

    async def _run_to_quiet(self) -> None:
        world = self.world
        for _ in range(3000):
            await world.clock.settle()
            if world.calls:
                world.calls[0].permit.set_result("go")
                continue
            if not await world.receive():
                if not world.queue.messages and not world.alive("attempt") and not world.alive("replayer"):
                    return
                await world.clock.advance(LEASE_S / 2)


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
