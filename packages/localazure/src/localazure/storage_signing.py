"""Storage accounts by connection string, and the SharedKey signature of their REST API.

The signature follows "Authorize with Shared Key" of Azure Storage's REST reference (version 2009-09-19 and
later, Blob and Queue). Azurite's path-style accounts (`http://127.0.0.1:10001/devstoreaccount1`) are signed
as it expects them: the account name stands in the path and once more before it.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import httpx

#: The headers of a request that the signature names one by one, in its order. `date` is left empty
#: because `x-ms-date` takes its place.
_SIGNED_HEADERS = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)


@dataclass(frozen=True)
class StorageAccount:
    """One storage account: its name, key and where its services listen.

    Attributes:
        name: the account's name.
        key: the account key, decoded.
        queue_endpoint: URL of the queue service without a slash at its end.
        blob_endpoint: URL of the blob service without a slash at its end.
    """

    name: str
    key: bytes = field(repr=False)
    queue_endpoint: str
    blob_endpoint: str

    @classmethod
    def from_connection_string(cls, text: str) -> "StorageAccount":
        """Read a connection string as the portal and Azurite give it.

        Args:
            text: `Name=value` pairs separated by semicolons. Without `QueueEndpoint` or `BlobEndpoint` the
                endpoint is made from protocol, account name and `EndpointSuffix`.

        Raises:
            ValueError: the account's name or key is missing, or the key is not base64.
        """
        pairs = (part.partition("=") for part in text.split(";") if part.strip())
        settings = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if settings.get("usedevelopmentstorage", "").lower() == "true":
            raise ValueError("UseDevelopmentStorage names no endpoint: give Azurite's full connection string")
        name, key_text = settings.get("accountname"), settings.get("accountkey")
        if not name or not key_text:
            raise ValueError("the storage connection string needs AccountName and AccountKey")
        try:
            key = base64.b64decode(key_text, validate=True)
        except binascii.Error:
            raise ValueError("AccountKey of the storage connection string is not base64") from None
        protocol = settings.get("defaultendpointsprotocol", "https")
        suffix = settings.get("endpointsuffix", "core.windows.net")

        def endpoint(service: str) -> str:
            given = settings.get(f"{service}endpoint") or f"{protocol}://{name}.{service}.{suffix}"
            return given.rstrip("/")

        return cls(name, key, endpoint("queue"), endpoint("blob"))

    def serves(self, url: httpx.URL) -> bool:
        """Tell whether a URL belongs to one of this account's services."""
        return any(_lies_under(url, httpx.URL(base)) for base in (self.queue_endpoint, self.blob_endpoint))


def _lies_under(url: httpx.URL, base: httpx.URL) -> bool:
    if _origin(url) != _origin(base):
        return False
    root = base.path.rstrip("/")
    return url.path == root or url.path.startswith(root + "/")


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def string_to_sign(account_name: str, method: str, url: httpx.URL, headers: Mapping[str, str]) -> str:
    """Build the text that the SharedKey signature signs.

    Args:
        account_name: the account that the request is for.
        method: HTTP method.
        url: the URL as it is sent, escapes included.
        headers: all headers of the request as they are sent, Content-Length included.
    """
    values = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    if "x-ms-date" in values:
        values.pop("date", None)
    if values.get("content-length") == "0":
        values.pop("content-length")
    lines = [method.upper(), *(values.get(name, "") for name in _SIGNED_HEADERS)]
    lines += [f"{name}:{values[name]}" for name in sorted(values) if name.startswith("x-ms-")]
    lines.append(f"/{account_name}{url.raw_path.partition(b'?')[0].decode('ascii')}")
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(url.query.decode("ascii"), keep_blank_values=True):
        query.setdefault(name.lower(), []).append(value)
    lines += [f"{name}:{','.join(sorted(query[name]))}" for name in sorted(query)]
    return "\n".join(lines)


def shared_key_authorization(
    account: StorageAccount, method: str, url: httpx.URL, headers: Mapping[str, str]
) -> str:
    """Return the Authorization header that signs a request with the account's key.

    The arguments are those of `string_to_sign`; `headers` must already hold `x-ms-version` and `x-ms-date`.
    """
    text = string_to_sign(account.name, method, url, headers)
    digest = hmac.new(account.key, text.encode("utf-8"), hashlib.sha256).digest()
    return f"SharedKey {account.name}:{base64.b64encode(digest).decode('ascii')}"
