"""A whole client in memory: its queues, its container, its webhook, and attempts at its messages."""

import asyncio
import json
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

from dayfly.attempt import Attempt
from dayfly.deadletter import DeadLetters
from dayfly.delivery import Courier
from dayfly.handlers import Handlers
from dayfly.ledger import Entry, Ledger, Outcome
from dayfly.process import HandlerRunner
from dayfly.retry import RetryPolicy
from dayfly.services import AttemptSettings, Services
from dayfly.storage import QueueMessage
from dayfly.testing.clock import ManualClock
from dayfly.testing.runner import InlineRunner
from dayfly.testing.storage import InMemoryBlobs, InMemoryQueue
from dayfly.testing.webhook import RecordingWebhook

__all__ = ["InMemoryClient"]


class InMemoryClient:
    """Everything that one client's tasks meet on their way.

    Attributes:
        clock, queue, poison, blobs, ledger, webhook, runner: the parts, open to a test.
    """

    def __init__(
        self,
        handlers: Handlers | None = None,
        settings: AttemptSettings | None = None,
        runner: HandlerRunner | None = None,
        webhook_max_age_s: float = 24 * 3600,
    ) -> None:
        """Build it.

        Args:
            handlers: the registry, for the inline runner.
            settings: what attempts know.
            runner: runs handlers; None = in this process.
            webhook_max_age_s: the delivery's budget.
        """
        self.clock = ManualClock()
        self.queue = InMemoryQueue("acme-tasks", self.clock)
        self.poison = InMemoryQueue("acme-tasks-poison", self.clock)
        self.blobs = InMemoryBlobs()
        self.ledger = Ledger(self.blobs)
        self.webhook = RecordingWebhook()
        self.runner = runner or InlineRunner(handlers or Handlers())
        self.settings = settings or AttemptSettings()
        retry = RetryPolicy(random=random.Random(0))  # noqa: S311 - jitter is no secret
        self.services = Services(
            queue=self.queue,
            blobs=self.blobs,
            ledger=self.ledger,
            dead_letters=DeadLetters(self.blobs, "acme-dayfly", self.poison, self.clock),
            courier=Courier(self.webhook, self.clock, retry, webhook_max_age_s),
            runner=self.runner,
            clock=self.clock,
            retry=retry,
        )

    def submit(
        self,
        task_type: str,
        payload: dict[str, Any] | None = None,
        webhook_url: str | None = "https://backend.example/hook",
        life: timedelta | None = timedelta(days=7),
    ) -> str:
        """Put a task as the backend does; the answer is the message id, which is its ledger key."""
        return self.queue.send(
            json.dumps({"task_type": task_type, "payload": payload or {}, "webhook_url": webhook_url}), life
        )

    async def receive(self) -> QueueMessage:
        """Take the one visible message."""
        [message] = await self.queue.receive(1, self.settings.lease_s)
        return message

    def attempt(self, message: QueueMessage, runner: HandlerRunner | None = None) -> Attempt:
        """An attempt at a message; `runner` None = the client's."""
        services = replace(self.services, runner=runner or self.runner)
        return Attempt(message, services, self.settings)

    async def run_to_quiet(self, within: timedelta = timedelta(days=2)) -> None:
        """Take and try messages, letting time pass, until the queue is empty."""
        end = self.clock.now() + within
        while self.queue.messages and self.clock.now() < end:
            if received := await self.queue.receive(1, self.settings.lease_s):
                await self.finish(asyncio.create_task(self.attempt(received[0]).run()))
            else:
                await self.clock.advance(self.settings.lease_s / 4)

    async def finish(self, running: "asyncio.Task[Outcome | None]") -> Outcome | None:
        """Let time pass until an attempt ends; the answer is the ledger's word."""
        while not running.done():
            await self.clock.advance(1)
        return running.result()

    async def entry(self, key: str) -> Entry:
        """The ledger entry of a key."""
        found = await self.ledger.read(key)
        if found is None:
            raise LookupError(f"no ledger entry {key}")
        return found[0]
