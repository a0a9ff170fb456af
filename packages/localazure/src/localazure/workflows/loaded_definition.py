"""A workflow definition once it is loaded: what `definition.load_definition` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from localazure.expressions import Template
from localazure.workflows.actions import Action, Actions
from localazure.workflows.parameters import ParameterDeclaration
from localazure.workflows.secure_data import Hidden
from localazure.workflows.trigger_definition import Trigger


@dataclass(frozen=True)
class Output:
    """One of a workflow's outputs."""

    type: str
    value: Template


@dataclass(frozen=True)
class Definition:
    """A loaded definition."""

    parameters: Mapping[str, ParameterDeclaration]
    triggers: Mapping[str, Trigger]
    actions: Actions
    outputs: Mapping[str, Output]
    #: Every action by its name in lower case.
    by_name: Mapping[str, Action]
    hidden: Hidden = field(default_factory=Hidden)

    def action(self, name: str) -> Action | None:
        """Return an action wherever it stands (case does not matter), None if there is none."""
        return self.by_name.get(name.lower())

    def trigger(self, name: str) -> Trigger | None:
        """Return a trigger (case does not matter), None if there is none."""
        return next((it for it in self.triggers.values() if it.name.lower() == name.lower()), None)
