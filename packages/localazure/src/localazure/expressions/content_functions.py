"""The conversion functions around content: base64, binary and data URIs.

A data URI is read as Azure's tests of it show: the last parameter `base64` says how the data is written, text
that is not base64 is decoded like a query string, and the bytes are always taken for UTF-8.
"""

import base64
import codecs
import re
from dataclasses import dataclass
from urllib.parse import unquote_plus, unquote_to_bytes

from localazure.errors import ExpressionError
from localazure.expressions.signatures import NOT_NULL, STRING, TEXT, Group
from localazure.expressions.values import (
    BINARY_TYPE,
    JSON,
    content,
    content_bytes,
    decode_base64,
    is_content,
    text_of,
)

CONTENT = Group("conversion")

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a pattern of HTTP's, no secret
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}")
_PARAMETER = re.compile(rf"{_TOKEN}(?:={_TOKEN})?")


@CONTENT.declare("base64", takes={"value": TEXT})
def _base64(value: JSON) -> str:
    data = content_bytes(value) if is_content(value) else value.encode("utf-8", "surrogatepass")
    return base64.b64encode(data).decode("ascii")


@CONTENT.declare("base64ToString", "decodeBase64", takes={"value": STRING})
def _base64_to_string(value: str) -> str:
    return decode_base64(value).decode("utf-8", errors="replace")


@CONTENT.declare("base64ToBinary", takes={"value": STRING})
def _base64_to_binary(value: str) -> JSON:
    return content(BINARY_TYPE, decode_base64(value))


@CONTENT.declare("binary", takes={"value": NOT_NULL})
def _binary(value: JSON) -> JSON:
    if is_content(value):
        return {"$content-type": BINARY_TYPE, "$content": value["$content"]}
    return content(BINARY_TYPE, text_of(value).encode("utf-8", "surrogatepass"))


@CONTENT.declare("dataUri", takes={"value": NOT_NULL})
def _data_uri(value: JSON) -> str:
    if is_content(value):
        return f"data:{value['$content-type']};base64,{value['$content']}"
    kind = "text/plain" if isinstance(value, str) else "application/json"
    encoded = base64.b64encode(text_of(value).encode("utf-8", "surrogatepass")).decode("ascii")
    return f"data:{kind};charset=utf-8;base64,{encoded}"


@dataclass(frozen=True)
class _DataUri:
    media_type: str
    parameters: tuple[str, ...]
    is_base64: bool
    data: str

    def charset(self) -> str | None:
        for parameter in self.parameters:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "charset":
                return value.strip()
        return None


def _parse(uri: str) -> _DataUri:
    header, comma, data = uri.partition(",")
    scheme, colon, described = header.partition(":")
    if not comma or not colon or scheme.strip().lower() != "data":
        raise _invalid(uri)
    tokens = described.split(";")
    is_base64 = tokens[-1].strip().lower() == "base64"
    if is_base64:
        tokens.pop()
    media_type, parameters = (tokens[0] if tokens else ""), tuple(tokens[1:])
    if not all(parameters) or (media_type and not _MEDIA_TYPE.fullmatch(media_type)):
        raise _invalid(uri)
    return _DataUri(media_type or "text/plain", parameters, is_base64, data)


def _invalid(uri: str) -> ExpressionError:
    shown = uri if len(uri) <= 60 else f"{uri[:60]}…"
    return ExpressionError("invalid-template", f"'{shown}' is not a valid data URI")


@CONTENT.declare("dataUriToBinary", "decodeDataUri", takes={"value": STRING})
def _data_uri_to_binary(value: str) -> JSON:
    uri = _parse(value)
    charset = uri.charset()
    if not all(map(_PARAMETER.fullmatch, uri.parameters)) or not _is_charset(charset):
        raise _invalid(value)
    content_type = ";".join((uri.media_type, *uri.parameters))
    if uri.is_base64:
        return {"$content-type": content_type, "$content": uri.data}  # not looked at before it is needed
    return content(content_type, unquote_plus(uri.data).encode(charset or "utf-8", errors="replace"))


def _is_charset(name: str | None) -> bool:
    if name is None:
        return True
    try:
        "".encode(codecs.lookup(name).name)  # refuses Python's codecs that are no charsets
    except LookupError:
        return False
    return True


@CONTENT.declare("dataUriToString", takes={"value": STRING})
def _data_uri_to_string(value: str) -> str:
    uri = _parse(value)
    # Azure looks at the charset only where it is the first parameter.
    name, _, charset = uri.parameters[0].partition("=") if uri.parameters else ("", "", "")
    if uri.is_base64 and name.lower() == "charset" and charset.lower() not in {"utf-8", "utf8"}:
        message = f"a data URI in the charset '{charset}' cannot be made a string; only utf-8 can"
        raise ExpressionError("invalid-template", message)
    if uri.is_base64:
        return decode_base64(uri.data).decode("utf-8", errors="replace")
    return unquote_plus(uri.data, errors="replace")


@CONTENT.declare("uriComponentToBinary", takes={"value": STRING})
def _uri_component_to_binary(value: str) -> JSON:
    return content(BINARY_TYPE, unquote_to_bytes(value.replace("+", " ").encode("utf-8", "surrogatepass")))
