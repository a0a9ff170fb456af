"""The webhook: what is sent, to whom, and to whom not."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from dayfly.ledger import Entry, Holder, Outcome, TaskRecord
from dayfly.testing import ManualClock
from dayfly.webhook import HttpWebhook, WebhookSettings
from standardwebhooks import Webhook as Verifier

KEY = "0f8fad5b-d9cb-469f-a165-70867728950e"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def entry(url: str) -> Entry:
    return Entry(
        key=KEY,
        queue="acme-tasks",
        message=Holder(KEY, 0, 1, None, None),
        task=TaskRecord("order-7", "ingest", url),
        outcome=Outcome("failed", "2026-11-24T09:00:00+00:00", "failed", error="lone \ud800 surrogate"),
    )


@asynccontextmanager
async def receiver(status: str, *headers: str) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that keeps what it is sent and answers all the same way."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length")
        )
        requests.append(head + await reader.readexactly(length))
        lines = [f"HTTP/1.1 {status}", "Content-Length: 0", "Connection: close", *headers, "", ""]
        writer.write("\r\n".join(lines).encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook", requests


@pytest.fixture
def webhook() -> Callable[..., HttpWebhook]:
    def make(**settings: object) -> HttpWebhook:
        return HttpWebhook(WebhookSettings(**{"allowed_hosts": ("127.0.0.1",)} | settings), ManualClock())

    return make


async def test_the_body_and_the_key_are_what_the_backend_always_got(
    webhook: Callable[..., HttpWebhook],
) -> None:
    async with receiver("204 No Content") as (url, requests):
        answer = await webhook(api_key="k3y").deliver(entry(url))

    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert answer.accepted
    assert b"x-internal-api-key: k3y" in head.lower()
    assert json.loads(body) == {
        "task_id": "order-7",
        "task_type": "ingest",
        "status": "failed",
        "result": None,
        "error": "lone \ud800 surrogate",
    }
    assert b"webhook-signature" not in head.lower()


async def test_with_a_secret_each_request_is_signed_and_carries_the_ledger_key(
    webhook: Callable[..., HttpWebhook], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiver("200 OK") as (url, requests):
        await webhook(secret=SECRET).deliver(entry(url))

    head, _, body = requests[0].partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:])
    signed = {name: headers[name] for name in ("webhook-id", "webhook-timestamp")}
    original = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    signed["webhook-signature"] = original.get("webhook-signature") or original["Webhook-Signature"]
    monkeypatch.setattr(Verifier, "_Webhook__verify_timestamp", lambda *_: ManualClock().now())
    Verifier(SECRET).verify(body, signed)
    assert headers["webhook-id"] == KEY


async def test_what_is_not_2xx_is_not_accepted_and_may_ask_to_wait(
    webhook: Callable[..., HttpWebhook],
) -> None:
    async with receiver("503 Service Unavailable", "Retry-After: 120") as (url, _):
        answer = await webhook().deliver(entry(url))

    assert (answer.accepted, answer.retry_after_s) == (False, 120)
    assert answer.error == "the receiver answered 503"


async def test_a_redirect_is_not_followed(webhook: Callable[..., HttpWebhook]) -> None:
    async with (
        receiver("200 OK") as (elsewhere, told),
        receiver("302 Found", f"Location: {elsewhere}") as (url, _),
    ):
        answer = await webhook(api_key="k3y").deliver(entry(url))

    assert (answer.accepted, told) == (False, [])


async def test_a_receiver_that_is_not_there_is_not_accepted(webhook: Callable[..., HttpWebhook]) -> None:
    answer = await webhook().deliver(entry("http://127.0.0.1:9/hook"))

    assert (answer.accepted, answer.allowed) == (False, True)
    assert "ConnectError" in answer.error


@pytest.mark.parametrize(
    ("allowed", "url", "why"),
    [
        (("backend.example",), "https://evil.example/hook", "'evil.example' is not in WEBHOOK_ALLOWED_HOSTS"),
        ((".backend.example",), "https://backend.example.evil.example/", "is not in WEBHOOK_ALLOWED_HOSTS"),
        (("backend.example",), "https://backend.example@evil.example/", "is not in WEBHOOK_ALLOWED_HOSTS"),
        ((), "http://backend.example/hook", "should be https, or 'backend.example' be listed"),
        ((), "https://127.0.0.1/hook", "private address 127.0.0.1"),
        ((), "https://169.254.169.254/metadata", "private address 169.254.169.254"),
        ((), "https://[::1]/hook", "private address ::1"),
        ((), "ftp://backend.example/", "its scheme is 'ftp'"),
        ((), "file:///etc/passwd", "its scheme is 'file'"),
        ((), "https://", "should be an https URL"),
        ((), "https://[bad/", "malformed"),
        ((), "https://host:99999/", "malformed"),
    ],
)
async def test_nothing_reaches_a_host_that_may_not_be_told(
    webhook: Callable[..., HttpWebhook], allowed: tuple[str, ...], url: str, why: str
) -> None:
    answer = await webhook(allowed_hosts=allowed).deliver(entry(url))

    assert (answer.accepted, answer.allowed) == (False, False)
    assert why in answer.error


async def test_a_listed_parent_allows_what_is_below_it(webhook: Callable[..., HttpWebhook]) -> None:
    made = webhook(allowed_hosts=(".backend.example",))

    assert await made._refusal("http://hooks.backend.example/x") is None


def test_keys_show_in_no_repr() -> None:
    assert "k3y" not in repr(WebhookSettings(api_key="k3y", secret=SECRET))
