"""The port between the run engine and what talks to the world.

An action type that does I/O (Http, ApiConnection, …) is an `OperationType`, a trigger type a `TriggerType`.
Both are known to the engine by their name only, through an `Operations` registry, and both check their
part of a definition when it is loaded.

What the engine promises an `OperationType`:
- `execute` is called with evaluated inputs, after the action's start (with those inputs) is on disk.
- The engine owns scheduling, runAfter, history, `limit.timeout` (it cancels `execute`), secure data.
- It is cancelled, too, when the run is cancelled or terminated, and when localazure stops.
- After a restart an action that was in flight is executed again with the same inputs, unless its
  `inputs.retryPolicy.type` is `none`: that one ends Failed with code `ServiceInterrupted`.
What it must do: return an `OperationResult` for every answer, bad ones included. An `ExpressionError` or any
other exception it raises becomes a Failed action (code `ActionFailed`), never a broken run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from localazure.clock import Clock
from localazure.errors import Problem

#: A JSON value: None, bool, int, float, str, list or dict of them.
JSON = Any


@dataclass(frozen=True)
class OperationResult:
    """What an operation came to."""

    #: `Succeeded`, `Failed`, `TimedOut`, `Cancelled` or `Skipped`.
    status: str
    #: Azure's word: `OK`, an HTTP reason such as `NotFound`, `ActionFailed`, …
    code: str
    #: What `outputs('x')` gives; None = no outputs.
    outputs: JSON | None = None
    #: `{"code", "message"}` where there is something to tell.
    error: Mapping[str, Any] | None = None
    #: The tries before the last one, as the history shows them.
    retry_history: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Services:
    """What operations are given to work with."""

    clock: Clock
    #: The client for every request a workflow makes (`localazure.outbound`); None in tests without I/O.
    outbound: Any = None
    #: Anything else an operation type needs, by name.
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OperationCall:
    """One execution of an I/O action."""

    workflow_id: str
    run_name: str
    action_name: str
    #: Evaluated inputs.
    inputs: JSON
    #: The action as it stands in the definition (type, kind, operationOptions, runtimeConfiguration, …).
    definition: Mapping[str, Any]
    #: The value of the `$connections` parameter, {} if there is none.
    connections: Mapping[str, Any]
    services: Services
    workflow_name: str = ""
    workflow_version: str = ""
    #: The workflow resource's `identity` object as put, None without identity.
    identity: Mapping[str, Any] | None = None
    #: Repetition of the action inside loops (`000000-000002`), empty outside.
    repetition: str = ""
    tracking_id: str = ""
    client_tracking_id: str = ""


class OperationType(Protocol):
    """An action type that does I/O."""

    @property
    def name(self) -> str:
        """The `type` in definitions, in Azure's spelling; found case-insensitively."""
        ...

    def validate(self, definition: Mapping[str, Any]) -> list[Problem]:
        """Return what is wrong with an action's own fields.

        Those are `inputs`, `kind`, `operationOptions` and `runtimeConfiguration` (but for `secureData`).

        Paths of problems are relative to the action (`inputs.method`). Fields every action has (runAfter,
        limit, secureData, trackedProperties, description, metadata) and all expressions in `inputs` are
        checked by the loader.
        """
        ...

    async def execute(self, call: OperationCall) -> OperationResult:
        """Do it."""
        ...


class TriggerType(Protocol):
    """A trigger type, as far as loading a definition goes."""

    @property
    def name(self) -> str:
        """The `type` in definitions, in Azure's spelling; found case-insensitively."""
        ...

    def validate(self, definition: Mapping[str, Any]) -> list[Problem]:
        """Return what is wrong with a trigger's own fields; paths are relative to the trigger.

        The loader itself checks: that all fields are known ones (type, kind, inputs, recurrence, conditions,
        splitOn, splitOnConfiguration, correlation, runtimeConfiguration, operationOptions, description,
        metadata, evaluatedRecurrence), conditions' shape, concurrency limits, secureData, and expressions.
        """
        ...


class Operations:
    """The action and trigger types a definition may use beside the built-in ones."""

    def __init__(self, actions: Iterable[OperationType] = (), triggers: Iterable[TriggerType] = ()) -> None:
        self._actions = {each.name.lower(): each for each in actions}
        self._triggers = {each.name.lower(): each for each in triggers}

    def action(self, name: str) -> OperationType | None:
        """Return the I/O action type called so (case does not matter), None if there is none."""
        return self._actions.get(name.lower())

    def trigger(self, name: str) -> TriggerType | None:
        """Return the trigger type called so (case does not matter), None if there is none."""
        return self._triggers.get(name.lower())

    def __iter__(self) -> Iterator[OperationType]:
        return iter(self._actions.values())


#: What became of a Response action's answer.
Delivery = Literal["sent", "already_answered", "no_caller"]


class Responder(Protocol):
    """Who holds the callers that wait for a run's Response action."""

    def respond(self, run_name: str, response: Mapping[str, Any]) -> Delivery:
        """Hand over `{"statusCode", "headers", "body"}`; say whether anybody took it.

        Called once the inputs are evaluated and before the action's end is recorded. `already_answered`
        makes the action Failed, `no_caller` makes it Skipped (`ActionResponseSkipped`).
        """
        ...
