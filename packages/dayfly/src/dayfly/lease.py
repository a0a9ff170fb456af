"""The lease: the right to settle a message. It keeps others away; the ledger decides."""

import asyncio
from dataclasses import replace
from datetime import datetime

from dayfly.clock import Clock
from dayfly.errors import ReceiptRefused
from dayfly.storage import MessageQueue, QueueMessage

__all__ = ["Lease", "life_left_s"]


class Lease:
    """One message in hand, hidden from everybody else while it is renewed.

    Attributes:
        message: the message, its receipt the newest one.
        refused: the receipt was refused once; the message is gone or somebody else's.
    """

    def __init__(self, queue: MessageQueue, message: QueueMessage, clock: Clock, lease_s: float) -> None:
        self.message = message
        self.refused = False
        self._queue = queue
        self._clock = clock
        self._lease_s = lease_s
        # One operation on the message at a time: two at once would each make the other's receipt stale.
        self._one_at_a_time = asyncio.Lock()

    async def renew(self) -> bool:
        """Hide the message for another lease; False if the receipt is refused."""
        return await self._update(self._lease_s)

    async def release(self, delay_s: float) -> bool:
        """Show the message again after so many seconds; False if the receipt is refused."""
        return await self._update(delay_s)

    async def delete(self) -> bool:
        """Delete the message; False if the receipt is refused: somebody else settles it, or did."""
        async with self._one_at_a_time:
            if self.refused:
                return False
            try:
                await self._queue.delete(self.message.receipt)
            except ReceiptRefused:
                self.refused = True
                return False
            return True

    async def _update(self, visibility_timeout_s: float) -> bool:
        async with self._one_at_a_time:
            if self.refused:
                return False
            try:
                receipt = await self._queue.update(
                    self.message.receipt, self._within_life(visibility_timeout_s)
                )
            except ReceiptRefused:
                self.refused = True
                return False
            self.message = replace(self.message, receipt=receipt)
            return True

    def _within_life(self, seconds: float) -> float:
        """Update Message refuses to hide a message past its expiry."""
        return max(0.0, min(seconds, life_left_s(self.message, self._clock.now()) - 1))


def life_left_s(message: QueueMessage, now: datetime) -> float:
    """Seconds until the queue drops a message; infinite for one that never expires."""
    if message.expires_at is None:
        return float("inf")
    return (message.expires_at - now).total_seconds()
