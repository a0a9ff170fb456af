"""Requests of Http actions and triggers: from evaluated inputs to what is sent, and what of it may be shown.

Header rules: Logic Apps documentation, "HTTP" (headers that are dropped without a word).
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urljoin

from localazure.content import encode_body
from localazure.errors import InvalidRequestError
from localazure.outbound import OutboundRequest
from localazure.workflows.http_checks import options_of
from localazure.workflows.operations import OperationCall

_SHOWN_AUTHENTICATION = frozenset({"type", "audience", "identity"})
_SANITIZED = "*sanitized*"

_DROPPED = re.compile(
    r"accept-(?!version$).*|allow|content-(?!(?:disposition|encoding|type)$).*|cookie|expires|host"
    r"|last-modified|origin|set-cookie|transfer-encoding",
    re.IGNORECASE,
)


def http_request(inputs: Mapping[str, Any], extra_headers: Mapping[str, str]) -> OutboundRequest:
    """Build the request from evaluated inputs.

    Args:
        inputs: `method`, `uri`, `headers`, `queries`, `body`, `cookie`, `authentication`.
        extra_headers: put beside those of the inputs, and after them.

    Raises:
        InvalidRequestError: method or uri is missing, or headers or queries are no object.
    """
    method, uri = inputs.get("method"), inputs.get("uri")
    if not isinstance(method, str) or not isinstance(uri, str) or not uri:
        raise InvalidRequestError("an Http request needs method and uri, both strings")
    given, queries = inputs.get("headers") or {}, inputs.get("queries") or {}
    if not isinstance(given, Mapping) or not isinstance(queries, Mapping):
        raise InvalidRequestError("headers and queries of an Http request must be objects")
    headers = {
        name: _text(value)
        for name, value in given.items()
        if value is not None and not _DROPPED.fullmatch(name)
    }
    if inputs.get("cookie"):
        headers["Cookie"] = _text(inputs["cookie"])
    named = next((name for name in headers if name.lower() == "content-type"), None)
    content, content_type = encode_body(inputs.get("body"), headers.pop(named) if named else None)
    if content_type:
        headers["Content-Type"] = content_type
    headers.update(extra_headers)
    return OutboundRequest(
        method.upper(), with_queries(uri, queries), headers, content, inputs.get("authentication")
    )


def with_queries(uri: str, queries: Mapping[str, Any]) -> str:
    """Put query parameters after those that a URI has, escaped."""
    pairs = [
        f"{quote(name, safe='')}={quote(_text(value), safe='')}"
        for name, value in queries.items()
        if value is not None
    ]
    if not pairs:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}{'&'.join(pairs)}"


def with_location(request: OutboundRequest, location: str | None) -> OutboundRequest:
    """Return the request with the address that an answer wants polled next, a relative one resolved."""
    return replace(request, uri=urljoin(request.uri, location)) if location else request


def workflow_id_hash(resource_id: str) -> str:
    """Return the id that stands for a workflow outside ARM: 32 hexadecimal digits."""
    return hashlib.sha256(resource_id.lower().encode("utf-8")).hexdigest()[:32]


def workflow_headers(call: OperationCall) -> dict[str, str]:
    """Return the `x-ms-workflow-*` headers of an action's request; none if the action suppresses them."""
    if "suppressworkflowheaders" in options_of(call.definition):
        return {}
    workflow = workflow_id_hash(call.workflow_id)
    values = {
        "x-ms-workflow-id": workflow,
        "x-ms-workflow-version": call.workflow_version,
        "x-ms-workflow-name": call.workflow_name,
        "x-ms-workflow-system-id": f"/locations/local/scaleunits/prod-00/workflows/{workflow}",
        "x-ms-workflow-run-id": call.run_name,
        "x-ms-workflow-run-tracking-id": call.client_tracking_id,
        "x-ms-workflow-operation-name": call.action_name,
        "x-ms-tracking-id": call.tracking_id,
        "x-ms-correlation-id": call.tracking_id,
        "x-ms-client-request-id": call.tracking_id,
        "x-ms-client-tracking-id": call.client_tracking_id,
        "x-ms-action-tracking-id": call.tracking_id,
        "x-ms-activity-vector": "IN.01",
    }
    return {name: value for name, value in values.items() if value}


def sanitized(inputs: Any) -> Any:
    """Return inputs as they may be shown: an `authentication` without its secrets."""
    if not isinstance(inputs, Mapping) or "authentication" not in inputs:
        return inputs
    authentication = inputs["authentication"]
    shown: Any = _SANITIZED
    if isinstance(authentication, Mapping):
        shown = {
            name: value if name in _SHOWN_AUTHENTICATION else _SANITIZED
            for name, value in authentication.items()
        }
    return {**inputs, "authentication": shown}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
