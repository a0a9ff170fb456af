"""Dead letters: a blob with the original text and all that is known, then a short poison message."""

import json
from dataclasses import asdict

from dayfly.clock import Clock
from dayfly.errors import DayflyError
from dayfly.ledger import ROUND_ENDING_REASONS, Entry
from dayfly.message import write_put_back
from dayfly.storage import BlobContainer, MessageQueue
from dayfly.task import Origin

__all__ = ["DeadLetters", "dead_letter_blob_name", "replay"]


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


async def replay(blobs: BlobContainer, queue: MessageQueue, key: str) -> str:
    """Put a dead-lettered task back into its queue.

    One that was dead-lettered for its outcome is tried anew, under the next key of its own; one that
    was only undelivered keeps its key, and only delivers again. Nothing is counted anywhere: two
    replays of one dead letter are doubles, and run once.

    Args:
        blobs: the client's `-dayfly` container.
        queue: the queue that the task came from.
        key: the dead letter's ledger key.

    Returns:
        The ledger key under which the task goes on.

    Raises:
        DayflyError: there is no such dead letter.
    """
    blob = await blobs.read(dead_letter_blob_name(key))
    if blob is None:
        raise DayflyError(f"no dead letter {key!r}: there is no blob {dead_letter_blob_name(key)}")
    letter = json.loads(blob.data)
    ended = letter["outcome"]["reason"] in ROUND_ENDING_REASONS
    origin = Origin(key).next_round if ended else Origin(key)
    await queue.put(await write_put_back(blobs, letter["text"], origin))
    return origin.key
