"""The webhook: tells the backend an outcome, with a body that comes from the ledger alone."""

import ipaddress
import json
import socket
from asyncio import get_running_loop
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from dayfly.clock import Clock
from dayfly.ledger import Entry

if TYPE_CHECKING:
    import httpx

__all__ = ["Answer", "HttpWebhook", "Webhook", "WebhookSettings", "webhook_body"]

REQUEST_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Answer:
    """What became of one request.

    Attributes:
        accepted: the receiver answered 2xx.
        error: why not; None when accepted.
        allowed: False where no request was made, since the host may not be told anything.
        retry_after_s: how long the receiver asks to be left alone; None = it did not say.
    """

    accepted: bool
    error: str | None = None
    allowed: bool = True
    retry_after_s: float | None = None


class Webhook(Protocol):
    """Delivers an entry's outcome once."""

    async def deliver(self, entry: Entry) -> Answer:
        """Make one request."""
        ...


@dataclass(frozen=True)
class WebhookSettings:
    """What the webhook needs to know.

    Attributes:
        api_key: sent as `X-Internal-Api-Key`; None = no such header.
        secret: signs each request by the Standard Webhooks scheme; None = unsigned.
        allowed_hosts: hosts that may be told, http and private addresses included;
            empty = any public host, by https.
    """

    api_key: str | None = None
    secret: str | None = None
    allowed_hosts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"WebhookSettings(allowed_hosts={self.allowed_hosts!r}, api_key=***, secret=***)"


def webhook_body(entry: Entry) -> bytes:
    """The request's body: what the backend has always been sent.

    Args:
        entry: one that has a task and an outcome.
    """
    if entry.task is None or entry.outcome is None:
        raise ValueError(f"ledger entry {entry.key} has nothing to tell yet")
    return json.dumps(
        {
            "task_id": entry.task.task_id,
            "task_type": entry.task.task_type,
            "status": entry.outcome.status,
            "result": entry.outcome.result,
            "error": entry.outcome.error,
        }
    ).encode()


class HttpWebhook:
    """Webhooks over HTTP: no redirects, and nothing to a host that may not be told."""

    def __init__(self, settings: WebhookSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    async def deliver(self, entry: Entry) -> Answer:
        """Make one request; the entry has a task with a webhook URL, and an outcome."""
        import httpx  # not needed before there is an outcome to tell

        url = entry.task.webhook_url if entry.task else None
        if not url:
            raise ValueError(f"ledger entry {entry.key} asks for no webhook")
        if refusal := await self._refusal(url):
            return Answer(False, refusal, allowed=False)
        body = webhook_body(entry)
        try:
            async with httpx.AsyncClient(
                timeout=REQUEST_TIMEOUT_S, follow_redirects=False, trust_env=False
            ) as client:
                response = await client.post(url, content=body, headers=self._headers(entry, body))
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            return Answer(False, f"{type(error).__name__}: {error}".rstrip(": "))
        if response.is_success:
            return Answer(True)
        return Answer(
            False, f"the receiver answered {response.status_code}", retry_after_s=_retry_after_s(response)
        )

    def _headers(self, entry: Entry, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self._settings.api_key:
            headers["X-Internal-Api-Key"] = self._settings.api_key
        if self._settings.secret:
            from standardwebhooks import Webhook as Signer  # only signed webhooks need it

            now = self._clock.now()
            headers |= {
                "webhook-id": entry.key,
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": Signer(self._settings.secret).sign(entry.key, now, body.decode()),
            }
        return headers

    async def _refusal(self, url: str) -> str | None:
        """Why this URL may not be told anything; None if it may."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError as error:
            return f"webhook_url is malformed: {error}"
        if parts.scheme not in ("http", "https") or not host:
            return f"webhook_url should be an https URL, but its scheme is {parts.scheme!r}"
        allowed = self._settings.allowed_hosts
        if allowed:
            return None if _listed(host, allowed) else f"host {host!r} is not in WEBHOOK_ALLOWED_HOSTS"
        if parts.scheme != "https":
            return f"webhook_url should be https, or {host!r} be listed in WEBHOOK_ALLOWED_HOSTS"
        return await _private_address(host, port or 443)


def _listed(host: str, allowed: Sequence[str]) -> bool:
    """An entry is a host, or `.example.com` for all below it."""
    return any(host == a.lower() or (a.startswith(".") and host.endswith(a.lower())) for a in allowed)


async def _private_address(host: str, port: int) -> str | None:
    try:
        found = await get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return None  # not there now: the request fails too, and is tried again
    for *_, address in found:
        if not ipaddress.ip_address(address[0]).is_global:
            return f"host {host!r} has the private address {address[0]}; list it in WEBHOOK_ALLOWED_HOSTS"
    return None


def _retry_after_s(response: "httpx.Response") -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None
