"""Dead letters: a blob with the original text and all that is known, then a short poison message."""

import json
from dataclasses import asdict

from dayfly.clock import Clock
from dayfly.ledger import Entry
from dayfly.storage import BlobContainer, MessageQueue

__all__ = ["DeadLetters", "dead_letter_blob_name"]


def dead_letter_blob_name(key: str) -> str:
    """Where the dead letter of a ledger key stands."""
    return f"deadletters/{key}.json"


class DeadLetters:
    """The dead letters of one client."""

    def __init__(self, blobs: BlobContainer, container_name: str, poison: MessageQueue, clock: Clock) -> None:
        self._blobs = blobs
        self._container_name = container_name
        self._poison = poison
        self._clock = clock

    async def write(self, entry: Entry, text: str) -> None:
        """Write a dead letter from its ledger entry; written twice, it stands once in the blob.

        Args:
            entry: one that calls for a dead letter.
            text: what the backend sent.
        """
        # The blob goes first: a poison message that names nothing would tell nobody what was lost.
        name = dead_letter_blob_name(entry.key)
        await self._blobs.write(name, json.dumps(self._letter(entry, text), indent=1).encode())
        await self._poison.put(
            json.dumps(
                {
                    "dead_letter": entry.key,
                    "container": self._container_name,
                    "blob": name,
                    "reason": entry.dead_letter_reason,
                    "queue": entry.queue,
                    "task_id": entry.task.task_id if entry.task else None,
                }
            )
        )

    def _letter(self, entry: Entry, text: str) -> dict[str, object]:
        fields = asdict(entry)
        return {
            "version": 1,
            "key": entry.key,
            "queue": entry.queue,
            "reason": entry.dead_letter_reason,
            "text": text,
            **{name: fields[name] for name in ("task", "outcome", "delivery", "attempts", "message", "log")},
            "dead_lettered_at": self._clock.now().isoformat(),
        }
