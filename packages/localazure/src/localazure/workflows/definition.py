"""A workflow definition, loaded: everything in it known, checked and parsed, or refused by name.

`load_definition` is the one way in. It collects every problem before it raises, so that a person sees all of
them at once. It refuses what localazure does not know (types, properties, options, functions, references)
rather than ignore it, and what Azure refuses (limits, Terminate inside a loop, a variable declared in a
scope, …). Parameter values are another matter: `parameters.resolve_parameters`.
"""

from __future__ import annotations

from typing import Any

from localazure.errors import DefinitionError, Problem
from localazure.workflows import limits
from localazure.workflows.actions import Action, Actions, Operation, walk
from localazure.workflows.kinds import KINDS, Kind, read_timeout
from localazure.workflows.loaded_definition import Definition, Output
from localazure.workflows.operations import Operations
from localazure.workflows.parameters import read_parameters
from localazure.workflows.reader import Reader
from localazure.workflows.references import check_references
from localazure.workflows.secure_data import hidden_actions, read_secure_data, refuse_static_result
from localazure.workflows.trigger_definition import read_triggers

#: Statuses runAfter may name (schema 2016-06-01), in Azure's spelling.
RUN_AFTER_STATUSES = (
    "Aborted",
    "Cancelled",
    "Failed",
    "Faulted",
    "Ignored",
    "Paused",
    "Running",
    "Skipped",
    "Succeeded",
    "Suspended",
    "TimedOut",
    "Waiting",
)
_ROOT_MEMBERS = (
    "$schema",
    "contentVersion",
    "parameters",
    "triggers",
    "actions",
    "outputs",
    "description",
    "metadata",
    "staticResults",
)
_COMMON_MEMBERS = (
    "type",
    "kind",
    "runAfter",
    "runtimeConfiguration",
    "operationOptions",
    "limit",
    "trackedProperties",
    "description",
    "metadata",
)


def load_definition(definition: Any, operations: Operations) -> Definition:
    """Return a workflow definition (JSON, as in `properties.definition`) checked and parsed.

    Args:
        definition: The JSON value.
        operations: The I/O action types and trigger types that may be used beside the built-in ones.

    Raises:
        DefinitionError: With every problem found.
    """
    problems: list[Problem] = []
    root = Reader(definition, "$", problems)
    root.only(_ROOT_MEMBERS)
    loader = _Loader(operations, problems)
    parameters = read_parameters(root.within("parameters"))
    triggers = read_triggers(root.within("triggers"), operations)
    actions = loader.group(root, "actions")
    outputs = _read_outputs(root.within("outputs"))
    by_name = _by_name(actions, problems)
    hidden_trigger = any(trigger.hide_outputs for trigger in triggers.values())
    hidden = hidden_actions(by_name.values(), parameters.values(), hidden_trigger=hidden_trigger)
    loaded = Definition(parameters, triggers, actions, outputs, by_name, hidden)
    check_references(loaded, problems)
    if problems:
        raise DefinitionError(_in_order(problems))
    return loaded


def _by_name(actions: Actions, problems: list[Problem]) -> dict[str, Action]:
    found: dict[str, Action] = {}
    every = walk(actions)
    for action in every:
        if action.name.lower() in found:
            first = found[action.name.lower()].path
            message = (
                f"action '{action.name}' is there twice: names are unique in the whole definition ({first})"
            )
            problems.append(Problem(action.path, "invalid", action.name, message))
        found.setdefault(action.name.lower(), action)
    if len(every) > limits.ACTIONS_MAX:
        message = f"{len(every)} actions are more than the {limits.ACTIONS_MAX} allowed"
        problems.append(Problem("$.actions", "limit", "actions", message))
    return found


def _read_outputs(reader: Reader) -> dict[str, Output]:
    if len(reader.value) > limits.OUTPUTS_MAX:
        message = f"{len(reader.value)} outputs are more than the {limits.OUTPUTS_MAX} allowed"
        reader.note(None, "limit", "outputs", message)
    outputs = {}
    for name in reader.value:
        output = reader.within(name)
        output.only(("type", "value", "description", "metadata"))
        output.require("type", "value")
        outputs[name] = Output(output.text("type", "String"), output.template("value"))
    return outputs


def _in_order(problems: list[Problem]) -> list[Problem]:
    """Drop what was noted twice."""
    return list(dict.fromkeys(problems))


class _Loader:
    """Reads groups of actions, groups within groups."""

    def __init__(self, operations: Operations, problems: list[Problem]) -> None:
        self._operations = operations
        self._problems = problems
        self._loops: tuple[str, ...] = ()
        self._depth = 0

    def group(self, owner: Reader, member: str) -> Actions:
        """Return the actions in `member` of `owner`; absent = none."""
        reader = owner.within(member)
        self._depth += 1
        if self._depth > limits.ACTION_NESTING_MAX + 1 and reader.value:
            message = f"actions are nested deeper than the {limits.ACTION_NESTING_MAX} levels allowed"
            reader.note(None, "limit", member, message)
        siblings = list(reader.value)
        actions = {name: self._action(name, reader.within(name), siblings) for name in siblings}
        _note_circles(actions, reader)
        self._depth -= 1
        return actions

    def _action(self, name: str, reader: Reader, siblings: list[str]) -> Action:
        if len(name) > limits.NAME_CHARS_MAX:
            message = f"the name has {len(name)} characters, more than the {limits.NAME_CHARS_MAX} allowed"
            reader.note(None, "limit", name, message)
        if not reader.require("type"):
            return self._stand_in(name, reader, siblings, "Compose")
        written = reader.text("type")
        kind = KINDS.get(written.lower())
        if kind is not None:
            return self._built_in(name, reader, siblings, kind)
        operation = self._operations.action(written)
        if operation is None:
            message = f"action type '{written}' is not supported"
            reader.note("type", "unsupported-action", written, message)
            return self._stand_in(name, reader, siblings, written)
        reader.only((*_COMMON_MEMBERS, "inputs"))
        for problem in operation.validate(reader.value):
            path = f"{reader.path}.{problem.path}" if problem.path else reader.path
            self._problems.append(Problem(path, problem.kind, problem.name, problem.message))
        return self._stand_in(name, reader, siblings, operation.name)

    def _stand_in(self, name: str, reader: Reader, siblings: list[str], kind: str) -> Action:
        common = self._common(name, reader, siblings, kind, ("inputs", "outputs"))
        reader.within("limit").only(("timeout",))
        return Operation(
            **common, inputs=reader.template("inputs"), timeout=read_timeout(reader.within("limit"))
        )

    def _built_in(self, name: str, reader: Reader, siblings: list[str], kind: Kind) -> Action:
        reader.only((*_COMMON_MEMBERS, *kind.members))
        reader.options(kind.options)
        if reader.has("kind"):
            if kind.kinds:
                reader.word("kind", kind.kinds, kind.kinds[0])
            else:
                message = f"{kind.name} has no 'kind'"
                reader.note("kind", "unknown-option", str(reader.value["kind"]), message)
        known = ("secureData", "staticResult", *(("concurrency",) if kind.concurrency else ()))
        reader.within("runtimeConfiguration").only(known)
        common = self._common(name, reader, siblings, kind.name, kind.securable)
        is_loop = kind.name in ("Foreach", "Until")
        if kind.name != "Until":
            reader.within("limit").only(("timeout",))
            common["timeout"] = read_timeout(reader.within("limit"))
        outside = self._loops
        self._loops = (*outside, name) if is_loop else outside
        fields = kind.read(reader, self.group)
        self._loops = outside
        return kind.action(**common, **fields)

    def _common(
        self, name: str, reader: Reader, siblings: list[str], kind: str, securable: tuple[str, ...]
    ) -> dict[str, Any]:
        if len(reader.text("description")) > limits.DESCRIPTION_CHARS_MAX:
            message = f"the description is longer than the {limits.DESCRIPTION_CHARS_MAX} characters allowed"
            reader.note("description", "limit", "description", message)
        hidden = read_secure_data(reader, securable)
        refuse_static_result(reader)
        return {
            "name": name,
            "type": kind,
            "path": reader.path,
            "source": reader.value,
            "run_after": _read_run_after(reader, siblings, name),
            "tracked_properties": (
                reader.template("trackedProperties") if reader.has("trackedProperties") else None
            ),
            "hide_inputs": "inputs" in hidden,
            "hide_outputs": "outputs" in hidden,
            "loops": self._loops,
        }


def _read_run_after(reader: Reader, siblings: list[str], name: str) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    after = reader.within("runAfter")
    spellings = {sibling.lower(): sibling for sibling in siblings}
    for written in after.value:
        sibling = spellings.get(written.lower())
        if sibling is None or sibling == name:
            message = f"'{written}' is no other action of the same group"
            after.note(written, "unknown-reference", written, message)
            continue
        statuses = [
            after.one_of(written, str(status), RUN_AFTER_STATUSES, "Succeeded")
            for status in after.items(written)
        ]
        # An empty list is what the designer writes for "Succeeded" in old definitions.
        found[sibling] = frozenset(statuses or ("Succeeded",))
    return found


def _note_circles(actions: Actions, reader: Reader) -> None:
    """Note the actions that wait for one another."""
    waiting = {name: set(action.run_after) for name, action in actions.items()}
    while free := [name for name, others in waiting.items() if not others & waiting.keys()]:
        for name in free:
            del waiting[name]
    for name in waiting:
        circle = ", ".join(f"'{other}'" for other in sorted(waiting))
        reader.note(
            name, "invalid", name, f"'{name}' waits for itself: its runAfter goes in a circle ({circle})"
        )
