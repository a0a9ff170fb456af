"""Single-task mode: one message, handed over by the launcher, then exit."""

import asyncio
import signal
import sys
import uuid
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import IntEnum

import structlog

from dayfly.assembly import attempt_settings, open_services
from dayfly.attempt import Attempt
from dayfly.clock import Clock, SystemClock
from dayfly.errors import ResourceMissing, SettingsError
from dayfly.ledger import Outcome
from dayfly.log import set_up_logging
from dayfly.settings import Settings
from dayfly.storage import QueueMessage, Receipt

__all__ = ["ExitCode", "process_single_task"]

_log = structlog.get_logger()

_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


class ExitCode(IntEnum):
    """The exit code of a single-task container: the ledger's word."""

    COMPLETED = 0
    FAILED = 1
    NO_OUTCOME_YET = 75
    COULD_NOT_START = 78

    @classmethod
    def of(cls, outcome: Outcome | None) -> "ExitCode":
        """The code that an outcome makes; None = none stands in the ledger."""
        if outcome is None:
            return cls.NO_OUTCOME_YET
        return cls.COMPLETED if outcome.status == "completed" else cls.FAILED


async def process_single_task(
    task_data: str, handlers: str = "worker.handlers:handlers", clock: Clock | None = None
) -> ExitCode:
    """Do the one task that a message's text holds.

    The environment says which message it is; without `MESSAGE_ID` (a manual start) there is none,
    and nothing to settle.

    Args:
        task_data: the message's text, as stored.
        handlers: `module:name` of the registry.
        clock: the time; None = the machine's.

    Returns:
        The exit code for the process.
    """
    try:
        settings = Settings.load()
        message = _message(task_data, settings)
    except SettingsError as error:
        return could_not_start(error.problems)
    set_up_logging(settings.client_id)
    try:
        async with open_services(settings, handlers, clock or SystemClock()) as services:
            attempt = Attempt(
                message, services, attempt_settings(settings), manual=settings.message_id is None
            )
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, attempt.abandon)
            return ExitCode.of(await attempt.run(held=False))
    except ResourceMissing as error:
        return could_not_start([str(error)])
    except Exception:
        # Python itself would exit with 1: the word for "failed for good", which no ledger has said.
        _log.exception("attempt broken off by a defect")
        return ExitCode.NO_OUTCOME_YET


def could_not_start(problems: list[str]) -> ExitCode:
    """Say why on standard error, all of it at once."""
    for problem in problems:
        print(f"dayfly: could not start: {problem}", file=sys.stderr)
    return ExitCode.COULD_NOT_START


def _message(task_data: str, settings: Settings) -> QueueMessage:
    key = settings.message_id or settings.container_group or uuid.uuid4().hex
    return QueueMessage(
        receipt=Receipt(key, settings.pop_receipt.get_secret_value() if settings.pop_receipt else ""),
        text=task_data,
        dequeue_count=settings.dequeue_count,
        inserted_at=_time("MESSAGE_INSERTED", settings.message_inserted),
        expires_at=_time("MESSAGE_EXPIRES", settings.message_expires),
    )


def _time(name: str, value: str | None) -> datetime | None:
    """An RFC 1123 or ISO 8601 time; the year 9999, Storage's word for never, is None."""
    if not value:
        return None
    try:
        parsed = datetime.fromisoformat(value) if value[:1].isdigit() else parsedate_to_datetime(value)
    except ValueError:
        raise SettingsError([f"{name} should be a time, RFC 1123 or ISO 8601, but is {value!r}"]) from None
    parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return parsed if parsed < _NEVER else None
