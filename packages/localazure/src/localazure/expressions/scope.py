"""What an expression can see of the run it belongs to."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from localazure.expressions.timestamps import Timestamp

JSON = Any


class Scope(Protocol):
    """The world behind the workflow functions, given by whoever evaluates a template.

    Names arrive as the expression writes them; they mean the same in any case, so a scope looks them up that
    way. A method that has nothing by that name raises `ExpressionError` of kind `not-found`, or
    `LookupError`, which becomes one. Values handed out are shared and never changed by an expression.
    """

    def parameter(self, name: str) -> JSON:
        """Return the value of a workflow parameter."""
        ...

    def variable(self, name: str) -> JSON:
        """Return the present value of a variable."""
        ...

    def action(self, name: str | None) -> Mapping[str, JSON]:
        """Return an action's record: name, inputs, outputs, status, code, startTime and the rest.

        None means the current action, where there is one: Until conditions, `unsubscribe` of a webhook and
        tracked properties.
        """
        ...

    def trigger(self) -> Mapping[str, JSON]:
        """Return the trigger's record, in the shape of an action's."""
        ...

    def workflow(self) -> Mapping[str, JSON]:
        """Return name, type, id, location, tags and run of the workflow."""
        ...

    def item(self) -> JSON:
        """Return the current item of the innermost loop or of the array action being evaluated."""
        ...

    def items(self, loop_name: str) -> JSON:
        """Return the current item of a Foreach by its name."""
        ...

    def iteration_index(self, loop_name: str) -> int:
        """Return how often an Until has gone round before, from 0."""
        ...

    def result(self, scope_name: str) -> list[JSON]:
        """Return the records of the actions directly inside a Scope, Foreach or Until."""
        ...

    def now(self) -> datetime | Timestamp:
        """Return the time: an aware datetime, or a Timestamp where a datetime is too coarse."""
        ...

    def callback_url(self) -> str:
        """Return the URL that a webhook action hands out to be called back."""
        ...
