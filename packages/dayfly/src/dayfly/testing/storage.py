"""A queue and a blob container in memory, with Azure's rules for receipts, ETags, hiding and expiry."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

from dayfly.clock import Clock
from dayfly.errors import Conflict, ReceiptRefused, StorageUnavailable
from dayfly.limits import MESSAGE_TEXT_MAX_BYTES
from dayfly.storage import Blob, QueueMessage, Receipt

__all__ = ["Faults", "InMemoryBlobs", "InMemoryQueue"]


class Faults:
    """Makes calls fail before their effect or after it, when a test orders it.

    Attributes:
        calls: every call so far, as `operation name`.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._ordered: list[tuple[str, bool]] = []
        self._before: list[tuple[str, Callable[[], Awaitable[None]]]] = []

    def fail(self, call: str, after_effect: bool = False) -> None:
        """The next call that begins so raises `StorageUnavailable`."""
        self._ordered.append((call, after_effect))

    def before(self, call: str, action: Callable[[], Awaitable[None]]) -> None:
        """Run something right before the next call that begins so."""
        self._before.append((call, action))

    async def begin(self, call: str) -> bool:
        """Note a call; the answer says whether it has to fail after its effect."""
        self.calls.append(call)
        for known in list(self._before):
            if call.startswith(known[0]):
                self._before.remove(known)
                await known[1]()
        for ordered in list(self._ordered):
            if call.startswith(ordered[0]):
                self._ordered.remove(ordered)
                if not ordered[1]:
                    raise StorageUnavailable(f"{call}: ordered to fail")
                return True
        return False


def _end(call: str, fails: bool) -> None:
    if fails:
        raise StorageUnavailable(f"{call}: its answer was ordered to be lost")


@dataclass
class _Stored:
    message: QueueMessage
    visible_at: datetime


class InMemoryQueue:
    """A Storage queue in memory.

    Attributes:
        faults: what is ordered to go wrong.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.faults = Faults()
        self._name = name
        self._clock = clock
        self._stored: dict[str, _Stored] = {}
        self._numbers = count(1)

    @property
    def name(self) -> str:
        """The queue's name."""
        return self._name

    @property
    def messages(self) -> list[QueueMessage]:
        """All that is in the queue, hidden or not."""
        self._expire()
        return [s.message for s in self._stored.values()]

    def send(self, text: str, life: timedelta | None = timedelta(days=7)) -> str:
        """Put a message as the backend does; the answer is its id. `life` None = it never expires."""
        return self._insert(text, 0, life).receipt.message_id

    async def receive(self, count: int, visibility_timeout_s: float) -> list[QueueMessage]:
        """Get up to `count` visible messages and hide them."""
        fails = await self.faults.begin("receive")
        self._expire()
        now = self._clock.now()
        taken: list[QueueMessage] = []
        for stored in self._stored.values():
            if stored.visible_at <= now and len(taken) < count:
                old = stored.message
                stored.message = replace(old, receipt=self._receipt(old), dequeue_count=old.dequeue_count + 1)
                stored.visible_at = now + timedelta(seconds=max(1, visibility_timeout_s))
                taken.append(stored.message)
        _end("receive", fails)
        return taken

    async def update(self, receipt: Receipt, visibility_timeout_s: float) -> Receipt:
        """Hide a message for so long from now."""
        fails = await self.faults.begin("update")
        stored = self._held(receipt)
        stored.message = replace(stored.message, receipt=self._receipt(stored.message))
        stored.visible_at = self._clock.now() + timedelta(seconds=visibility_timeout_s)
        _end("update", fails)
        return stored.message.receipt

    async def put(self, text: str, visibility_timeout_s: float = 0) -> QueueMessage:
        """Put a message that never expires."""
        fails = await self.faults.begin("put")
        message = self._insert(text, visibility_timeout_s, None)
        _end("put", fails)
        return message

    async def delete(self, receipt: Receipt) -> None:
        """Delete a message."""
        fails = await self.faults.begin("delete")
        self._held(receipt)
        del self._stored[receipt.message_id]
        _end("delete", fails)

    async def check(self) -> None:
        """The queue exists."""

    def _insert(self, text: str, hidden_s: float, life: timedelta | None) -> QueueMessage:
        if len(text.encode("utf-8", "surrogatepass")) > MESSAGE_TEXT_MAX_BYTES:
            raise StorageUnavailable("400 RequestBodyTooLarge")
        now = self._clock.now()
        number = f"{next(self._numbers):08d}-0000-4000-8000-000000000000"
        message = QueueMessage(
            receipt=Receipt(number, f"receipt-{next(self._numbers)}"),
            text=text,
            inserted_at=now,
            expires_at=None if life is None else now + life,
        )
        self._stored[number] = _Stored(message, now + timedelta(seconds=hidden_s))
        return message

    def _receipt(self, message: QueueMessage) -> Receipt:
        return Receipt(message.receipt.message_id, f"receipt-{next(self._numbers)}")

    def _held(self, receipt: Receipt) -> _Stored:
        self._expire()
        stored = self._stored.get(receipt.message_id)
        if stored is None:
            raise ReceiptRefused(f"message {receipt.message_id}: MessageNotFound")
        if stored.message.receipt != receipt:
            raise ReceiptRefused(f"message {receipt.message_id}: PopReceiptMismatch")
        return stored

    def _expire(self) -> None:
        now = self._clock.now()
        for number, stored in list(self._stored.items()):
            if stored.message.expires_at is not None and stored.message.expires_at <= now:
                del self._stored[number]


class InMemoryBlobs:
    """A blob container in memory.

    Attributes:
        faults: what is ordered to go wrong.
        data: the bytes of each blob.
    """

    def __init__(self) -> None:
        self.faults = Faults()
        self.data: dict[str, bytes] = {}
        self._etags: dict[str, str] = {}
        self._numbers = count(1)

    async def read(self, name: str) -> Blob | None:
        """Read a blob."""
        fails = await self.faults.begin(f"read {name}")
        _end("read", fails)
        return Blob(self.data[name], self._etags[name]) if name in self.data else None

    async def create(self, name: str, data: bytes) -> str:
        """Write a blob that does not exist yet."""
        fails = await self.faults.begin(f"create {name}")
        if name in self.data:
            raise Conflict(f"blob {name}: BlobAlreadyExists")
        return self._put(name, data, fails)

    async def replace(self, name: str, data: bytes, etag: str) -> str:
        """Write a blob that still is as it was read."""
        fails = await self.faults.begin(f"replace {name}")
        if self._etags.get(name) != etag:
            raise Conflict(f"blob {name}: ConditionNotMet")
        return self._put(name, data, fails)

    async def write(self, name: str, data: bytes) -> None:
        """Write a blob, whatever was there."""
        fails = await self.faults.begin(f"write {name}")
        self._put(name, data, fails)

    async def delete(self, name: str) -> None:
        """Delete a blob."""
        await self.faults.begin(f"delete {name}")
        self.data.pop(name, None)
        self._etags.pop(name, None)

    async def check(self) -> None:
        """The container exists."""

    def _put(self, name: str, data: bytes, fails: bool) -> str:
        self.data[name] = data
        self._etags[name] = f'"{next(self._numbers)}"'
        _end(f"write {name}", fails)
        return self._etags[name]
