"""The message in hand: its text as the backend sent it, and what it becomes when it is put again."""

from dataclasses import replace
from datetime import datetime

from dayfly.errors import NotATask
from dayfly.lease import life_left_s
from dayfly.limits import RENEWAL_BEFORE_EXPIRY
from dayfly.storage import BlobContainer, QueueMessage
from dayfly.task import Origin, Task, decode_task, put_back_text, read_origin

__all__ = ["MessageText", "write_put_back"]


class MessageText:
    """What one attempt knows of its message.

    Attributes:
        message: the message in the queue; after a renewal before expiry, the copy.
        origin: the ledger entry it belongs to.
        original: the text that the backend sent.
    """

    def __init__(self, message: QueueMessage, blobs: BlobContainer) -> None:
        self.message = message
        self.origin = read_origin(message.text, message.receipt.message_id)
        self.original = message.text
        self._blobs = blobs
        self._unreadable: NotATask | None = None

    async def load(self) -> None:
        """Read the text from its blob, where the message only names that."""
        name = self.origin.text_blob
        if name is None:
            return
        if (blob := await self._blobs.read(name)) is None:
            self._unreadable = NotATask(f"the blob {name!r}, which holds the text, is not there")
        else:
            self.original = blob.data.decode("utf-8", "surrogatepass")

    def task(self) -> Task | NotATask:
        """The task, or why the text is none."""
        if self._unreadable is not None:
            return self._unreadable
        try:
            return decode_task(self.original, self.origin.first_key)
        except NotATask as error:
            return error

    def expires_soon(self, now: datetime) -> bool:
        """Whether the message has less than a day to live."""
        return life_left_s(self.message, now) < RENEWAL_BEFORE_EXPIRY.total_seconds()

    async def next_generation(self) -> str:
        """The text under which the message is put again; what does not fit is kept in a blob first."""
        self.origin = replace(self.origin, generation=self.origin.generation + 1)
        if self._unreadable is not None:
            return put_back_text("", self.origin)
        return await write_put_back(self._blobs, self.original, self.origin)

    def continue_as(self, copy: QueueMessage) -> None:
        """Go on with the copy that was put."""
        self.message = copy


async def write_put_back(blobs: BlobContainer, text: str, origin: Origin) -> str:
    """The text under which a message is put back; what does not fit into it is in its blob by then."""
    origin = replace(origin, text_blob=origin.text_blob or f"ledger/{origin.key}.txt")
    put_back = put_back_text(text, origin)
    if named := read_origin(put_back, "").text_blob:
        await blobs.write(named, text.encode("utf-8", "surrogatepass"))
    return put_back
