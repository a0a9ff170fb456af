"""The attempt: one try at one message, step by step.

1 lease · 2 enter the ledger · 3 judge · 4 run · 5 commit · 6 deliver · 7 dead letter · 8 delete

Each step may be the last one before the power goes; docs/concepts/guarantee.md tells what then happens.
The order of the steps, and of the questions in `_obey`, is what the guarantee rests on.
"""

import asyncio
from typing import Literal

import structlog

from dayfly.cursor import EntryCursor
from dayfly.errors import NotATask, ResourceMissing, StorageError
from dayfly.lease import Lease
from dayfly.ledger import (
    WORKER_STOPPED,
    AttemptRecord,
    Delivery,
    Entry,
    Holder,
    Outcome,
    Reason,
    TaskRecord,
)
from dayfly.message import MessageText
from dayfly.process import OUT_OF_MEMORY, HandlerOutcome, LogTail
from dayfly.services import AttemptSettings, Services
from dayfly.storage import QueueMessage
from dayfly.task import Task

__all__ = ["Attempt"]

_log = structlog.get_logger()


class _Stop(Exception):
    """A later attempt holds the entry: settle nothing."""


class _Double(Exception):
    """Another message holds the entry: this one goes, and nothing runs."""


class Attempt:
    """One try at one message. `run` is called once."""

    def __init__(
        self, message: QueueMessage, services: Services, settings: AttemptSettings, manual: bool = False
    ) -> None:
        """Take a message in hand.

        Args:
            message: received, or handed over by the launcher.
            services: what to talk to.
            settings: what to know.
            manual: there is no message in any queue, only its text: no lease to keep.
        """
        self._services = services
        self._settings = settings
        self._id = services.new_id()
        self._text = MessageText(message, services.blobs)
        self._lease = None if manual else self._lease_of(message)
        self._original: Lease | None = None
        self._cursor = EntryCursor(services.ledger, self._text.origin.key)
        self._refused_append = False
        self._overruled = asyncio.Event()
        self._abandoned = asyncio.Event()
        self._tail = LogTail(settings.secrets)
        self._log = _log.bind(
            message_id=message.receipt.message_id, key=self._text.origin.key, attempt_id=self._id
        )

    def abandon(self) -> None:
        """Ask the attempt to end soon: its handler is killed, its message shown again at once."""
        self._abandoned.set()

    async def run(self, held: bool = True) -> Outcome | None:
        """Go through the steps.

        Args:
            held: the message was received just now, so the lease is there; else it is taken over.

        Returns:
            What stands in the ledger when the attempt ends; None where no outcome does.

        Raises:
            ResourceMissing: a queue or container does not exist.
        """
        try:
            if not held and self._lease and not await self._lease.renew():  # 1
                self._log.info("lease refused, the ledger's word is obeyed")
                return await self._cursor.peek_outcome()
            return await self._go_through_steps()
        except _Stop:
            self._log.info("stopped: a later attempt holds the ledger entry")
        except _Double:
            self._log.info("a double of the message that holds the ledger entry")
            await self._discard()
        except ResourceMissing:
            raise
        except (StorageError, ValueError) as error:
            self._log.warning("attempt broken off", error=str(error))
            await self._release(self._services.retry.delay_s(self._cursor.tries))
        return self._cursor.outcome

    async def _go_through_steps(self) -> Outcome | None:
        await self._text.load()
        await self._renew_before_expiry()
        await self._enter_ledger()  # 2
        await self._delete_original()
        keeper = asyncio.create_task(self._keep_lease(), name="lease keeper")
        try:
            if self._cursor.outcome is None and not await self._reach_outcome():  # 3, 4, 5
                return self._cursor.outcome
            if await self._deliver():  # 6
                await self._write_dead_letter()  # 7
                await self._delete()  # 8
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        return self._cursor.outcome

    # -- 1 lease -------------------------------------------------------------------------------------

    def _lease_of(self, message: QueueMessage) -> Lease:
        return Lease(self._services.queue, message, self._services.clock, self._settings.lease_s)

    async def _renew_before_expiry(self) -> None:
        """A message about to expire is put again without expiry; the copy is what we go on with."""
        if self._lease is None or not self._text.expires_soon(self._services.clock.now()):
            return
        copy = await self._services.queue.put(await self._text.next_generation(), self._settings.lease_s)
        self._log.info("put again before it expires", copy_id=copy.receipt.message_id)
        self._original, self._lease = self._lease, self._lease_of(copy)
        self._text.continue_as(copy)

    async def _delete_original(self) -> None:
        """Only once the ledger names the copy may the message that it was made from go."""
        if self._original is not None:
            await self._original.delete()
            self._original = None

    async def _keep_lease(self) -> None:
        """Renew the lease and read the entry at a third of its time, until cancelled."""
        while True:
            await self._services.clock.sleep(self._settings.lease_s / 3)
            try:
                if self._lease and not self._lease.refused and not await self._lease.renew():
                    self._log.warning("lease lost")
                if self._cursor.outcome is None:
                    await self._cursor.read()
                    if self._cursor.outcome or self._cursor.entry.last_attempt_id != self._id:
                        self._overruled.set()
            except Exception as error:  # whatever it is, the lease has to be renewed next time
                self._log.warning("lease not renewed", error=repr(error))

    # -- 2 enter the ledger --------------------------------------------------------------------------

    async def _enter_ledger(self) -> None:
        holder = Holder.of(self._text.message, self._text.origin)
        attempt = AttemptRecord(
            id=self._id,
            message_id=holder.id,
            dequeue_count=holder.dequeue_count,
            container_group=self._settings.container_group,
            began_at=self._now(),
        )
        task = self._text.task()
        created = await self._cursor.create(
            Entry(
                key=self._text.origin.key,
                queue=self._services.queue.name,
                message=holder,
                task=TaskRecord.of(task) if isinstance(task, Task) else None,
                attempts=(attempt,),
            )
        )
        while not created and self._obey(entering=True) == "append":
            # Whoever was faster is obeyed; nobody appends twice.
            self._refused_append = not await self._cursor.swap(
                self._cursor.entry.with_attempt(attempt, holder)
            )

    def _obey(self, entering: bool) -> Literal["go on", "append"]:
        """What the entry as read tells this attempt to do.

        Raises:
            _Stop: a later attempt holds it.
            _Double: another message does.
        """
        entry, holder, mine = self._cursor.entry, self._cursor.entry.message, self._text
        if entry.outcome is not None or entry.last_attempt_id == self._id:
            return "go on"
        if not entering:
            raise _Stop
        if holder.generation > mine.origin.generation:
            raise _Double
        if holder.generation == mine.origin.generation:
            if holder.id != mine.message.receipt.message_id:
                raise _Double
            if holder.dequeue_count > mine.message.dequeue_count:
                raise _Stop
        if self._refused_append:
            raise _Stop
        return "append"

    # -- 3 judge, 4 run, 5 commit --------------------------------------------------------------------

    async def _reach_outcome(self) -> bool:
        """Judge, run, commit; False if the task is to be tried again."""
        task = self._text.task()
        if isinstance(task, NotATask):
            await self._commit(self._failed("not_a_task", f"not a task: {task}"))
        elif self._cursor.tries > self._settings.max_attempts:
            await self._commit(self._exhausted(self._cursor.entry.last_error))
        else:
            ended = await self._run_handler(task)
            if self._cursor.outcome is not None:
                return True  # somebody else committed while the handler ran
            if (outcome := self._outcome_of(ended)) is None:
                await self._try_again(ended)
                return False
            await self._commit(outcome)
        return True

    async def _run_handler(self, task: Task) -> HandlerOutcome:
        """Run the handler until it ends, the ledger overrules it, or the worker has to go.

        Raises:
            _Stop: a later attempt took the entry over.
        """
        log = self._log.bind(task_id=task.task_id, task_type=task.task_type)
        log.info("handler started", attempt=self._cursor.tries)
        running = asyncio.create_task(self._services.runner.run(task, self._tail), name="handler")
        signals = [asyncio.create_task(e.wait()) for e in (self._overruled, self._abandoned)]
        try:
            await asyncio.wait({running, *signals}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                log.info("handler ended", kind=running.result().kind)
                return running.result()
        finally:
            for waiting in (running, *signals):
                waiting.cancel()
            await asyncio.gather(running, *signals, return_exceptions=True)
        if self._overruled.is_set():
            self._obey(entering=False)
        log.info("handler stopped")
        return HandlerOutcome("retry", WORKER_STOPPED, after_s=0)

    def _outcome_of(self, ended: HandlerOutcome) -> Outcome | None:
        """The outcome that a handler's end makes; None if the task is to be tried again."""
        reason = ended.text or "no reason given"
        match ended.kind:
            case "completed":
                return Outcome("completed", self._now(), result=ended.text, attempt_id=self._id)
            case "failed":
                return self._failed("failed", reason)
            case "memory" if self._ran_out_of_memory_before():
                return self._failed("failed", f"{reason}, for the second time")
            case _ if self._cursor.tries >= self._settings.max_attempts and not self._abandoned.is_set():
                return self._exhausted(reason)
        return None

    def _ran_out_of_memory_before(self) -> bool:
        return any((a.error or "").startswith(OUT_OF_MEMORY) for a in self._cursor.entry.attempts)

    async def _try_again(self, ended: HandlerOutcome) -> None:
        """Leave the reason in the ledger, and show the message again after a delay."""
        reason = ended.text or "no reason given"
        delay_s = 0.0
        if not self._abandoned.is_set():
            delay_s = self._services.retry.delay_s(self._cursor.tries, ended.after_s)
        self._log.info("to be tried again", reason=reason, delay_s=round(delay_s, 1))
        now = self._services.clock.now()
        # A note for people: refused, somebody else has the entry, and is not disturbed.
        if self._obey(entering=False) == "go on":
            await self._cursor.swap(self._cursor.entry.with_attempt_ended(now, reason, self._tail.text()))
        await self._release(delay_s)

    async def _commit(self, outcome: Outcome) -> None:
        task = self._cursor.entry.task
        delivery = None if task and task.webhook_url else Delivery("not_requested", self._now())
        while not await self._cursor.swap(
            self._cursor.entry.with_outcome(outcome, delivery, self._tail.text())
        ):
            self._obey(entering=False)
            if self._cursor.outcome is not None:
                return  # an answer was lost, or somebody else committed: the ledger's word counts
        self._log.info("outcome", status=outcome.status, reason=outcome.reason)

    def _failed(self, reason: Reason, error: str) -> Outcome:
        return Outcome("failed", self._now(), reason=reason, error=error, attempt_id=self._id)

    def _exhausted(self, last_error: str | None) -> Outcome:
        why = last_error or "no attempt lived to give a reason"
        return self._failed("exhausted", f"given up after {self._settings.max_attempts} attempts: {why}")

    # -- 6 deliver, 7 dead letter, 8 delete ----------------------------------------------------------

    async def _deliver(self) -> bool:
        """Deliver the outcome; False if the message was put aside to do it later."""
        dequeue_count = self._text.message.dequeue_count if self._lease else None
        after_s = await self._services.courier.deliver(self._cursor, dequeue_count, self._abandoned)
        if after_s is not None:
            await self._release(after_s)
        return after_s is None

    async def _write_dead_letter(self) -> None:
        if reason := self._cursor.entry.dead_letter_reason:
            await self._services.dead_letters.write(self._cursor.entry, self._text.original)
            self._log.warning("dead-lettered", reason=reason)

    async def _delete(self) -> None:
        if self._lease is not None and not await self._lease.delete():
            self._log.info("message not deleted: its receipt is refused")

    async def _discard(self) -> None:
        """Delete a double; if that fails it shows again, and is known again."""
        try:
            await self._delete_original()
            await self._delete()
        except StorageError as error:
            self._log.warning("double not deleted", error=str(error))

    async def _release(self, delay_s: float) -> None:
        """Give the message back; if that fails it shows again when the lease ends."""
        try:
            if self._lease is not None:
                await self._lease.release(delay_s)
        except StorageError as error:
            self._log.warning("message not released", error=str(error))

    def _now(self) -> str:
        return self._services.clock.now().isoformat()
