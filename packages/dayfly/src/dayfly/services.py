"""What an attempt talks to, and what it knows."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from dayfly.clock import Clock
from dayfly.deadletter import DeadLetters
from dayfly.delivery import Courier
from dayfly.ledger import Ledger
from dayfly.process import HandlerRunner
from dayfly.retry import RetryPolicy
from dayfly.storage import BlobContainer, MessageQueue

__all__ = ["AttemptSettings", "Services"]


@dataclass(frozen=True)
class Services:
    """Everything an attempt talks to."""

    queue: MessageQueue
    blobs: BlobContainer
    ledger: Ledger
    dead_letters: DeadLetters
    courier: Courier
    runner: HandlerRunner
    clock: Clock
    retry: RetryPolicy
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex


@dataclass(frozen=True)
class AttemptSettings:
    """What an attempt needs to know.

    Attributes:
        lease_s: how long a message stays hidden without a renewal.
        max_attempts: attempts that a task may have, 1 or more.
        container_group: where this attempt runs; None in a poller.
        secrets: what must not stand in a handler's log.
    """

    lease_s: float = 120
    max_attempts: int = 5
    container_group: str | None = None
    secrets: tuple[str, ...] = ()
