"""What actions and groups come to: statuses, codes, and the rule that makes one status of many.

The leaf rule (Logic Apps documentation, "Handle errors and exceptions"): the actions that no other runs
after decide; a skipped one hands its say to those it ran after. Failed outweighs TimedOut, and that all else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localazure.errors import ExpressionError
from localazure.workflows.actions import Actions

JSON = Any

#: The code of what has none of its own: groups, variables.
NOT_SPECIFIED = "NotSpecified"
GROUP_FAILED = "An action failed. No dependent actions succeeded."


@dataclass(frozen=True)
class Outcome:
    """How an action ended."""

    status: str
    code: str
    #: {"code", "message"} where there is something to tell.
    error: Mapping[str, Any] | None = None
    #: Evaluated inputs; only looked at if `has_inputs`.
    inputs: JSON | None = None
    has_inputs: bool = False
    outputs: JSON | None = None
    has_outputs: bool = False
    retry_history: tuple[Mapping[str, Any], ...] = ()
    #: Variables that get a new value with it, by name: (type, value).
    variables: Mapping[str, tuple[str, JSON]] = field(default_factory=dict)


class ActionError(Exception):
    """An action cannot go on: it ends Failed with this outcome's code and error.

    Raised inside the engine only.
    """

    def __init__(
        self, code: str, message: str, *, inputs: JSON | None = None, has_inputs: bool = False
    ) -> None:
        super().__init__(message)
        self.outcome = Outcome(
            "Failed", "BadRequest", {"code": code, "message": message}, inputs=inputs, has_inputs=has_inputs
        )


def invalid_template(action_name: str, error: ExpressionError) -> Outcome:
    """Return the outcome of an action whose expressions cannot be evaluated."""
    message = f"Unable to process template language expressions in action '{action_name}': '{error.message}'."
    if error.expression is not None:
        message += f" Expression: {error.expression}"
    return Outcome("Failed", "BadRequest", {"code": "InvalidTemplate", "message": message})


def group_outcome(status: str) -> Outcome:
    """Return the outcome of a Scope, If, Switch, Foreach or Until whose contents came to `status`."""
    match status:
        case "Failed":
            return Outcome(status, "ActionFailed", {"code": "ActionFailed", "message": GROUP_FAILED})
        case "TimedOut":
            message = "An action timed out. No dependent actions succeeded."
            return Outcome(status, "ActionTimedOut", {"code": "ActionTimedOut", "message": message})
        case _:
            return Outcome(status, NOT_SPECIFIED)


def folded(statuses: Iterable[str]) -> str:
    """Return the one status that several come to: Failed, TimedOut or Succeeded."""
    present = set(statuses)
    if present & {"Failed", "Aborted"}:
        return "Failed"
    return "TimedOut" if "TimedOut" in present else "Succeeded"


def leaf_status(actions: Actions, statuses: Mapping[str, str]) -> str:
    """Return what a group came to, from the statuses of its actions by name."""
    followed = {name for action in actions.values() for name in action.run_after}
    pending = [name for name in actions if name not in followed]
    seen: set[str] = set()
    deciding = []
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if statuses[name] == "Skipped":
            pending.extend(actions[name].run_after)
        else:
            deciding.append(statuses[name])
    return folded(deciding)


def run_after_miss(
    action_name: str, run_after: Mapping[str, frozenset[str]], statuses: Mapping[str, str]
) -> Mapping[str, str] | None:
    """Return the error of an action that is to be skipped for its runAfter, None if it is to run."""
    for name, wanted in run_after.items():
        if statuses[name] not in wanted:
            message = (
                f"The execution of template action '{action_name}' is skipped: the 'runAfter' condition for"
                f" action '{name}' is not satisfied. Expected status values '{', '.join(sorted(wanted))}' and"
                f" actual value '{statuses[name]}'."
            )
            return {"code": "ActionConditionFailed", "message": message}
    return None
