"""The URI functions: components encoded and decoded, and the parts of an absolute URI."""

from urllib.parse import SplitResult, quote, unquote_plus, urlsplit

from localazure.errors import ExpressionError
from localazure.expressions.signatures import STRING, Group

URI = Group("uri")

_PORTS = {"http": 80, "https": 443, "ftp": 21, "ws": 80, "wss": 443, "gopher": 70, "ldap": 389}


@URI.declare("uriComponent", "encodeUriComponent", takes={"value": STRING})
def _uri_component(value: str) -> str:
    return quote(value, safe="-._~", errors="replace")


@URI.declare("uriComponentToString", "decodeUriComponent", takes={"value": STRING})
def _uri_component_to_string(value: str) -> str:
    # The documented sample of 2017 decodes '+' as a space.
    return unquote_plus(value, errors="replace")


def _split(uri: str) -> SplitResult:
    text = uri.strip()
    try:
        parts = urlsplit(text)
        port_is_valid = parts.port is None or parts.port >= 0
    except ValueError:
        parts, port_is_valid = SplitResult("", "", "", "", ""), False
    if not parts.scheme or not port_is_valid or (parts.scheme in _PORTS and not parts.hostname):
        raise ExpressionError("invalid-template", f"'{uri}' is not an absolute URI")
    return parts


def _path(parts: SplitResult) -> str:
    """Return the path without `.` and `..`, and with what a URI cannot hold encoded."""
    path = quote(parts.path, safe="/%:@!$&'()*+,;=-._~[]|", errors="replace")
    if not parts.netloc:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        match segment:
            case "..":
                if kept:
                    kept.pop()
            case ".":
                pass
            case _:
                kept.append(segment)
    if segments and segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


def _query(parts: SplitResult) -> str:
    return f"?{quote(parts.query, safe='/?%:@!$&()*+,;=-._~[]|', errors='replace')}" if parts.query else ""


@URI.declare("uriHost", takes={"uri": STRING})
def _uri_host(uri: str) -> str:
    host = _split(uri).hostname or ""
    return f"[{host}]" if ":" in host else host


@URI.declare("uriPath", takes={"uri": STRING})
def _uri_path(uri: str) -> str:
    return _path(_split(uri))


@URI.declare("uriPathAndQuery", takes={"uri": STRING})
def _uri_path_and_query(uri: str) -> str:
    parts = _split(uri)
    return _path(parts) + _query(parts)


@URI.declare("uriPort", takes={"uri": STRING})
def _uri_port(uri: str) -> int:
    parts = _split(uri)
    return parts.port if parts.port is not None else _PORTS.get(parts.scheme, -1)


@URI.declare("uriQuery", takes={"uri": STRING})
def _uri_query(uri: str) -> str:
    return _query(_split(uri))


@URI.declare("uriScheme", takes={"uri": STRING})
def _uri_scheme(uri: str) -> str:
    return _split(uri).scheme
