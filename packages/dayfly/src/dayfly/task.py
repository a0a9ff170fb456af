"""The message: what a queue message's text says, in every form it may have.

The backend sends base64(JSON); plain JSON and the older `task_id|{json}` are read too. A text that
Dayfly itself put back begins with `{"dayfly"` and says which ledger entry it belongs to.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from dayfly.errors import NotATask
from dayfly.limits import KEY_PATTERN, MESSAGE_TEXT_MAX_BYTES

__all__ = ["Origin", "Task", "decode_task", "fits_message", "put_back_text", "read_origin"]

_PUT_BACK = '{"dayfly"'
_REPLAY = re.compile(r"-r(\d{1,9})$")
_LEGACY = re.compile(r"([^|{}]+)\|\s*(\{.*)", re.DOTALL)


@dataclass(frozen=True)
class Task:
    """What the backend asked for.

    Attributes:
        task_type: names the handler; never empty.
        task_id: the backend's own id, or the message id where the backend gave none.
        payload: the handler's input, a JSON object.
        webhook_url: where the outcome goes; None = nobody asked.
    """

    task_type: str
    task_id: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    webhook_url: str | None = None


@dataclass(frozen=True)
class Origin:
    """Which ledger entry a message belongs to.

    Attributes:
        key: the entry's key; for a backend's message, its own id.
        generation: 0 for the first message of a key, one more for each renewal before expiry.
        text_blob: the blob that holds the text the backend sent, where the message does not; else None.
    """

    key: str
    generation: int = 0
    text_blob: str | None = None

    @property
    def first_key(self) -> str:
        """The key before any replay: the id of the message that the backend sent."""
        return _REPLAY.sub("", self.key)

    @property
    def next_round(self) -> "Origin":
        """Where a replay belongs that tries the task anew: a key, an entry and a webhook id of its own."""
        replays = _REPLAY.search(self.key)
        return Origin(f"{self.first_key}-r{int(replays[1]) + 1 if replays else 1}")


def read_origin(text: str, message_id: str) -> Origin:
    """Read the `dayfly` field of a message that Dayfly put back; any other belongs to its own id."""
    if text.startswith(_PUT_BACK):
        try:
            marker = _load_object(text).get("dayfly")
        except NotATask:
            marker = None
        if isinstance(marker, dict) and re.fullmatch(KEY_PATTERN, str(marker.get("key"))):
            generation, text_blob = marker.get("generation"), marker.get("text_blob")
            return Origin(
                key=marker["key"],
                generation=generation if isinstance(generation, int) and generation > 0 else 0,
                text_blob=text_blob if isinstance(text_blob, str) else None,
            )
    return Origin(key=message_id)


def decode_task(text: str, message_id: str) -> Task:
    """Read a message's text.

    Args:
        text: as stored in the queue.
        message_id: names the task where the text does not.

    Raises:
        NotATask: the text is none of the accepted forms, or a field has the wrong type.
    """
    prefix, body = _split(text)
    fields = _load_object(body)
    task_type = fields.get("task_type")
    if not isinstance(task_type, str) or not task_type.strip():
        raise NotATask(f'"task_type" should be a non-empty string, but is {_show(task_type)}')
    payload = fields.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise NotATask(f'"payload" should be a JSON object, but is {_show(payload)}')
    webhook_url = fields.get("webhook_url")
    if webhook_url is not None and not isinstance(webhook_url, str):
        raise NotATask(f'"webhook_url" should be a string, but is {_show(webhook_url)}')
    task_id = fields.get("task_id")
    if isinstance(task_id, bool) or not isinstance(task_id, str | int | None):
        raise NotATask(f'"task_id" should be a string, but is {_show(task_id)}')
    named = str(task_id) if task_id not in (None, "") else prefix
    return Task(task_type.strip(), named or message_id, payload or {}, webhook_url or None)


def put_back_text(text: str, origin: Origin) -> str:
    """Write the text under which Dayfly puts a message back: the task with its `dayfly` field.

    Args:
        text: what the backend sent.
        origin: the entry it belongs to. Its `text_blob` is the blob to name where the field does not
            fit in: the text is no JSON object, or would be over the limit of a message.

    Returns:
        Plain ASCII JSON, at most 64 KiB.
    """
    try:
        prefix, body = _split(text)
        fields = _load_object(body)
    except NotATask:
        prefix, fields = "", None
    marker = {"key": origin.key, "generation": origin.generation}
    if fields is not None and not prefix:
        merged = json.dumps({"dayfly": marker} | {k: v for k, v in fields.items() if k != "dayfly"})
        if fits_message(merged):
            return merged
    return json.dumps({"dayfly": marker | {"text_blob": origin.text_blob}})


def fits_message(text: str) -> bool:
    """Whether a text fits into one queue message."""
    return len(text.encode("utf-8", "surrogatepass")) <= MESSAGE_TEXT_MAX_BYTES


def _split(text: str) -> tuple[str, str]:
    """The prefix of the older form ("" where there is none) and the JSON text."""
    bare = text.strip().removeprefix("\ufeff")
    if not bare.startswith("{") and "|" not in bare:
        bare = _decode_base64(bare).strip().removeprefix("\ufeff")
    if bare.startswith("{"):
        return "", bare
    if legacy := _LEGACY.fullmatch(bare):
        return legacy[1].strip(), legacy[2]
    raise NotATask(f"neither base64, JSON nor task_id|JSON: {_show(bare)}")


def _decode_base64(text: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise NotATask(f"neither base64, JSON nor task_id|JSON: {_show(text)}") from error


def _load_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise NotATask("the JSON is nested too deeply") from error
    except ValueError as error:
        raise NotATask(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise NotATask(f"a task is a JSON object, but this is {_show(value)}")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
