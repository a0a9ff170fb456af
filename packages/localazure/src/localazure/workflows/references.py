"""Checks over a whole definition: what actions refer to, and what may stand where.

An action may refer to actions that are sure to be over when it runs: those on its runAfter path, what is
inside of them, and the actions around it, with what those in turn may refer to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from localazure.errors import Problem
from localazure.expressions import Reference, Template
from localazure.workflows import limits
from localazure.workflows.actions import (
    Action,
    Actions,
    ChangeVariable,
    Foreach,
    InitializeVariable,
    Query,
    Response,
    Scope,
    Select,
    Table,
    Terminate,
    Until,
    walk,
)
from localazure.workflows.loaded_definition import Definition
from localazure.workflows.reader import at
from localazure.workflows.secure_data import expressions_in


def check_references(definition: Definition, problems: list[Problem]) -> None:
    """Note every reference to what is not there or not over yet, and every action where it must not be."""
    _Checker(definition, problems).check()


@dataclass(frozen=True)
class _Place:
    """What an action may refer to where it stands; names in lower case."""

    actions: frozenset[str] = frozenset()
    foreach: frozenset[str] = frozenset()
    until: frozenset[str] = frozenset()
    top_level: bool = True


class _Checker:
    def __init__(self, definition: Definition, problems: list[Problem]) -> None:
        self._definition = definition
        self._problems = problems
        self._variables = self._declared_variables()

    def check(self) -> None:
        everywhere = _Place()
        for trigger in self._definition.triggers.values():
            for path, template in expressions_in(trigger.source, trigger.path):
                self._check_template(path, template, everywhere)
        self._check_group(self._definition.actions, everywhere)
        over = replace(everywhere, actions=frozenset(self._definition.by_name))
        for name, output in self._definition.outputs.items():
            self._check_template(at("$.outputs", name), output.value, over)

    def _declared_variables(self) -> frozenset[str]:
        found: list[str] = []
        for action in self._definition.by_name.values():
            if isinstance(action, InitializeVariable):
                for variable in action.variables:
                    if variable.name.lower() in found:
                        self._note(
                            action.path,
                            "invalid",
                            variable.name,
                            f"variable '{variable.name}' is declared twice",
                        )
                    found.append(variable.name.lower())
        if len(found) > limits.VARIABLES_MAX:
            message = f"{len(found)} variables are more than the {limits.VARIABLES_MAX} allowed"
            self._note("$.actions", "limit", "variables", message)
        return frozenset(found)

    def _check_group(self, group: Actions, place: _Place) -> None:
        before = _names_before(group)
        for name, action in group.items():
            here = replace(place, actions=place.actions | before[name])
            self._check_action(action, here)
            inside = replace(here, actions=here.actions | {name.lower()}, top_level=False)
            match action:
                case Foreach():
                    inside = replace(inside, foreach=here.foreach | {name.lower()})
                case Until():
                    inside = replace(inside, until=here.until | {name.lower()})
            for inner in action.containers:
                self._check_group(inner, inside)

    def _check_action(self, action: Action, place: _Place) -> None:
        self._check_position(action, place)
        if isinstance(action, ChangeVariable):
            self._check_variable(action.variable, at(at(action.path, "inputs"), "name"))
        if isinstance(action, Until):
            # The condition is looked at after a turn, when what is inside is over.
            inner = frozenset(it.name.lower() for it in walk(action.actions))
            place = replace(place, actions=place.actions | inner, until=place.until | {action.name.lower()})
        has_item = bool(action.loops) or isinstance(action, Select | Query | Table)
        own = replace(place, actions=place.actions | {action.name.lower()})
        for path, template in expressions_in(action.source, action.path):
            tracked = path.startswith(at(action.path, "trackedProperties"))
            self._check_template(path, template, own if tracked else place)
            if "item" in template.functions and not has_item:
                self._note(path, "unknown-reference", "item", "item() has no loop or array action around it")
            if isinstance(action, ChangeVariable):
                self._refuse_self_reference(action, path, template)

    def _check_position(self, action: Action, place: _Place) -> None:
        match action:
            case Terminate() | Response() if action.loops:
                message = f"{action.type} is not allowed inside Foreach and Until"
                self._note(action.path, "invalid", action.type, message)
            case InitializeVariable() if not place.top_level:
                message = "variables are declared at the top level only, not inside other actions"
                self._note(action.path, "invalid", action.type, message)

    def _refuse_self_reference(self, action: ChangeVariable, path: str, template: Template) -> None:
        for reference in template.references:
            if reference.kind == "variable" and reference.name.lower() == action.variable.lower():
                message = (
                    f"self reference is not supported when updating the value of variable '{action.variable}'"
                )
                self._note(path, "invalid", action.variable, message)

    def _check_template(self, path: str, template: Template, place: _Place) -> None:
        for reference in template.references:
            self._check_reference(path, reference, place)

    def _check_reference(self, path: str, reference: Reference, place: _Place) -> None:
        name = reference.name.lower()
        match reference.kind:
            case "action" | "scope":
                self._check_action_reference(path, reference, place)
            case "parameter":
                if name not in {each.lower() for each in self._definition.parameters}:
                    message = f"the definition declares no parameter '{reference.name}'"
                    self._note(path, "unknown-reference", reference.name, message)
            case "variable":
                self._check_variable(reference.name, path)
            case "loop":
                is_until = reference.function == "iterationIndexes"
                if name not in (place.until if is_until else place.foreach):
                    kind = "Until" if is_until else "Foreach"
                    message = f"'{reference.name}' is no {kind} around this action"
                    self._note(path, "unknown-reference", reference.name, message)

    def _check_action_reference(self, path: str, reference: Reference, place: _Place) -> None:
        action = self._definition.action(reference.name)
        if action is None:
            message = f"the definition has no action '{reference.name}'"
        elif action.name.lower() not in place.actions:
            message = (
                f"action '{reference.name}' cannot be referred to from here: it must be on the runAfter path,"
                " inside an action on it, or around this action"
            )
        elif reference.kind == "scope" and not isinstance(action, Scope | Foreach | Until):
            message = (
                f"result() wants a Scope, Foreach or Until, and '{reference.name}' is of type {action.type}"
            )
        else:
            return
        self._note(path, "unknown-reference", reference.name, message)

    def _check_variable(self, name: str, path: str) -> None:
        if name.lower() not in self._variables:
            message = f"no InitializeVariable declares variable '{name}'"
            self._note(path, "unknown-reference", name, message)

    def _note(self, path: str, kind: str, name: str, message: str) -> None:
        self._problems.append(Problem(path, kind, name, message))


def _names_before(group: Actions) -> Mapping[str, frozenset[str]]:
    """Return for each action all on its runAfter path with what is inside them, in lower case."""
    inside = {
        name: frozenset(
            {name.lower(), *(it.name.lower() for inner in action.containers for it in walk(inner))}
        )
        for name, action in group.items()
    }
    return {name: frozenset().union(*(inside[each] for each in _path(group, name))) for name in group}


def _path(group: Actions, name: str) -> Iterator[str]:
    pending, seen = list(group[name].run_after), {name}
    while pending:
        each = pending.pop()
        if each not in seen:
            seen.add(each)
            yield each
            pending.extend(group[each].run_after)
