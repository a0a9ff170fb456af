"""What the expressions of a trigger can see: parameters, the workflow, the trigger itself."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

from localazure.errors import ExpressionError
from localazure.workflows.records import WorkflowRecord

JSON = Any


class TriggerScope:
    """The scope of a trigger's inputs, conditions, splitOn and tracking id.

    Args:
        workflow: the workflow.
        parameters: the values of its parameters.
        now: the present moment.
        trigger: the trigger's record: in inputs that of its last look, in the rest that of the present one.
    """

    def __init__(
        self,
        workflow: WorkflowRecord,
        parameters: Mapping[str, JSON],
        now: datetime,
        trigger: Mapping[str, JSON],
    ) -> None:
        self._workflow = workflow
        self._parameters = {name.lower(): value for name, value in parameters.items()}
        self._now = now
        self._trigger = trigger

    def parameter(self, name: str) -> JSON:
        """Return a parameter's value."""
        return self._parameters[name.lower()]

    def trigger(self) -> Mapping[str, JSON]:
        """Return the trigger's record."""
        return self._trigger

    def workflow(self) -> Mapping[str, JSON]:
        """Return the workflow; there is no run yet."""
        return {
            "id": self._workflow.id,
            "name": self._workflow.name,
            "type": "Microsoft.Logic/workflows",
            "location": self._workflow.location,
            "tags": dict(self._workflow.tags),
        }

    def now(self) -> datetime:
        """Return the present moment."""
        return self._now

    def variable(self, name: str) -> JSON:
        """Refuse: a trigger has no variables."""
        _none_here(f"variables('{name}')")

    def action(self, name: str | None) -> Mapping[str, JSON]:
        """Refuse: no action has run."""
        _none_here(f"actions('{name or 'here'}')")

    def item(self) -> JSON:
        """Refuse: a trigger is in no loop."""
        _none_here("item()")

    def items(self, loop_name: str) -> JSON:
        """Refuse: a trigger is in no loop."""
        _none_here(f"items('{loop_name}')")

    def iteration_index(self, loop_name: str) -> int:
        """Refuse: a trigger is in no loop."""
        _none_here(f"iterationIndexes('{loop_name}')")

    def result(self, scope_name: str) -> list[JSON]:
        """Refuse: no scope has run."""
        _none_here(f"result('{scope_name}')")

    def callback_url(self) -> str:
        """Refuse: no webhook trigger is supported."""
        _none_here("listCallbackUrl()")


def _none_here(what: str) -> NoReturn:
    raise ExpressionError("not-found", f"{what} has no meaning in a trigger")
