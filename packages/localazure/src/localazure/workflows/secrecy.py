"""What must not show: hidden inputs and outputs, and the values of secure parameters.

Azure hides what `runtimeConfiguration.secureData` names, and in its wake the inputs of actions that use
hidden outputs. localazure also blots out the values of SecureString and SecureObject parameters wherever
they turn up in what the history shows (through a variable, or in an error's text).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from localazure.workflows.records import ActionRecord, RunRecord, TriggerFiring, TriggerHistoryRecord

#: What stands in the place of a secret.
BLOT = "*sanitized*"
#: Shorter values are not looked for: they turn up everywhere by chance ("1", "true").
SHORTEST_SECRET_CHARS = 6
#: Parts of `authentication` that are never shown.
_CREDENTIALS = frozenset({"password", "secret", "pfx", "value"})


def secret_values(definition: Mapping[str, Any], parameters: Mapping[str, Any]) -> frozenset[str]:
    """Return the texts inside the values of a workflow's SecureString and SecureObject parameters."""
    given = {name.lower(): value for name, value in parameters.items()}
    found: set[str] = set()
    for name, declared in (definition.get("parameters") or {}).items():
        if not str(declared.get("type", "")).lower().startswith("secure"):
            continue
        value = given.get(name.lower(), {})
        found.update(_texts(value.get("value") if isinstance(value, Mapping) else None))
        found.update(_texts(declared.get("defaultValue")))
    return frozenset(text for text in found if len(text) >= SHORTEST_SECRET_CHARS)


def blotted(value: Any, secrets: frozenset[str]) -> Any:
    """Return a JSON value with every secret text in it replaced."""
    if not secrets:
        return value
    match value:
        case str():
            for secret in secrets:
                value = value.replace(secret, BLOT)
            return value
        case Mapping():
            return {key: blotted(item, secrets) for key, item in value.items()}
        case list() | tuple():
            return [blotted(item, secrets) for item in value]
        case _:
            return value


def shown_action(action: ActionRecord, secrets: frozenset[str]) -> ActionRecord:
    """Return an action's record as it may be shown."""
    return dataclasses.replace(
        action,
        inputs=None if action.hide_inputs else blotted(_without_credentials(action.inputs), secrets),
        outputs=None if action.hide_outputs else blotted(action.outputs, secrets),
        has_inputs=action.has_inputs and not action.hide_inputs,
        has_outputs=action.has_outputs and not action.hide_outputs,
        error=blotted(action.error, secrets),
        tracked_properties=blotted(action.tracked_properties, secrets),
        state={},
    )


def shown_run(run: RunRecord, secrets: frozenset[str]) -> RunRecord:
    """Return a run's record as it may be shown."""
    return dataclasses.replace(
        run,
        trigger=_shown_firing(run.trigger, secrets),
        error=blotted(run.error, secrets),
        outputs=blotted(run.outputs, secrets),
        response=blotted(run.response, secrets),
        termination=None,
    )


def shown_trigger_history(record: TriggerHistoryRecord, secrets: frozenset[str]) -> TriggerHistoryRecord:
    """Return a trigger history as it may be shown."""
    return dataclasses.replace(
        record,
        inputs=None if record.hide_inputs else blotted(record.inputs, secrets),
        outputs=None if record.hide_outputs else blotted(record.outputs, secrets),
        error=blotted(record.error, secrets),
    )


def _shown_firing(firing: TriggerFiring, secrets: frozenset[str]) -> TriggerFiring:
    return dataclasses.replace(
        firing,
        inputs=None if firing.hide_inputs else blotted(firing.inputs, secrets),
        outputs=None if firing.hide_outputs else blotted(firing.outputs, secrets),
        error=blotted(firing.error, secrets),
    )


def _without_credentials(inputs: Any) -> Any:
    """Return an operation's inputs without the secret parts of its `authentication`."""
    match inputs:
        case {"authentication": {**authentication}}:
            shown = {
                name: BLOT if str(name).lower() in _CREDENTIALS else value
                for name, value in authentication.items()
            }
            return {**inputs, "authentication": shown}
        case _:
            return inputs


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for item in value.values():
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)
