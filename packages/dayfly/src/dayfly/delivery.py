"""Step 6: tell the webhook the ledger's outcome, and mark in the ledger what became of that."""

import asyncio
from dataclasses import dataclass, replace

import structlog

from dayfly.clock import Clock
from dayfly.cursor import EntryCursor, age_s, settled
from dayfly.ledger import Delivery
from dayfly.retry import RetryPolicy
from dayfly.webhook import Answer, Webhook

__all__ = ["Courier"]

_log = structlog.get_logger()

_REQUESTS = 3
_REQUESTS_WHEN_NOBODY_COMES_BACK = 10
_PAUSE_S = 1.0
_PAUSE_MAX_S = 60.0


@dataclass(frozen=True)
class Courier:
    """Delivers outcomes.

    Attributes:
        retry: how long a message is put aside before its outcome is delivered again.
        max_age_s: the delivery's budget, counted from the outcome.
    """

    webhook: Webhook
    clock: Clock
    retry: RetryPolicy
    max_age_s: float

    async def deliver(
        self, cursor: EntryCursor, dequeue_count: int | None, going: asyncio.Event
    ) -> float | None:
        """Deliver what is still to be delivered.

        Args:
            cursor: an entry with an outcome.
            dequeue_count: of the message in hand; None where no message will come back.
            going: set when the worker has to go: no more waiting between requests.

        Returns:
            Seconds after which to come back; None when the entry is marked.
        """
        entry = cursor.entry
        if settled(entry.delivery):
            return None
        if entry.task is None or entry.task.webhook_url is None:
            await self._mark(cursor, Delivery("not_requested", self._now()))
            return None
        was_undelivered = entry.delivery is not None
        limit = _REQUESTS if dequeue_count is not None else _REQUESTS_WHEN_NOBODY_COMES_BACK
        answer, tries = await self._ask(cursor, 1 if was_undelivered else limit, going)
        if answer.accepted:
            await self._mark(cursor, Delivery("delivered", self._now(), tries))
        elif not was_undelivered:
            if answer.allowed and dequeue_count is not None and not self._budget_spent(cursor):
                return self.retry.delay_s(max(dequeue_count, 1), answer.retry_after_s)
            await self._mark(cursor, Delivery("undelivered", self._now(), tries, answer.error))
        return None

    async def _ask(self, cursor: EntryCursor, limit: int, going: asyncio.Event) -> tuple[Answer, int]:
        """Make requests until one is accepted, none is allowed, or `limit` were made."""
        tries = 0
        while True:
            answer = await self.webhook.deliver(cursor.entry)
            tries += 1
            if answer.accepted:
                return answer, tries
            _log.warning("webhook not accepted", key=cursor.entry.key, error=answer.error, tries=tries)
            if not answer.allowed or tries >= limit or going.is_set():
                return answer, tries
            await self.clock.sleep(min(_PAUSE_MAX_S, _PAUSE_S * 2 ** (tries - 1)))

    async def _mark(self, cursor: EntryCursor, delivery: Delivery) -> None:
        """Write the mark. Delivered stays delivered; undelivered may become delivered."""
        while not settled(cursor.entry.delivery):
            if cursor.entry.delivery is not None and delivery.state == "undelivered":
                return
            if await cursor.swap(replace(cursor.entry, delivery=delivery)):
                return

    def _budget_spent(self, cursor: EntryCursor) -> bool:
        outcome = cursor.outcome
        return outcome is None or age_s(outcome, self.clock.now()) >= self.max_age_s

    def _now(self) -> str:
        return self.clock.now().isoformat()
