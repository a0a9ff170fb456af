"""The triggers of a loaded definition: the fields all types share; the rest is the trigger type's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localazure.errors import Problem
from localazure.expressions import Template
from localazure.workflows import limits
from localazure.workflows.operations import Operations
from localazure.workflows.reader import Reader, at, compiled
from localazure.workflows.secure_data import read_secure_data

_MEMBERS = (
    "type",
    "kind",
    "inputs",
    "recurrence",
    "evaluatedRecurrence",
    "conditions",
    "splitOn",
    "splitOnConfiguration",
    "correlation",
    "runtimeConfiguration",
    "operationOptions",
    "description",
    "metadata",
)


@dataclass(frozen=True)
class TriggerConcurrency:
    """How many runs a trigger may have at once (`runtimeConfiguration.concurrency`)."""

    #: 1 to 100.
    runs: int
    #: Runs that may wait for their turn beside them, 1 to 100.
    maximum_waiting_runs: int


@dataclass(frozen=True)
class Trigger:
    """One trigger."""

    name: str
    #: The type in Azure's spelling.
    type: str
    #: JSON path in the definition.
    path: str
    #: The trigger as written.
    source: Mapping[str, Any]
    inputs: Template
    #: All have to be true for the trigger to fire.
    conditions: tuple[Template, ...] = ()
    #: Gives the array whose items start a run each; None = one run.
    split_on: Template | None = None
    client_tracking_id: Template | None = None
    #: None = no limit.
    concurrency: TriggerConcurrency | None = None
    hide_inputs: bool = False
    hide_outputs: bool = False

    def templates(self) -> list[tuple[str, Template]]:
        """Return the templates in it with their JSON paths."""
        found = [(at(self.path, "inputs"), self.inputs)]
        found += [(at(at(self.path, "conditions"), n), each) for n, each in enumerate(self.conditions)]
        found += [(at(self.path, "splitOn"), self.split_on)] if self.split_on else []
        found += [(at(self.path, "correlation"), self.client_tracking_id)] if self.client_tracking_id else []
        return found


def read_triggers(reader: Reader, operations: Operations) -> dict[str, Trigger]:
    """Return a definition's triggers by name; what is wrong with them is noted."""
    if len(reader.value) > limits.TRIGGERS_MAX:
        message = f"{len(reader.value)} triggers are more than the {limits.TRIGGERS_MAX} allowed"
        reader.note(None, "limit", "triggers", message)
    return {name: _read_trigger(name, reader.within(name), operations) for name in reader.value}


def _read_trigger(name: str, reader: Reader, operations: Operations) -> Trigger:
    reader.only(_MEMBERS)
    if len(name) > limits.NAME_CHARS_MAX:
        message = f"the name has {len(name)} characters, more than the {limits.NAME_CHARS_MAX} allowed"
        reader.note(None, "limit", name, message)
    hidden = read_secure_data(reader, ("inputs", "outputs"))
    return Trigger(
        name=name,
        type=_read_type(reader, operations),
        path=reader.path,
        source=reader.value,
        inputs=reader.template("inputs"),
        conditions=_read_conditions(reader),
        split_on=reader.template("splitOn") if reader.has("splitOn") else None,
        client_tracking_id=_read_correlation(reader.within("correlation")),
        concurrency=_read_concurrency(reader),
        hide_inputs="inputs" in hidden,
        hide_outputs="outputs" in hidden,
    )


def _read_type(reader: Reader, operations: Operations) -> str:
    if not reader.require("type"):
        return ""
    written = reader.text("type")
    known = operations.trigger(written)
    if known is None:
        reader.note("type", "unsupported-trigger", written, f"trigger type '{written}' is not supported")
        return written
    for problem in known.validate(reader.value):
        path = f"{reader.path}.{problem.path}" if problem.path else reader.path
        reader.problems.append(Problem(path, problem.kind, problem.name, problem.message))
    return known.name


def _read_conditions(reader: Reader) -> tuple[Template, ...]:
    conditions = []
    path = at(reader.path, "conditions")
    for index, each in enumerate(reader.items("conditions")):
        condition = Reader(each, at(path, index), reader.problems)
        condition.only(("expression",))
        condition.require("expression")
        conditions.append(condition.template("expression"))
    return tuple(conditions)


def _read_correlation(reader: Reader) -> Template | None:
    reader.only(("clientTrackingId",))
    if not reader.has("clientTrackingId"):
        return None
    return compiled(reader.value["clientTrackingId"], at(reader.path, "clientTrackingId"), reader.problems)


def _read_concurrency(reader: Reader) -> TriggerConcurrency | None:
    runtime = reader.within("runtimeConfiguration")
    runtime.only(("concurrency", "secureData", "staticResult"))
    concurrency = runtime.within("concurrency")
    concurrency.only(("runs", "maximumWaitingRuns"))
    single = reader.has_option("SingleInstance")
    if not concurrency.value:
        return TriggerConcurrency(1, _default_waiting(1)) if single else None
    if single:
        message = "'SingleInstance' and 'concurrency' exclude each other"
        runtime.note("concurrency", "invalid", "concurrency", message)
    runs = concurrency.whole(
        "runs", limits.TRIGGER_RUNS_MIN, limits.TRIGGER_RUNS_MAX, limits.TRIGGER_RUNS_DEFAULT
    )
    waiting = concurrency.whole(
        "maximumWaitingRuns",
        limits.TRIGGER_WAITING_RUNS_MIN,
        limits.TRIGGER_WAITING_RUNS_MAX,
        _default_waiting(runs),
    )
    return TriggerConcurrency(runs, waiting)


def _default_waiting(runs: int) -> int:
    return min(limits.TRIGGER_WAITING_RUNS_EXTRA + runs, limits.TRIGGER_WAITING_RUNS_MAX)
