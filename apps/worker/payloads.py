"""The payload of a document task, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.errors import PayloadInvalid

__all__ = ["DocumentTask"]


@dataclass(frozen=True)
class DocumentTask:
    """Which document a task is about.

    Attributes:
        filename: the document's name, in the payload and in the database.
        document_set: the set it belongs to, `default` if the payload names none.
        file_url: `container/path` of its blob; None = by document set and filename.
    """

    filename: str
    document_set: str = "default"
    file_url: str | None = None

    @classmethod
    def parse(cls, payload: Mapping[str, Any]) -> "DocumentTask":
        """Read `{filename, document_set="default", file_url?}`; other fields pass.

        Raises:
            PayloadInvalid: a field is missing, empty or no text.
        """
        return cls(
            filename=_text(payload, "filename"),
            document_set=_text(payload, "document_set", "default"),
            file_url=None if payload.get("file_url") in (None, "") else _text(payload, "file_url"),
        )


def _text(payload: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = payload.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or not value.strip():
        kind = "missing" if value is None else f"{value!r:.80}"
        raise PayloadInvalid(f"payload field {name!r} is {kind}; it should be a text that is not empty")
    return value
