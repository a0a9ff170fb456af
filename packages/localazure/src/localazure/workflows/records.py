"""What the history keeps: workflows, runs, actions, iterations, trigger histories, timers.

Values as they are on disk. What the history gives to its readers (`History.run`, `History.actions`, …) has
hidden inputs and outputs taken out and secure parameter values blotted out; only the engine sees the rest.
All times are aware, in UTC. Statuses are those of Azure: Running, Waiting, Succeeded, Failed, Skipped,
TimedOut, Cancelled, Aborted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

JSON = Any

#: Statuses after which nothing more happens.
FINAL = frozenset({"Succeeded", "Failed", "Skipped", "TimedOut", "Cancelled", "Aborted"})

WorkflowState = Literal["Enabled", "Disabled"]


@dataclass(frozen=True)
class WorkflowRecord:
    """A workflow as it was put, in its newest version."""

    #: ARM resource id, the key (case does not matter).
    id: str
    name: str
    definition: Mapping[str, Any]
    #: As put: name → {"value": …}; secure values included, so show `public_parameters` to others.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    state: WorkflowState = "Enabled"
    #: Set by `History.put_workflow`, a new one for every definition or parameters put.
    version: str = ""
    location: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    #: The resource's `identity` object as put, None without identity.
    identity: Mapping[str, Any] | None = None
    #: Other properties of the resource that are kept and given back (`accessControl`, `sku`, …).
    extras: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    changed_at: datetime | None = None

    @property
    def public_parameters(self) -> dict[str, Any]:
        """The parameter values that may be shown: without those of SecureString and SecureObject."""
        declared = self.definition.get("parameters") or {}
        secure = {
            name.lower()
            for name, it in declared.items()
            if str(it.get("type", "")).lower().startswith("secure")
        }
        return {name: value for name, value in self.parameters.items() if name.lower() not in secure}


@dataclass(frozen=True)
class TriggerFiring:
    """The firing of a trigger that a run came from; also what `trigger()` gives inside the run."""

    name: str
    outputs: JSON | None = None
    inputs: JSON | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    scheduled_time: datetime | None = None
    status: str = "Succeeded"
    code: str = "OK"
    error: Mapping[str, Any] | None = None
    tracking_id: str = ""
    #: The trigger history this run was recorded under; empty = the run's own name.
    history_name: str = ""
    hide_inputs: bool = False
    hide_outputs: bool = False


@dataclass(frozen=True)
class RunRecord:
    """One run."""

    name: str
    workflow_id: str
    workflow_version: str
    status: str
    trigger: TriggerFiring
    start_time: datetime
    end_time: datetime | None = None
    #: When a run that had to wait for its turn was let go.
    wait_end_time: datetime | None = None
    code: str | None = None
    error: Mapping[str, Any] | None = None
    client_tracking_id: str = ""
    #: The definition's outputs: name → {"type", "value"}; {} if there are none.
    outputs: Mapping[str, Any] = field(default_factory=dict)
    #: What the Response action answered, None if none did.
    response: Mapping[str, Any] | None = None
    #: Set once the run is to end before its last action: {"status", "code", "error"} (engine's own).
    termination: Mapping[str, Any] | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen in it."""
        return self.status in FINAL


@dataclass(frozen=True)
class ActionRecord:
    """One execution of an action: outside loops the action itself, inside a loop one repetition."""

    run_name: str
    name: str
    #: Iteration numbers of the loops around it, `000000-000002`; empty outside loops.
    repetition: str
    type: str
    status: str
    start_time: datetime
    code: str | None = None
    end_time: datetime | None = None
    inputs: JSON | None = None
    outputs: JSON | None = None
    error: Mapping[str, Any] | None = None
    tracking_id: str = ""
    client_tracking_id: str = ""
    tracked_properties: Mapping[str, Any] | None = None
    retry_history: tuple[Mapping[str, Any], ...] = ()
    #: The loops around it, outermost first: [{"scopeName", "itemIndex"}].
    repetition_indexes: tuple[Mapping[str, Any], ...] = ()
    #: Of a loop: iterations begun.
    iteration_count: int | None = None
    hide_inputs: bool = False
    hide_outputs: bool = False
    #: Whether there are inputs (outputs), even if `inputs` is None: it may be null or hidden.
    has_inputs: bool = False
    has_outputs: bool = False
    #: What the engine needs to go on after a restart (its own business).
    state: Mapping[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in FINAL


@dataclass(frozen=True)
class IterationRecord:
    """One turn of a Foreach or Until (ARM calls it a scope repetition)."""

    run_name: str
    #: The loop's name.
    name: str
    #: Like `ActionRecord.repetition`, this turn's own number last.
    repetition: str
    status: str
    start_time: datetime
    end_time: datetime | None = None
    code: str | None = None
    error: Mapping[str, Any] | None = None
    repetition_indexes: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class VariableRecord:
    """A variable of a run."""

    run_name: str
    #: In the spelling of its InitializeVariable; found case-insensitively.
    name: str
    #: array, boolean, float, integer, object or string.
    type: str
    value: JSON


@dataclass(frozen=True)
class TriggerHistoryRecord:
    """One look of a trigger: a poll, a request, a due time."""

    workflow_id: str
    trigger_name: str
    name: str
    #: `Succeeded`, `Skipped` or `Failed`.
    status: str
    start_time: datetime
    fired: bool = False
    run_name: str | None = None
    code: str | None = None
    end_time: datetime | None = None
    scheduled_time: datetime | None = None
    inputs: JSON | None = None
    outputs: JSON | None = None
    error: Mapping[str, Any] | None = None
    tracking_id: str = ""
    client_tracking_id: str = ""
    hide_inputs: bool = False
    hide_outputs: bool = False


@dataclass(frozen=True)
class TimerRecord:
    """A moment somebody has to act at, kept over restarts."""

    #: Whose: a workflow id or run name.
    owner: str
    #: What for, unique per owner: a trigger's or action's name.
    name: str
    due_at: datetime
    #: Anything to remember with it.
    payload: Mapping[str, Any] = field(default_factory=dict)
