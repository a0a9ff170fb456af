"""What can be wrong with an Http operation's definition, named before it runs."""

from collections.abc import Collection, Mapping
from typing import Any

from localazure.errors import Problem
from localazure.outbound import AUTHENTICATION_TYPES
from localazure.workflows.retry import policy_problems

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")

INPUTS = frozenset({"method", "uri", "headers", "queries", "body", "cookie", "authentication", "retryPolicy"})

#: What each authentication type may hold beside `type`.
_AUTHENTICATION_FIELDS = {
    "managedserviceidentity": frozenset({"identity", "audience"}),
    "basic": frozenset({"username", "password"}),
    "raw": frozenset({"value"}),
}


def options_of(definition: Mapping[str, Any]) -> frozenset[str]:
    """Return an operation's `operationOptions`, lower-cased."""
    return frozenset(option.lower() for option in _options(definition))


def option_problems(definition: Mapping[str, Any], known: Collection[str]) -> list[Problem]:
    """Name the operation options that an operation does not have here; `known` is lower-cased."""
    return [
        Problem("operationOptions", "unknown-option", option, f"the option {option} is not supported here")
        for option in _options(definition)
        if option.lower() not in known
    ]


def _options(definition: Mapping[str, Any]) -> list[str]:
    parts = str(definition.get("operationOptions") or "").split(",")
    return [part.strip() for part in parts if part.strip()]


def runtime_problems(definition: Mapping[str, Any], known: set[str]) -> list[Problem]:
    """Name the parts of `runtimeConfiguration` that an operation does not have here."""
    configuration = definition.get("runtimeConfiguration") or {}
    return [
        Problem(
            f"runtimeConfiguration.{name}", "unknown-property", name, f"{name} is not supported for this type"
        )
        for name in configuration
        if name.lower() not in known
    ]


def http_inputs_problems(inputs: Any) -> list[Problem]:
    """Name what is wrong with the inputs of an Http action or trigger."""
    if not isinstance(inputs, Mapping):
        return [Problem("inputs", "missing", "inputs", "Http needs inputs with method and uri")]
    problems = [
        Problem(f"inputs.{name}", "unknown-property", name, f"Http has no input {name!r}")
        for name in inputs
        if name not in INPUTS
    ]
    problems += [
        Problem(f"inputs.{name}", "missing", name, f"Http needs the input {name}")
        for name in ("method", "uri")
        if not inputs.get(name)
    ]
    method = inputs.get("method")
    if isinstance(method, str) and method and "@" not in method and method.upper() not in METHODS:
        problems.append(
            Problem(
                "inputs.method", "invalid", method, f"method {method!r} is not one of {', '.join(METHODS)}"
            )
        )
    return problems + authentication_problems(inputs.get("authentication")) + retry_problems(inputs)


def retry_problems(inputs: Mapping[str, Any]) -> list[Problem]:
    """Name what is wrong with the `retryPolicy` among an operation's inputs."""
    return [
        Problem("inputs.retryPolicy", "invalid", "retryPolicy", text)
        for text in policy_problems(inputs.get("retryPolicy"))
    ]


def authentication_problems(authentication: Any) -> list[Problem]:
    """Name what is wrong with an `authentication`; one that is an expression is seen when it is used."""
    path = "inputs.authentication"
    if authentication is None or (isinstance(authentication, str) and authentication.startswith("@")):
        return []
    if not isinstance(authentication, Mapping):
        return [Problem(path, "invalid", "authentication", "authentication must be an object")]
    kind = str(authentication.get("type", ""))
    if kind.startswith("@"):
        return []
    fields = _AUTHENTICATION_FIELDS.get(kind.lower())
    if fields is None:
        known = ", ".join(AUTHENTICATION_TYPES)
        message = f"authentication type {kind!r} is not supported; supported are {known}"
        return [Problem(f"{path}.type", "unsupported-authentication", kind, message)]
    problems = [
        Problem(f"{path}.{name}", "unknown-property", name, f"{kind} authentication has no {name!r}")
        for name in authentication
        if name != "type" and name not in fields
    ]
    needed = () if kind.lower() == "managedserviceidentity" else tuple(sorted(fields))
    return problems + [
        Problem(f"{path}.{name}", "missing", name, f"{kind} authentication needs {name}")
        for name in needed
        if name not in authentication
    ]
