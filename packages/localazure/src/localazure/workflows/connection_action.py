"""The ApiConnection action: a call of a managed connector through the workflow's connection.

Of the connectors, Azure Queues is here; any other is refused by name.
"""

import random
import re
from collections.abc import Mapping
from typing import Any

from localazure.errors import InvalidRequestError, Problem
from localazure.outbound import OutboundResponse
from localazure.workflows.calls import Caller, Send, result_of
from localazure.workflows.connector_azurequeues import API, OPERATIONS, AzureQueues, understand
from localazure.workflows.http_action import refused
from localazure.workflows.http_checks import (
    authentication_problems,
    option_problems,
    retry_problems,
    runtime_problems,
)
from localazure.workflows.operations import OperationCall, OperationResult
from localazure.workflows.retry import RetryPolicy

INPUTS = frozenset({"host", "method", "path", "queries", "headers", "body", "authentication", "retryPolicy"})
_OPTIONS = frozenset({"disableasyncpattern"})
_KEY = re.compile(r"parameters\(\s*'\$connections'\s*\)\s*\??\[\s*'([^']+)'\s*\]", re.IGNORECASE)
_INTERPOLATION = re.compile(r"@\{[^}]*\}")


class ConnectionAction:
    """Action type `ApiConnection`."""

    name = "ApiConnection"

    def validate(self, definition: Mapping[str, Any]) -> list[Problem]:
        """Name what is wrong with an ApiConnection action, the connector it calls among it."""
        return (
            connection_problems(definition.get("inputs"), trigger=False)
            + option_problems(definition, _OPTIONS)
            + runtime_problems(definition, {"securedata", "contenttransfer"})
        )

    async def execute(self, call: OperationCall) -> OperationResult:
        """Call the connector, again where the retry policy says so."""
        services = call.services
        try:
            policy = RetryPolicy.from_json(call.inputs.get("retryPolicy"))
            send = connection_call(
                call.inputs, call.connections, AzureQueues(services.outbound, services.clock)
            )
            tries = await Caller(services.clock, services.extras.get("draw", random.uniform)).call(
                send, policy
            )
        except (ValueError, InvalidRequestError) as exc:
            return refused(str(exc))
        return result_of(tries)


def connection_call(
    inputs: Mapping[str, Any], connections: Mapping[str, Any], connector: AzureQueues
) -> Send:
    """Return what sends one request of evaluated inputs through its connection.

    Args:
        inputs: evaluated inputs of an ApiConnection action or trigger.
        connections: the value of `$connections`.
        connector: what answers.

    Raises:
        InvalidRequestError: the connection is not among `connections`, or is of another connector; the method
            or the path is missing.
    """
    host = inputs.get("host") or {}
    name = (host.get("connection") or {}).get("name") if isinstance(host, Mapping) else None
    api = connection_api(name, connections)
    if api.lower() != API:
        raise InvalidRequestError(f"the connector {api} is not supported; supported is {API}")
    method, path, queries = inputs.get("method"), inputs.get("path"), inputs.get("queries") or {}
    if not isinstance(method, str) or not isinstance(path, str) or not isinstance(queries, Mapping):
        raise InvalidRequestError(
            "an ApiConnection needs method and path, both strings, and queries as an object"
        )

    async def send() -> OutboundResponse:
        return await connector.answer(method, path, queries, inputs.get("body"))

    return send


def connection_api(name: Any, connections: Mapping[str, Any]) -> str:
    """Return the name of the managed API behind a connection id, such as `azurequeues`.

    Raises:
        InvalidRequestError: there is no such connection.
    """
    for key, connection in connections.items():
        if (
            isinstance(connection, Mapping)
            and str(connection.get("connectionId", "")).lower() == str(name).lower()
        ):
            return str(connection.get("id") or key).rpartition("/")[2]
    known = ", ".join(
        str(each.get("connectionId")) for each in connections.values() if isinstance(each, Mapping)
    )
    raise InvalidRequestError(
        f"the connection {name!r} is not in $connections, which holds: {known or 'nothing'}"
    )


def connection_problems(inputs: Any, *, trigger: bool) -> list[Problem]:
    """Name what is wrong with the inputs of an ApiConnection action or trigger."""
    if not isinstance(inputs, Mapping):
        return [
            Problem("inputs", "missing", "inputs", "ApiConnection needs inputs with host, method and path")
        ]
    problems = [
        Problem(f"inputs.{name}", "unknown-property", name, f"ApiConnection has no input {name!r}")
        for name in inputs
        if name not in INPUTS
    ]
    problems += [
        Problem(f"inputs.{name}", "missing", name, f"ApiConnection needs the input {name}")
        for name in ("host", "method", "path")
        if not inputs.get(name)
    ]
    problems += authentication_problems(inputs.get("authentication")) + retry_problems(inputs)
    return problems or _operation_problems(inputs, trigger=trigger)


def _operation_problems(inputs: Mapping[str, Any], *, trigger: bool) -> list[Problem]:
    host = inputs["host"]
    name = (host.get("connection") or {}).get("name") if isinstance(host, Mapping) else None
    if not isinstance(name, str) or not name:
        path = "inputs.host.connection.name"
        return [Problem(path, "missing", "connection", "ApiConnection needs the id of its connection")]
    method, path = str(inputs["method"]), str(inputs["path"])
    call = None
    if not path.startswith("@") or path.startswith("@{"):
        call = understand(method, _INTERPOLATION.sub("x", path))
    key = _KEY.search(name)
    connector = re.sub(r"[-_]\d+$", "", key[1]) if key else API
    is_ours = connector.lower() == API or (
        call is not None and path.lower().startswith("/v2/storageaccounts/")
    )
    if not is_ours:
        message = f"the connector {connector} is not supported; supported is {API}"
        return [Problem("inputs.host.connection.name", "unsupported-connector", connector, message)]
    if path.startswith("@") and not path.startswith("@{"):
        return []
    if call is None or call.operation.trigger != trigger:
        known = ", ".join(each.name for each in OPERATIONS if each.trigger == trigger)
        message = f"{API} has no such {'trigger' if trigger else 'action'} here; it has {known}"
        return [Problem("inputs.path", "unsupported-operation", f"{method.upper()} {path}", message)]
    return []
