"""What stands between a workflow's JSON and the bytes on the wire.

Logic Apps gives a workflow JSON bodies as values, text as strings and all else as an envelope
`{"$content-type", "$content"}` with base64 content; forms and multipart bodies keep their parts beside it.
The same shapes are understood on the way out.
"""

import base64
import json
import secrets
from collections.abc import Mapping
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl, urlencode

from localazure.errors import NotJsonError

JSON = Any

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"
BINARY_TYPE = "application/octet-stream"


def media_type(content_type: str) -> str:
    """Return the type alone, lower-cased, without parameters."""
    return content_type.partition(";")[0].strip().lower()


def is_json_type(content_type: str) -> bool:
    """Tell whether a content type names JSON, also by a `+json` suffix."""
    kind = media_type(content_type)
    return kind in {JSON_TYPE, "text/json"} or kind.endswith("+json")


def _charset(content_type: str) -> str:
    message = Message()
    message["content-type"] = content_type
    charset = message.get_content_charset("utf-8")
    try:
        "".encode(charset)
    except LookupError:
        return "utf-8"
    return charset


def envelope(content_type: str, content: bytes) -> dict[str, JSON]:
    """Wrap bytes as a workflow holds them."""
    return {"$content-type": content_type, "$content": base64.b64encode(content).decode("ascii")}


def decode_body(content: bytes, content_type: str | None) -> JSON:
    """Turn a body from the wire into what a workflow sees.

    Args:
        content: the body; empty means there is none.
        content_type: the Content-Type header, or None if it was not sent (then taken as octets).

    Returns:
        A JSON value, a string, an envelope, or None for an empty body.

    Raises:
        NotJsonError: the type is JSON and the body is not.
    """
    if not content:
        return None
    declared = content_type or BINARY_TYPE
    kind = media_type(declared)
    if is_json_type(declared):
        try:
            return json.loads(content.decode("utf-8-sig"))
        except ValueError as exc:
            raise NotJsonError(
                f"the body is declared as {declared} and cannot be read as JSON: {exc}"
            ) from None
    if kind.startswith("text/"):
        return content.decode(_charset(declared), errors="replace").removeprefix("\ufeff")
    wrapped = envelope(declared, content)
    if kind == "application/x-www-form-urlencoded":
        pairs = parse_qsl(content.decode("utf-8", errors="replace"), keep_blank_values=True)
        wrapped["$formdata"] = [{"key": key, "value": value} for key, value in pairs]
    elif kind.startswith("multipart/"):
        wrapped["$multipart"] = _parts(content, declared)
    return wrapped


def _parts(content: bytes, content_type: str) -> list[JSON]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + content)
    parts = []
    for part in message.iter_parts():
        raw = part.get_payload(decode=True)
        body = envelope(part.get("Content-Type", TEXT_TYPE), raw if isinstance(raw, bytes) else b"")
        parts.append({"headers": {name: str(value) for name, value in part.items()}, "body": body})
    return parts


def encode_body(body: JSON, content_type: str | None) -> tuple[bytes | None, str | None]:
    """Turn a workflow's body into bytes and the Content-Type that goes with them.

    Args:
        body: any JSON value; None means no body.
        content_type: the Content-Type that the workflow set, or None.

    Returns:
        The bytes (None for no body) and the Content-Type to send (None to send none).
    """
    match body:
        case None:
            return None, content_type
        case str():
            return body.encode(_charset(content_type or TEXT_TYPE)), content_type or TEXT_TYPE
        case {"$content-type": str(kind), "$multipart": list(parts)}:
            return _encode_parts(kind, parts)
        case {"$content-type": str(kind), "$formdata": list(pairs)}:
            text = urlencode([(str(pair["key"]), str(pair["value"])) for pair in pairs])
            return text.encode("ascii"), content_type or kind
        case {"$content-type": str(kind), "$content": str(text)}:
            return base64.b64decode(text), content_type or kind
        case _:
            text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
            return text.encode("utf-8"), content_type or JSON_TYPE


def _encode_parts(kind: str, parts: list[JSON]) -> tuple[bytes, str]:
    boundary = secrets.token_hex(16)
    chunks: list[bytes] = []
    for part in parts:
        headers: Mapping[str, str] = part.get("headers") or {}
        named = {name.lower() for name in headers}
        content, content_type = encode_body(part.get("body"), None)
        lines = [f"{name}: {value}" for name, value in headers.items()]
        if content_type and "content-type" not in named:
            lines.append(f"Content-Type: {content_type}")
        head = "".join(f"{line}\r\n" for line in [f"--{boundary}", *lines, ""])
        chunks += [head.encode("utf-8"), content or b"", b"\r\n"]
    chunks.append(f"--{boundary}--\r\n".encode())
    return b"".join(chunks), f'{media_type(kind)}; boundary="{boundary}"'
