"""The trigger types there are: what each may hold, checked when a definition is loaded."""

import re
from collections.abc import Mapping
from typing import Any

from localazure.errors import Problem
from localazure.workflows.connection_action import connection_problems
from localazure.workflows.http_checks import METHODS, http_inputs_problems, option_problems
from localazure.workflows.recurrence import recurrence_problems

_REQUEST_INPUTS = frozenset({"method", "relativePath", "schema"})
_REQUEST_KINDS = frozenset({"http", "button"})
_RELATIVE_PATH = re.compile(r"[^{}]*(?:\{[A-Za-z_][\w-]*\}[^{}]*)*")


class RecurrenceTrigger:
    """Trigger type `Recurrence`: fires by the clock."""

    name = "Recurrence"

    def validate(self, definition: Mapping[str, Any]) -> list[Problem]:
        """Name what is wrong with a Recurrence trigger."""
        problems = _recurrence_problems(definition)
        if definition.get("inputs"):
            problems.append(
                Problem("inputs", "unknown-property", "inputs", "a Recurrence trigger takes no inputs")
            )
        if "splitOn" in definition:
            message = "a Recurrence trigger has no body to split"
            problems.append(Problem("splitOn", "unknown-property", "splitOn", message))
        return problems + option_problems(definition, {"singleinstance"})


class RequestTrigger:
    """Trigger type `Request`: fires when its callback URL is called."""

    name = "Request"

    def validate(self, definition: Mapping[str, Any]) -> list[Problem]:
        """Name what is wrong with a Request trigger."""
        inputs = definition.get("inputs") or {}
        if not isinstance(inputs, Mapping):
            return [
                Problem("inputs", "invalid", "inputs", "the inputs of a Request trigger must be an object")
            ]
        problems = [
            Problem(f"inputs.{name}", "unknown-property", name, f"a Request trigger has no input {name!r}")
            for name in inputs
            if name not in _REQUEST_INPUTS
        ]
        kind = str(definition.get("kind", "Http"))
        if kind.lower() not in _REQUEST_KINDS:
            problems.append(
                Problem("kind", "unsupported-trigger", kind, f"Request of kind {kind} is not supported")
            )
        method, path = inputs.get("method"), inputs.get("relativePath")
        if method is not None and str(method).upper() not in METHODS:
            problems.append(Problem("inputs.method", "invalid", str(method), f"{method!r} is no HTTP method"))
        if path is not None and (not isinstance(path, str) or not _RELATIVE_PATH.fullmatch(path)):
            message = f"relativePath {path!r} is not one such as 'orders/{{id}}'"
            problems.append(Problem("inputs.relativePath", "invalid", "relativePath", message))
        if path and method is None:
            message = "a Request trigger with relativePath needs method"
            problems.append(Problem("inputs.method", "missing", "method", message))
        if "recurrence" in definition:
            message = "a Request trigger has no recurrence"
            problems.append(Problem("recurrence", "unknown-property", "recurrence", message))
        known = {"singleinstance", "enableschemavalidation"}
        return problems + option_problems(definition, known)


class ConnectionTrigger:
    """Trigger type `ApiConnection`: polls a managed connector."""

    name = "ApiConnection"

    def validate(self, definition: Mapping[str, Any]) -> list[Problem]:
        """Name what is wrong with a polling connector trigger, the connector among it."""
        return (
            connection_problems(definition.get("inputs"), trigger=True)
            + _recurrence_problems(definition)
            + option_problems(definition, {"singleinstance"})
        )


class HttpTrigger:
    """Trigger type `Http`: polls an address."""

    name = "Http"

    def validate(self, definition: Mapping[str, Any]) -> list[Problem]:
        """Name what is wrong with a polling Http trigger."""
        return (
            http_inputs_problems(definition.get("inputs"))
            + _recurrence_problems(definition)
            + option_problems(definition, {"singleinstance"})
        )


def trigger_types() -> list[RecurrenceTrigger | RequestTrigger | ConnectionTrigger | HttpTrigger]:
    """Return all trigger types."""
    return [RecurrenceTrigger(), RequestTrigger(), ConnectionTrigger(), HttpTrigger()]


def _recurrence_problems(definition: Mapping[str, Any]) -> list[Problem]:
    return [
        Problem("recurrence", "invalid", "recurrence", text)
        for text in recurrence_problems(definition.get("recurrence"))
    ]
