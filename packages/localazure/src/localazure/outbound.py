"""One client for every request that a workflow makes.

It maps Azure's host names to what stands for them here, turns a workflow's `authentication` into headers, and
plays Storage's part where a managed identity's token would be checked: the token is refused as Azure refuses
it unless the headers are there that Azure demands, and becomes the account's SharedKey signature otherwise.
"""

import asyncio
import base64
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import httpx

from localazure.errors import ConnectionFailedError, InvalidRequestError
from localazure.storage_signing import StorageAccount, shared_key_authorization

#: Seconds that one call may take on Consumption (Logic Apps limits, "Timeout duration" of outbound requests).
CALL_TIMEOUT_S = 120.0

DEFAULT_AUDIENCE = "https://management.azure.com/"
STORAGE_AUDIENCE = "https://storage.azure.com"
AUTHENTICATION_TYPES = ("ManagedServiceIdentity", "Basic", "Raw")

#: Connections are given up before servers do so (Azurite after 5 s), as a request on one that is being closed
#: gets no answer.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=50, keepalive_expiry=2.0)

_STORAGE_HOST = re.compile(r"^[a-z0-9-]+\.(queue|blob|table|file)\.core\.windows\.net$")


class TokenSource(Protocol):
    """Gives out the tokens of managed identities."""

    async def token(self, audience: str, identity: str | None) -> str:
        """Return a bearer token.

        Args:
            audience: the resource that the token is for, as the workflow wrote it.
            identity: resource id of a user-assigned identity; None means the system-assigned one.
        """
        ...


@dataclass(frozen=True)
class HostMapping:
    """One of Azure's host names and what stands for it.

    Attributes:
        name: the host name (`acct.queue.core.windows.net`), compared without case.
        url: where its requests go; a path in it is put before the request's own.
        ca_file: certificate of the authority that signs for `url`; None means the machine's own authorities.
    """

    name: str
    url: str
    ca_file: Path | None = None

    @classmethod
    def parse(cls, text: str, ca_file: Path | None = None) -> "HostMapping":
        """Read `NAME=URL`.

        Raises:
            ValueError: the text has no `=`, or what follows is no http(s) URL.
        """
        name, mark, url = text.partition("=")
        if not mark or not name or not re.match(r"https?://[^/]+", url):
            raise ValueError(f"{text!r} is no host mapping: write NAME=URL, the URL with http:// or https://")
        return cls(name.strip().lower(), url.strip().rstrip("/"), ca_file)


@dataclass(frozen=True)
class OutboundRequest:
    """A request as a workflow asks for it, its body already bytes.

    Attributes:
        method: HTTP method.
        uri: absolute URL, escapes as they are to be sent.
        headers: headers to send.
        content: the body; None means none.
        authentication: the `authentication` object of the action, or None.
    """

    method: str
    uri: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    authentication: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class OutboundResponse:
    """An answer: status, reason phrase without spaces (`NotFound`), headers in their own case, body."""

    status: int
    reason: str
    headers: Mapping[str, str]
    content: bytes

    def header(self, name: str) -> str | None:
        """Return a header by name, case aside, or None."""
        lowered = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == lowered), None)


def reason_of(status: int) -> str:
    """Return a status's name as Logic Apps writes it in `code`: OK, NotFound, TooManyRequests."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        return str(status)
    return phrase if phrase == "OK" else "".join(re.findall(r"[A-Za-z]+", phrase.title()))


class Outbound:
    """The client. Close it with `aclose`, or use it as an async context manager.

    Args:
        hosts: host names to map.
        storage: the accounts that a managed identity may use; none means Storage gets the bearer token.
        tokens: where managed identities' tokens come from; None means there are none, and asking fails.
        timeout_s: seconds for one call.
        transport: replaces the network, in tests.
    """

    def __init__(
        self,
        *,
        hosts: Sequence[HostMapping] = (),
        storage: Sequence[StorageAccount] = (),
        tokens: TokenSource | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._hosts = {mapping.name: mapping for mapping in hosts}
        self._accounts = tuple(storage)
        self._tokens = tokens
        self._timeout_s = timeout_s
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> "Outbound":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        """Send one request and wait for its whole answer. Redirects are not followed.

        Raises:
            InvalidRequestError: the address is no http(s) URL, or the authentication cannot be used.
            ConnectionFailedError: no answer came within the time for one call.
        """
        named = self._url(request.uri)
        url = self._mapped(named)
        client = self._connected()
        built = client.build_request(
            request.method.upper(), url, headers=dict(request.headers), content=request.content
        )
        refusal = await self._authenticate(built, named, request.authentication)
        if refusal is not None:
            return refusal
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await client.send(built, follow_redirects=False)
        except TimeoutError:
            raise ConnectionFailedError(
                f"the server at {named.host} did not respond within {self._timeout_s:g} s"
            ) from None
        except httpx.HTTPError as exc:
            raise ConnectionFailedError(f"{named.host}: {exc or type(exc).__name__}") from exc
        return _response(answer)

    def account_for(self, name_or_endpoint: str | None) -> StorageAccount | None:
        """Find an account by its name or its endpoint URL, Azure's included; None asks for the first one.

        Raises:
            InvalidRequestError: it reads like a URL and is none.
        """
        if name_or_endpoint is None:
            return self._accounts[0] if self._accounts else None
        wanted = name_or_endpoint.rstrip("/").lower()
        for account in self._accounts:
            if wanted in {account.name, account.queue_endpoint.lower(), account.blob_endpoint.lower()}:
                return account
        uri = wanted if "://" in wanted else f"https://{wanted}.queue.core.windows.net"
        url = self._mapped(self._url(uri))
        return next((account for account in self._accounts if account.serves(url)), None)

    async def send_signed(self, account: StorageAccount, request: OutboundRequest) -> OutboundResponse:
        """Send a request signed with the account's key, whatever its `authentication` says."""
        signing = {"type": "_SharedKey", "account": account}
        return await self.send(replace(request, authentication=signing))

    def _url(self, uri: str) -> httpx.URL:
        try:
            url = httpx.URL(uri)
        except httpx.InvalidURL as exc:
            raise InvalidRequestError(f"the uri {uri!r} is not valid: {exc}") from None
        if url.scheme not in {"http", "https"} or not url.host:
            raise InvalidRequestError(f"the uri {uri!r} is not valid: it must begin with http:// or https://")
        return url

    def _mapped(self, url: httpx.URL) -> httpx.URL:
        mapping = self._hosts.get(url.host.lower())
        if mapping is None:
            return url
        target = httpx.URL(mapping.url)
        raw_path = target.raw_path.rstrip(b"/") + url.raw_path
        return target.copy_with(raw_path=raw_path)

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            mounts = {} if self._transport else self._mounts()
            self._client = httpx.AsyncClient(
                transport=self._transport,
                mounts=mounts,
                timeout=self._timeout_s,
                headers={"user-agent": "localazure"},
            )
        return self._client

    def _mounts(self) -> dict[str, httpx.AsyncBaseTransport]:
        """Return what reaches this machine (no proxy has a say there) and targets with an authority."""
        trusted = httpx.create_ssl_context()
        mounts: dict[str, httpx.AsyncBaseTransport] = {
            pattern: httpx.AsyncHTTPTransport(verify=trusted, limits=_LIMITS)
            for pattern in ("all://127.0.0.1", "all://localhost", "all://[::1]")
        }
        for mapping in self._hosts.values():
            if mapping.ca_file is not None:
                context = ssl.create_default_context(cafile=str(mapping.ca_file))
                origin = httpx.URL(mapping.url)
                pattern = f"{origin.scheme}://{origin.netloc.decode('ascii')}"
                mounts[pattern] = httpx.AsyncHTTPTransport(verify=context, limits=_LIMITS)
        return mounts

    async def _authenticate(
        self, built: httpx.Request, named: httpx.URL, authentication: Mapping[str, Any] | None
    ) -> OutboundResponse | None:
        """Add the credentials, or return the answer that Azure would give in their place."""
        if not authentication:
            return None
        kind = str(authentication.get("type", ""))
        match kind.lower():
            case "managedserviceidentity":
                return await self._use_identity(built, named, authentication)
            case "basic":
                pair = f"{authentication.get('username', '')}:{authentication.get('password', '')}"
                built.headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
            case "raw":
                built.headers["authorization"] = str(authentication.get("value", ""))
            case "_sharedkey":
                _sign(built, authentication["account"])
            case _:
                known = ", ".join(AUTHENTICATION_TYPES)
                raise InvalidRequestError(
                    f"authentication type {kind!r} is not supported; supported are {known}"
                )
        return None

    async def _use_identity(
        self, built: httpx.Request, named: httpx.URL, authentication: Mapping[str, Any]
    ) -> OutboundResponse | None:
        audience = str(authentication.get("audience") or DEFAULT_AUDIENCE)
        account = next((each for each in self._accounts if each.serves(built.url)), None)
        if account is not None or _STORAGE_HOST.match(named.host):
            missing = [name for name in ("x-ms-version", "x-ms-date") if name not in built.headers]
            if missing:
                return _storage_error(403, "AuthenticationFailed", _missing_headers(missing))
            if not _is_storage_audience(audience, named, account):
                return _storage_error(401, "InvalidAuthenticationInfo", _wrong_audience(audience))
        if account is not None:
            _sign(built, account)
            return None
        if self._tokens is None:
            raise InvalidRequestError("no managed identity is set up here that could give out a token")
        identity = authentication.get("identity")
        token = await self._tokens.token(audience, str(identity) if identity else None)
        built.headers["authorization"] = f"Bearer {token}"
        return None


def _sign(built: httpx.Request, account: StorageAccount) -> None:
    built.headers["authorization"] = shared_key_authorization(
        account, built.method, built.url, dict(built.headers.items())
    )


def _is_storage_audience(audience: str, named: httpx.URL, account: StorageAccount | None) -> bool:
    wanted = audience.rstrip("/").lower()
    own = {STORAGE_AUDIENCE, f"{named.scheme}://{named.netloc.decode('ascii')}".lower()}
    if account is not None:
        own |= {account.queue_endpoint.lower(), account.blob_endpoint.lower()}
        own |= {f"https://{account.name}.{service}.core.windows.net" for service in ("queue", "blob")}
    return wanted in own


def _missing_headers(missing: Sequence[str]) -> str:
    return (
        "Server failed to authenticate the request. Make sure the value of Authorization header is formed"
        f" correctly including the signature. Not sent: {', '.join(missing)}."
    )


def _wrong_audience(audience: str) -> str:
    return f"Authentication information is not in the correct format: audience {audience} is not Storage."


def _storage_error(status: int, code: str, message: str) -> OutboundResponse:
    request_id = str(uuid4())
    text = (
        f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}\n'
        f"RequestId:{request_id}</Message></Error>"
    )
    headers = {
        "x-ms-request-id": request_id,
        "x-ms-error-code": code,
        "Content-Type": "application/xml",
        "Content-Length": str(len(text)),
    }
    return OutboundResponse(status, reason_of(status), headers, text.encode("utf-8"))


def _response(answer: httpx.Response) -> OutboundResponse:
    headers: dict[str, str] = {}
    for raw_name, raw_value in answer.headers.raw:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return OutboundResponse(answer.status_code, reason_of(answer.status_code), headers, answer.content)
