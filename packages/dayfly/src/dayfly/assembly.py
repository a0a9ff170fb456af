"""Puts the parts of a worker together from its settings."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from dayfly.clock import Clock
from dayfly.deadletter import DeadLetters
from dayfly.delivery import Courier
from dayfly.ledger import Ledger
from dayfly.process import HandlerProcess
from dayfly.services import AttemptSettings, Services
from dayfly.settings import Settings
from dayfly.webhook import HttpWebhook

__all__ = ["attempt_settings", "open_services"]


@asynccontextmanager
async def open_services(settings: Settings, handlers: str, clock: Clock) -> AsyncIterator[Services]:
    """Everything an attempt talks to, closed at the end.

    Args:
        settings: the worker's.
        handlers: `module:name` of the registry, imported in the handler process alone.
        clock: the time.
    """
    async with AsyncExitStack() as stack:
        account = settings.account
        queue = await stack.enter_async_context(account.queue(settings.queue_name))
        poison = await stack.enter_async_context(account.queue(settings.poison_queue_name))
        blobs = await stack.enter_async_context(account.container(settings.container_name))
        yield Services(
            queue=queue,
            blobs=blobs,
            ledger=Ledger(blobs),
            dead_letters=DeadLetters(blobs, settings.container_name, poison, clock),
            courier=Courier(
                HttpWebhook(settings.webhook, clock), clock, settings.delivery_retry, settings.webhook_max_age
            ),
            runner=HandlerProcess(
                handlers, clock, settings.worker_task_timeout, settings.worker_memory_max_bytes
            ),
            clock=clock,
            retry=settings.retry,
        )


def attempt_settings(settings: Settings) -> AttemptSettings:
    """What an attempt needs to know."""
    return AttemptSettings(
        lease_s=settings.worker_visibility_timeout,
        max_attempts=settings.worker_max_attempts,
        container_group=settings.container_group,
        secrets=settings.secrets,
    )
