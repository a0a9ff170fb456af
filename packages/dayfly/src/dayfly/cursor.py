"""A ledger entry as one attempt last read it, with the ETag that its next write has to name."""

import asyncio
from datetime import datetime

from dayfly.errors import Conflict, StorageUnavailable
from dayfly.ledger import WORKER_STOPPED, Delivery, Entry, Ledger, Outcome

__all__ = ["EntryCursor"]


class EntryCursor:
    """One key's entry: created, read again, swapped. Nothing is known before the first of these."""

    def __init__(self, ledger: Ledger, key: str) -> None:
        self._ledger = ledger
        self._key = key
        self._entry: Entry | None = None
        self._etag = ""
        # The lease keeper reads while the steps write: an older answer must not replace a newer one.
        self._one_at_a_time = asyncio.Lock()

    @property
    def entry(self) -> Entry:
        """The entry as last read or written."""
        if self._entry is None:
            raise RuntimeError("the ledger entry was not read yet")
        return self._entry

    @property
    def outcome(self) -> Outcome | None:
        """The outcome as last read or written; None where there is none, or nothing was read."""
        return self._entry.outcome if self._entry else None

    @property
    def tries(self) -> int:
        """How many attempts count, 1 at the least: those that ended because their worker had to go do not."""
        attempts = self._entry.attempts if self._entry else ()
        return max(1, sum(attempt.error != WORKER_STOPPED for attempt in attempts))

    async def create(self, entry: Entry) -> bool:
        """Write the first version; False if the entry exists, which is read then."""
        try:
            async with self._one_at_a_time:
                self._etag = await self._ledger.create(entry)
                self._entry = entry
        except Conflict:
            await self.read()
            return False
        return True

    async def read(self) -> None:
        """Read the entry again.

        Raises:
            StorageUnavailable: it is gone.
        """
        async with self._one_at_a_time:
            found = await self._ledger.read(self._key)
            if found is None:
                raise StorageUnavailable(f"ledger entry {self._key} is gone")
            self._entry, self._etag = found

    async def swap(self, entry: Entry) -> bool:
        """Write the entry if it still is as it was read; False if it is not, and then it is read."""
        # The ETag of the version that the new entry was made from: while we wait for our turn, the keeper
        # may read a later one, which nobody has judged yet.
        etag = self._etag
        try:
            async with self._one_at_a_time:
                self._etag = await self._ledger.replace(entry, etag)
                self._entry = entry
        except Conflict:
            await self.read()
            return False
        return True

    async def peek_outcome(self) -> Outcome | None:
        """The ledger's word for somebody who holds nothing."""
        found = await self._ledger.read(self._key)
        return found[0].outcome if found else None


def age_s(outcome: Outcome, now: datetime) -> float:
    """Seconds since an outcome was committed."""
    return (now - datetime.fromisoformat(outcome.at)).total_seconds()


def settled(delivery: Delivery | None) -> bool:
    """Whether nothing is left to tell anybody."""
    return delivery is not None and delivery.state != "undelivered"
