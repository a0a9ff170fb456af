"""Polling mode: take messages from the queue until told to stop."""

import asyncio
import json
import os
import signal
import socket
from dataclasses import dataclass, field
from importlib.metadata import version

import structlog

from dayfly.assembly import attempt_settings, open_services
from dayfly.attempt import Attempt
from dayfly.clock import Clock, SystemClock
from dayfly.errors import ResourceMissing, SettingsError, StorageError
from dayfly.log import set_up_logging
from dayfly.route import RouteReader
from dayfly.services import AttemptSettings, Services
from dayfly.settings import Settings
from dayfly.single import ExitCode, could_not_start
from dayfly.storage import QueueMessage

__all__ = ["AsyncWorker", "Poller"]

_log = structlog.get_logger()

ROUTE_INTERVAL_S = 10.0
_FIRST_IDLE_S = 0.25


class AsyncWorker:
    """The long-running worker, as `apps/worker/main.py` starts it."""

    def __init__(self, handlers: str = "worker.handlers:handlers", clock: Clock | None = None) -> None:
        """Say which handlers it has.

        Args:
            handlers: `module:name` of the registry.
            clock: the time; None = the machine's.
        """
        self._handlers = handlers
        self._clock = clock or SystemClock()
        self._stop = asyncio.Event()

    def setup_signal_handlers(self) -> None:
        """Drain on SIGTERM and SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stop)

    def stop(self) -> None:
        """Take no more messages, finish or give back what is held, then end."""
        self._stop.set()

    async def run(self) -> int:
        """Work until told to stop; the answer is the exit code."""
        try:
            settings = Settings.load()
        except SettingsError as error:
            return could_not_start(error.problems)
        set_up_logging(settings.client_id)
        async with open_services(settings, self._handlers, self._clock) as services:
            try:
                await services.queue.check()
                await services.blobs.check()
            except ResourceMissing as error:
                return could_not_start([str(error)])
            poller = Poller(
                services=services,
                settings=attempt_settings(settings),
                max_messages=settings.worker_max_messages,
                polling_interval_s=settings.worker_polling_interval,
                grace_s=settings.worker_grace,
                name=f"{socket.gethostname()}-{os.getpid()}",
            )
            await poller.run(self._stop)
        return ExitCode.COMPLETED


@dataclass
class Poller:
    """Takes what it can start at once, and drains when told to.

    Attributes:
        max_messages: attempts at one time.
        polling_interval_s: the longest pause between two looks into an empty queue.
        grace_s: how long a draining poller waits before it gives back what it holds.
        name: names its heartbeat.
    """

    services: Services
    settings: AttemptSettings
    max_messages: int
    polling_interval_s: float
    grace_s: float
    name: str
    _attempts: dict["asyncio.Task[None]", Attempt] = field(default_factory=dict)

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until `stop` is set and all that was held is settled or given back."""
        route = RouteReader(self.services.blobs)
        allowed = await self._look(route)
        looking = asyncio.create_task(self._until(stop, ROUTE_INTERVAL_S), name="route")
        idle_s = _FIRST_IDLE_S
        _log.info("polling", queue=self.services.queue.name, route=route.engine)
        try:
            while not stop.is_set():
                if looking.done():
                    allowed = await self._look(route)
                    looking = asyncio.create_task(self._until(stop, ROUTE_INTERVAL_S), name="route")
                free = self.max_messages - len(self._attempts)
                taken = await self._take(free) if allowed and free else 0
                idle_s = _FIRST_IDLE_S if taken else min(idle_s * 2, self.polling_interval_s)
                if not taken:
                    await self._wait(stop, looking, idle_s)
        finally:
            looking.cancel()
            await self._drain()
            await self._look(route)

    async def _take(self, free: int) -> int:
        """Receive messages and start an attempt at each."""
        try:
            messages = await self.services.queue.receive(min(free, 32), self.settings.lease_s)
        except StorageError as error:
            _log.warning("queue not readable", error=str(error))
            return 0
        for message in messages:
            attempt = Attempt(message, self.services, self.settings)
            running = asyncio.create_task(_attend(attempt, message), name=message.receipt.message_id)
            self._attempts[running] = attempt
            running.add_done_callback(lambda done: self._attempts.pop(done))
        return len(messages)

    async def _wait(self, stop: asyncio.Event, looking: "asyncio.Task[None]", idle_s: float) -> None:
        """Until an attempt makes room, the route is due, or an idle pause is over."""
        full = len(self._attempts) >= self.max_messages
        pausing = asyncio.create_task(self._until(stop, ROUTE_INTERVAL_S if full else idle_s), name="pause")
        await asyncio.wait(
            {looking, pausing, *(self._attempts if full else ())}, return_when=asyncio.FIRST_COMPLETED
        )
        pausing.cancel()

    async def _until(self, stop: asyncio.Event, seconds: float) -> None:
        """Return when stopped, or after so many seconds."""
        stopping = asyncio.create_task(stop.wait())
        sleeping = asyncio.create_task(self.services.clock.sleep(seconds))
        try:
            await asyncio.wait({stopping, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            sleeping.cancel()

    async def _drain(self) -> None:
        """Finish what fits into the grace time, give back the rest at once."""
        if not self._attempts:
            return
        _log.info("draining", held=len(self._attempts), grace_s=self.grace_s)
        held = asyncio.create_task(asyncio.wait(list(self._attempts)), name="held")
        sleeping = asyncio.create_task(self.services.clock.sleep(self.grace_s), name="grace")
        await asyncio.wait([held, sleeping], return_when=asyncio.FIRST_COMPLETED)
        sleeping.cancel()
        for attempt in list(self._attempts.values()):
            attempt.abandon()
        await held

    async def _look(self, route: RouteReader) -> bool:
        """Read the route, and leave a heartbeat that shows which one was seen."""
        allowed = await route.allows("poll")
        heartbeat = {
            "version": version("dayfly"),
            "route": route.engine,
            "held": len(self._attempts),
            "at": self.services.clock.now().isoformat(),
        }
        try:
            await self.services.blobs.write(f"pollers/{self.name}.json", json.dumps(heartbeat).encode())
        except StorageError as error:
            _log.warning("heartbeat not written", error=str(error))
        return allowed


async def _attend(attempt: Attempt, message: QueueMessage) -> None:
    """Run an attempt; whatever goes wrong in it, the poller lives and the lease ends by itself."""
    try:
        await attempt.run()
    except Exception:
        _log.exception("attempt failed", message_id=message.receipt.message_id)
