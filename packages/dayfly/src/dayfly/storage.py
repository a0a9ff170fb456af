"""What the runtime needs of Azure Storage: one queue, one blob container. Two ports and their values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

__all__ = ["Blob", "BlobContainer", "MessageQueue", "QueueMessage", "Receipt"]


@dataclass(frozen=True)
class Receipt:
    """The right to settle a message, until somebody else receives it.

    Attributes:
        message_id: which message.
        pop_receipt: the newest one; each Update Message makes another.
    """

    message_id: str
    pop_receipt: str


@dataclass(frozen=True)
class QueueMessage:
    """A message in hand.

    Attributes:
        receipt: the right to settle it.
        text: as stored.
        dequeue_count: how often it was received; 0 for one that was only put.
        inserted_at: when it was put; None where a container was not told.
        expires_at: when the queue drops it; None = never, or not known.
    """

    receipt: Receipt
    text: str
    dequeue_count: int = 0
    inserted_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Blob:
    """A blob as read: its bytes, and the ETag that a conditional write names."""

    data: bytes
    etag: str


class MessageQueue(Protocol):
    """One queue. All calls may raise `StorageUnavailable` and `ResourceMissing`."""

    @property
    def name(self) -> str:
        """The queue's name."""
        ...

    async def receive(self, count: int, visibility_timeout_s: float) -> list[QueueMessage]:
        """Get up to `count` (1 to 32) visible messages and hide them."""
        ...

    async def update(self, receipt: Receipt, visibility_timeout_s: float) -> Receipt:
        """Hide a message for so long from now; the answer is its newest receipt.

        Raises:
            ReceiptRefused: the message is gone or held by somebody else.
        """
        ...

    async def put(self, text: str, visibility_timeout_s: float = 0) -> QueueMessage:
        """Put a message that never expires, hidden for so long."""
        ...

    async def delete(self, receipt: Receipt) -> None:
        """Delete a message.

        Raises:
            ReceiptRefused: the message is gone or held by somebody else.
        """
        ...

    async def check(self) -> None:
        """Raise `ResourceMissing` if the queue does not exist."""
        ...


class BlobContainer(Protocol):
    """One blob container. All calls may raise `StorageUnavailable` and `ResourceMissing`."""

    async def read(self, name: str) -> Blob | None:
        """Read a blob; None where there is none."""
        ...

    async def create(self, name: str, data: bytes) -> str:
        """Write a blob that does not exist yet; the answer is its ETag.

        Raises:
            Conflict: it exists.
        """
        ...

    async def replace(self, name: str, data: bytes, etag: str) -> str:
        """Write a blob that still is as it was read; the answer is its new ETag.

        Raises:
            Conflict: it changed, or is gone.
        """
        ...

    async def write(self, name: str, data: bytes) -> None:
        """Write a blob, whatever was there."""
        ...

    async def delete(self, name: str) -> None:
        """Delete a blob; one that is not there is fine."""
        ...

    async def check(self) -> None:
        """Raise `ResourceMissing` if the container does not exist."""
        ...
