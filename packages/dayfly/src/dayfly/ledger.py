"""The ledger: one small JSON blob per message, changed only by compare-and-swap. It decides."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeVar

from dayfly.limits import LOG_TAIL_MAX_BYTES
from dayfly.storage import BlobContainer, QueueMessage
from dayfly.task import Origin, Task

__all__ = [
    "ROUND_ENDING_REASONS",
    "WORKER_STOPPED",
    "AttemptRecord",
    "Delivery",
    "Entry",
    "Holder",
    "Ledger",
    "Outcome",
    "TaskRecord",
]

Reason = Literal["failed", "exhausted", "cancelled", "not_a_task", "never_started"]
DeliveryState = Literal["delivered", "undelivered", "not_requested"]

_T = TypeVar("_T")

ROUND_ENDING_REASONS: tuple[Reason, ...] = ("exhausted", "not_a_task", "never_started")
"""Outcomes that call for a dead letter, and whose replay tries the task anew."""


WORKER_STOPPED = "the worker was told to stop"
"""The error of an attempt that ended for no fault of its own: it does not count against the task."""


@dataclass(frozen=True)
class Holder:
    """The message that holds an entry: its newest receive is the one that may go on."""

    id: str
    generation: int
    dequeue_count: int
    inserted_at: str | None
    expires_at: str | None

    @classmethod
    def of(cls, message: QueueMessage, origin: Origin) -> "Holder":
        """The holder that a message in hand makes."""
        return cls(
            id=message.receipt.message_id,
            generation=origin.generation,
            dequeue_count=message.dequeue_count,
            inserted_at=message.inserted_at.isoformat() if message.inserted_at else None,
            expires_at=message.expires_at.isoformat() if message.expires_at else None,
        )


@dataclass(frozen=True)
class TaskRecord:
    """What the webhook needs of a task, so that its body never depends on an attempt's memory."""

    task_id: str
    task_type: str
    webhook_url: str | None

    @classmethod
    def of(cls, task: Task) -> "TaskRecord":
        """The record of a task; its payload stays in the message."""
        return cls(task.task_id, task.task_type, task.webhook_url)


@dataclass(frozen=True)
class AttemptRecord:
    """One try at one task.

    Attributes:
        id: random, so that an attempt knows itself when an answer was lost.
        container_group: where it ran; None in a poller.
        ended_at, error: set when the attempt ended without an outcome, to be tried again.
    """

    id: str
    message_id: str
    dequeue_count: int
    container_group: str | None
    began_at: str
    ended_at: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a task came to. Written once.

    Attributes:
        reason: why it failed; None when completed.
        attempt_id: the attempt that committed it; None where somebody else did.
    """

    status: Literal["completed", "failed"]
    at: str
    reason: Reason | None = None
    result: str | None = None
    error: str | None = None
    attempt_id: str | None = None


@dataclass(frozen=True)
class Delivery:
    """The mark: what became of the webhook. An entry without it is still to be delivered."""

    state: DeliveryState
    at: str
    tries: int = 0
    error: str | None = None


@dataclass(frozen=True)
class Entry:
    """What the ledger knows of one message."""

    key: str
    queue: str
    message: Holder
    task: TaskRecord | None = None
    attempts: tuple[AttemptRecord, ...] = ()
    outcome: Outcome | None = None
    delivery: Delivery | None = None
    log: str = ""
    version: int = 1

    @property
    def last_attempt_id(self) -> str | None:
        """The newest attempt: the only one that may commit. None where no worker ever began."""
        return self.attempts[-1].id if self.attempts else None

    @property
    def last_error(self) -> str | None:
        """The newest error that an attempt left behind."""
        return next((a.error for a in reversed(self.attempts) if a.error), None)

    @property
    def dead_letter_reason(self) -> Reason | Literal["undelivered"] | None:
        """Why this entry calls for a dead letter; None if it does not."""
        if self.outcome and self.outcome.reason in ROUND_ENDING_REASONS:
            return self.outcome.reason
        if self.delivery and self.delivery.state == "undelivered":
            return "undelivered"
        return None

    def with_attempt(self, attempt: AttemptRecord, holder: Holder) -> "Entry":
        """The entry as a new attempt takes it over."""
        return replace(self, attempts=(*self.attempts, attempt), message=holder)

    def with_attempt_ended(self, now: datetime, error: str, log: str) -> "Entry":
        """The entry with its last attempt ended, to be tried again."""
        last = replace(self.attempts[-1], ended_at=now.isoformat(), error=error)
        return replace(self, attempts=(*self.attempts[:-1], last), log=_tail(log))

    def with_outcome(self, outcome: Outcome, delivery: Delivery | None, log: str) -> "Entry":
        """The entry with its outcome, and with its mark where no webhook is asked for."""
        return replace(self, outcome=outcome, delivery=delivery, log=_tail(log))

    def to_json(self) -> bytes:
        """The blob's bytes: ASCII JSON."""
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Entry":
        """Read a blob.

        Raises:
            ValueError: it is not an entry of a version this worker knows.
        """
        fields = json.loads(data)
        if not isinstance(fields, dict) or fields.get("version") != 1:
            raise ValueError("not a ledger entry of version 1")
        try:
            return cls(
                key=fields["key"],
                queue=fields["queue"],
                message=Holder(**fields["message"]),
                task=_maybe(TaskRecord, fields.get("task")),
                attempts=tuple(AttemptRecord(**a) for a in fields.get("attempts") or ()),
                outcome=_maybe(Outcome, fields.get("outcome")),
                delivery=_maybe(Delivery, fields.get("delivery")),
                log=fields.get("log") or "",
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a ledger entry: {error}") from error


def _maybe(kind: type[_T], fields: dict[str, Any] | None) -> _T | None:
    return None if fields is None else kind(**fields)


def _tail(log: str) -> str:
    data = log.encode("utf-8", "replace")
    return data[-LOG_TAIL_MAX_BYTES:].decode("utf-8", "ignore")


class Ledger:
    """The entries of one client, in its `-dayfly` container."""

    def __init__(self, blobs: BlobContainer) -> None:
        self._blobs = blobs

    @staticmethod
    def blob_name(key: str) -> str:
        """Where the entry of a key stands."""
        return f"ledger/{key}.json"

    async def read(self, key: str) -> tuple[Entry, str] | None:
        """The entry of a key and its ETag; None where there is none."""
        blob = await self._blobs.read(self.blob_name(key))
        return (Entry.from_json(blob.data), blob.etag) if blob else None

    async def create(self, entry: Entry) -> str:
        """Write the first version of an entry; the answer is its ETag.

        Raises:
            Conflict: the entry exists.
        """
        return await self._blobs.create(self.blob_name(entry.key), entry.to_json())

    async def replace(self, entry: Entry, etag: str) -> str:
        """Write an entry that still is as it was read; the answer is its new ETag.

        Raises:
            Conflict: somebody else changed it.
        """
        return await self._blobs.replace(self.blob_name(entry.key), entry.to_json(), etag)
