"""The Queue service's REST API, as far as the Azure Queues connector needs it.

Requests are signed with the account's key and speak version 2021-12-02, which Azure and Azurite both know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

from localazure.clock import Clock
from localazure.outbound import Outbound, OutboundRequest, OutboundResponse
from localazure.storage_signing import StorageAccount

if TYPE_CHECKING:
    from lxml import etree

STORAGE_VERSION = "2021-12-02"

#: What a message received has, in the connector's order.
MESSAGE_FIELDS = (
    "MessageId",
    "InsertionTime",
    "ExpirationTime",
    "PopReceipt",
    "TimeNextVisible",
    "MessageText",
    "DequeueCount",
)


@dataclass(frozen=True)
class StorageQueues:
    """The queues of one account.

    Every method returns the service's own answer, whatever its status, and raises ConnectionFailedError when
    there is none.
    """

    outbound: Outbound
    account: StorageAccount
    clock: Clock

    async def list_queues(self, marker: str | None = None) -> OutboundResponse:
        """List Queues, one page from `marker` on."""
        query = {"comp": "list"} | ({"marker": marker} if marker else {})
        return await self._send("GET", "", query)

    async def create(self, queue: str) -> OutboundResponse:
        """Create Queue."""
        return await self._send("PUT", f"/{quote(queue, safe='')}", {})

    async def metadata(self, queue: str) -> OutboundResponse:
        """Get Queue Metadata: the count is in `x-ms-approximate-messages-count`."""
        return await self._send("GET", f"/{quote(queue, safe='')}", {"comp": "metadata"})

    async def receive(self, queue: str, count: str, visibility_s: str) -> OutboundResponse:
        """Get Messages, up to `count` (1 to 32), hidden for `visibility_s` seconds."""
        query = {"numofmessages": count, "visibilitytimeout": visibility_s}
        return await self._send("GET", f"/{quote(queue, safe='')}/messages", query)

    async def put(self, queue: str, text: str) -> OutboundResponse:
        """Put Message, its text as given."""
        # A bare carriage return would be read as a line feed.
        escaped = escape(text, {"\r": "&#13;"})
        body = f"<QueueMessage><MessageText>{escaped}</MessageText></QueueMessage>"
        return await self._send("POST", f"/{quote(queue, safe='')}/messages", {}, body.encode("utf-8"))

    async def delete(self, queue: str, message_id: str, pop_receipt: str) -> OutboundResponse:
        """Delete Message."""
        path = f"/{quote(queue, safe='')}/messages/{quote(message_id, safe='')}"
        return await self._send("DELETE", path, {"popreceipt": pop_receipt})

    async def _send(
        self, method: str, path: str, query: Mapping[str, str], content: bytes | None = None
    ) -> OutboundResponse:
        headers = {"x-ms-version": STORAGE_VERSION, "x-ms-date": http_date(self.clock.now())}
        if content is not None:
            headers["Content-Type"] = "application/xml"
        uri = f"{self.account.queue_endpoint}{path or '/'}"
        if query:
            uri += "?" + urlencode(query, quote_via=quote)
        return await self.outbound.send_signed(self.account, OutboundRequest(method, uri, headers, content))


def http_date(when: datetime) -> str:
    """Write a time as HTTP does (RFC 1123, GMT)."""
    return format_datetime(when, usegmt=True)


def read_messages(content: bytes) -> list[dict[str, str]]:
    """Read a QueueMessagesList: every message with all its members as strings, the text as it is stored."""
    return [
        {name: found for name in MESSAGE_FIELDS if (found := message.findtext(name)) is not None}
        for message in _parse(content).iter("QueueMessage")
    ]


def read_queue_names(content: bytes) -> tuple[list[str], str | None]:
    """Read one page of List Queues: names, and the marker of the next page (None: there is none)."""
    root = _parse(content)
    names = [name for queue in root.iter("Queue") if (name := queue.findtext("Name"))]
    return names, root.findtext("NextMarker") or None


def read_error(content: bytes) -> tuple[str, str]:
    """Read the code and message of Storage's XML error; empty strings where there is none."""
    from lxml import etree

    try:
        root = _parse(content)
    except etree.XMLSyntaxError:
        return "", content.decode("utf-8", errors="replace")
    return root.findtext("Code") or "", root.findtext("Message") or ""


def _parse(content: bytes) -> etree._Element:
    from lxml import etree  # by the first answer: it takes long to import

    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    return etree.fromstring(content, parser)
