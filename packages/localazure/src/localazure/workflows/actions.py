"""The actions of a loaded definition, one frozen class per type.

Made by `definition.load_definition` alone; whoever holds one may rely on what the loader checked: siblings
in `run_after` exist and make no circle, references name things that are there, templates parse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localazure.expressions import Template
from localazure.workflows.conditions import Condition

#: Actions of one container by name, in the order of the definition.
Actions = Mapping[str, "Action"]


@dataclass(frozen=True, kw_only=True)
class Action:
    """What every action has."""

    name: str
    #: The type in Azure's spelling.
    type: str
    #: JSON path in the definition.
    path: str
    #: The action as written.
    source: Mapping[str, Any]
    #: Sibling → the statuses (Azure's spelling) it may end with; empty = start at once.
    run_after: Mapping[str, frozenset[str]]
    #: `limit.timeout`, an ISO 8601 duration as text or an expression for one; None = no limit.
    timeout: Template | None = None
    tracked_properties: Template | None = None
    hide_inputs: bool = False
    hide_outputs: bool = False
    #: Names of the Foreach and Until actions around it, outermost first.
    loops: tuple[str, ...] = ()

    @property
    def containers(self) -> tuple[Actions, ...]:
        """The groups of actions inside it, none for most."""
        return ()


@dataclass(frozen=True, kw_only=True)
class Compose(Action):
    """Makes a value."""

    inputs: Template


@dataclass(frozen=True, kw_only=True)
class ParseJson(Action):
    """Reads JSON and checks it against a schema."""

    content: Template
    #: None = no schema, anything passes.
    schema: Any = None


@dataclass(frozen=True)
class VariableDeclaration:
    """One variable of an InitializeVariable."""

    name: str
    #: array, boolean, float, integer, object or string.
    type: str
    #: None = no value given: null.
    value: Template | None


@dataclass(frozen=True, kw_only=True)
class InitializeVariable(Action):
    """Declares variables."""

    variables: tuple[VariableDeclaration, ...]


@dataclass(frozen=True, kw_only=True)
class ChangeVariable(Action):
    """SetVariable, IncrementVariable, DecrementVariable, AppendToStringVariable, AppendToArrayVariable."""

    variable: str
    #: None = not given: 1 for increment and decrement.
    value: Template | None


@dataclass(frozen=True, kw_only=True)
class Select(Action):
    """Maps each item of an array."""

    items: Template
    select: Template


@dataclass(frozen=True, kw_only=True)
class Query(Action):
    """Filters an array."""

    items: Template
    where: Template


@dataclass(frozen=True, kw_only=True)
class Join(Action):
    """Makes one string of an array."""

    items: Template
    join_with: Template


@dataclass(frozen=True)
class Column:
    """One column of a Table."""

    header: Template
    value: Template


@dataclass(frozen=True, kw_only=True)
class Table(Action):
    """Makes a CSV or HTML table of an array."""

    #: CSV or HTML.
    format: str
    items: Template
    #: Empty = one column per property of the first item.
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scope(Action):
    """A group of actions."""

    actions: Actions

    @property
    def containers(self) -> tuple[Actions, ...]:
        """The group inside it."""
        return (self.actions,)


@dataclass(frozen=True, kw_only=True)
class If(Action):
    """One of two groups, by a condition."""

    condition: Condition
    actions: Actions
    otherwise: Actions = field(default_factory=dict)

    @property
    def containers(self) -> tuple[Actions, ...]:
        """Both branches."""
        return (self.actions, self.otherwise)


@dataclass(frozen=True)
class Case:
    """One case of a Switch."""

    name: str
    value: str | int
    actions: Actions


@dataclass(frozen=True, kw_only=True)
class Switch(Action):
    """One of several groups, by a value."""

    expression: Template
    cases: tuple[Case, ...]
    default: Actions = field(default_factory=dict)

    @property
    def containers(self) -> tuple[Actions, ...]:
        """The cases' groups, then the default's."""
        return (*(case.actions for case in self.cases), self.default)


@dataclass(frozen=True, kw_only=True)
class Foreach(Action):
    """A group of actions once per item of an array."""

    items: Template
    actions: Actions
    #: How many iterations run at once; 1 = in order.
    parallel: int

    @property
    def containers(self) -> tuple[Actions, ...]:
        """The group inside it."""
        return (self.actions,)


@dataclass(frozen=True, kw_only=True)
class Until(Action):
    """A group of actions again and again until a condition holds, looked at after each turn."""

    condition: Condition
    actions: Actions
    #: `limit.count`; None = the default.
    count: Template | None
    #: `limit.timeout` of the loop as a whole; None = the default. (`timeout` of Action is not used.)
    loop_timeout: Template | None
    fail_when_limits_reached: bool = False

    @property
    def containers(self) -> tuple[Actions, ...]:
        """The group inside it."""
        return (self.actions,)


@dataclass(frozen=True, kw_only=True)
class Wait(Action):
    """Waits for a time, or until one. Exactly one of the two is given."""

    #: {"count", "unit"}
    interval: Template | None = None
    #: A timestamp.
    until: Template | None = None


@dataclass(frozen=True, kw_only=True)
class Terminate(Action):
    """Ends the run."""

    #: {"runStatus", "runError"}
    inputs: Template


@dataclass(frozen=True, kw_only=True)
class Response(Action):
    """Answers who started the run."""

    #: {"statusCode", "headers", "body"}
    inputs: Template


@dataclass(frozen=True, kw_only=True)
class Operation(Action):
    """Any action type of the `Operations` registry."""

    inputs: Template


def walk(actions: Actions) -> list[Action]:
    """Return all actions of a group and of the groups inside them, containers before their contents."""
    found: list[Action] = []
    for action in actions.values():
        found.append(action)
        for inner in action.containers:
            found.extend(walk(inner))
    return found
