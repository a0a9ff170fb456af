"""Requests of workflows: where they go, with which credentials, and what Storage says without."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from localazure.errors import ConnectionFailedError, InvalidRequestError
from localazure.outbound import HostMapping, Outbound, OutboundRequest, OutboundResponse, reason_of
from localazure.storage_signing import StorageAccount

KEY = base64.b64encode(b"key").decode()
ACCOUNT = StorageAccount.from_connection_string(
    f"AccountName=acct;AccountKey={KEY};QueueEndpoint=http://127.0.0.1:10001/acct;BlobEndpoint=http://127.0.0.1:10000/acct"
)
MAPPED = HostMapping.parse("acct.queue.core.windows.net=http://127.0.0.1:10001/acct")
STORAGE_HEADERS = {"x-ms-version": "2021-12-02", "x-ms-date": "Tue, 01 Jan 2030 00:00:00 GMT"}
IDENTITY = {"type": "ManagedServiceIdentity", "audience": "https://storage.azure.com/"}


class Tokens:
    """Gives tokens that tell what they are for."""

    async def token(self, audience: str, identity: str | None) -> str:
        return f"{audience}|{identity}"


class Wire:
    """What was sent."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answer: Callable[[httpx.Request], httpx.Response] = lambda _: httpx.Response(200)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer(request)

    @property
    def last(self) -> httpx.Request:
        return self.requests[-1]


@pytest.fixture
def wire() -> Wire:
    return Wire()


async def send(wire: Wire, request: OutboundRequest, **how: Any) -> OutboundResponse:
    settings = {"hosts": [MAPPED], "storage": [ACCOUNT], "tokens": Tokens(), **how}
    async with Outbound(transport=httpx.MockTransport(wire), **settings) as outbound:
        return await outbound.send(request)


async def test_a_mapped_host_keeps_path_and_query(wire: Wire) -> None:
    await send(wire, OutboundRequest("GET", "https://ACCT.queue.core.windows.net/q%2F1/messages?a=b%20c"))
    assert str(wire.last.url) == "http://127.0.0.1:10001/acct/q%2F1/messages?a=b%20c"


async def test_an_identity_becomes_the_accounts_signature(wire: Wire) -> None:
    uri = "https://acct.queue.core.windows.net/q/messages"
    await send(wire, OutboundRequest("GET", uri, STORAGE_HEADERS, None, IDENTITY))
    assert wire.last.headers["authorization"].startswith("SharedKey acct:")


@pytest.mark.parametrize("missing", ["x-ms-version", "x-ms-date"])
async def test_storage_refuses_an_identity_without_the_headers_azure_demands(
    wire: Wire, missing: str
) -> None:
    headers = {name: value for name, value in STORAGE_HEADERS.items() if name != missing}
    uri = "https://acct.queue.core.windows.net/q/messages"
    answer = await send(wire, OutboundRequest("GET", uri, headers, None, IDENTITY))
    assert answer.status == 403
    assert b"<Code>AuthenticationFailed</Code>" in answer.content
    assert answer.header("content-type") == "application/xml"
    assert wire.requests == []


@pytest.mark.parametrize(
    ("audience", "status"),
    [
        ("https://storage.azure.com/", 200),
        ("https://storage.azure.com", 200),
        ("https://acct.queue.core.windows.net", 200),
        ("https://management.azure.com/", 401),
        (None, 401),
    ],
)
async def test_storage_takes_tokens_for_itself_alone(wire: Wire, audience: str | None, status: int) -> None:
    uri = "https://acct.queue.core.windows.net/q/messages"
    authentication = {"type": "ManagedServiceIdentity"} | ({"audience": audience} if audience else {})
    answer = await send(wire, OutboundRequest("GET", uri, STORAGE_HEADERS, None, authentication))
    assert answer.status == status


async def test_other_audiences_get_a_token(wire: Wire) -> None:
    authentication = {"type": "ManagedServiceIdentity", "identity": "/subscriptions/s/worker"}
    await send(wire, OutboundRequest("GET", "https://vault.example/", {}, None, authentication))
    assert (
        wire.last.headers["authorization"] == "Bearer https://management.azure.com/|/subscriptions/s/worker"
    )


async def test_basic_and_raw_credentials_are_sent(wire: Wire) -> None:
    basic = {"type": "Basic", "username": "ada", "password": "pw"}
    await send(wire, OutboundRequest("GET", "https://example.com", {}, None, basic))
    assert wire.last.headers["authorization"] == "Basic " + base64.b64encode(b"ada:pw").decode()
    await send(
        wire, OutboundRequest("GET", "https://example.com", {}, None, {"type": "raw", "value": "Key 1"})
    )
    assert wire.last.headers["authorization"] == "Key 1"


@pytest.mark.parametrize(
    ("uri", "authentication", "wrong"),
    [
        ("ftp://example.com", None, "ftp://example.com"),
        ("/messages", None, "/messages"),
        ("https://example.com", {"type": "ActiveDirectoryOAuth"}, "ActiveDirectoryOAuth"),
    ],
)
async def test_what_cannot_be_sent_is_refused_by_name(
    wire: Wire, uri: str, authentication: Any, wrong: str
) -> None:
    with pytest.raises(InvalidRequestError, match=wrong):
        await send(wire, OutboundRequest("GET", uri, {}, None, authentication))


async def test_no_answer_is_told_from_a_bad_one(wire: Wire) -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    wire.answer = broken
    with pytest.raises(ConnectionFailedError, match="refused"):
        await send(wire, OutboundRequest("GET", "https://example.com"))


async def test_a_call_that_takes_too_long_is_broken_off() -> None:
    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return httpx.Response(200)

    async with Outbound(transport=httpx.MockTransport(never), timeout_s=0.05) as outbound:
        with pytest.raises(ConnectionFailedError, match="did not respond within"):
            await outbound.send(OutboundRequest("GET", "https://example.com"))


async def test_redirects_are_not_followed_and_headers_keep_their_case(wire: Wire) -> None:
    wire.answer = lambda _: httpx.Response(
        302, headers=[("Location", "https://else"), ("X-A", "1"), ("X-A", "2")]
    )
    answer = await send(wire, OutboundRequest("GET", "https://example.com"))
    assert answer.status == 302
    assert answer.headers["Location"] == "https://else"
    assert answer.headers["X-A"] == "1,2"


@pytest.mark.parametrize(
    "name", ["acct", "https://acct.queue.core.windows.net/", "http://127.0.0.1:10001/acct", None]
)
def test_an_account_is_found_by_name_endpoint_or_default(name: str | None) -> None:
    assert Outbound(hosts=[MAPPED], storage=[ACCOUNT]).account_for(name) is ACCOUNT


def test_an_account_is_found_by_the_name_that_azure_knows_it_by() -> None:
    mapped = HostMapping.parse("prod.queue.core.windows.net=http://127.0.0.1:10001/acct")
    outbound = Outbound(hosts=[mapped], storage=[ACCOUNT])
    assert outbound.account_for("prod") is ACCOUNT
    assert outbound.account_for("other") is None


@pytest.mark.parametrize("text", ["acct", "=http://x", "acct=127.0.0.1", "acct=ftp://x"])
def test_a_host_mapping_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NAME=URL"):
        HostMapping.parse(text)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(200, "OK"), (404, "NotFound"), (429, "TooManyRequests"), (502, "BadGateway"), (599, "599")],
)
def test_reasons_are_written_as_codes(status: int, reason: str) -> None:
    assert reason_of(status) == reason
