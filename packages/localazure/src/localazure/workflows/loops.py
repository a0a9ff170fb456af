"""Foreach and Until: a group of actions, again and again.

Each turn has a record of its own. What a loop needs to go on (the items, the number of turns begun, the
deadline) is in its action's record from the start.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from localazure.expressions.values import kind_of
from localazure.workflows import limits, waits
from localazure.workflows.actions import Foreach, Until
from localazure.workflows.groups import GroupRunner
from localazure.workflows.outcomes import ActionError, Outcome, folded, group_outcome
from localazure.workflows.records import ActionRecord
from localazure.workflows.run_scope import RunScope
from localazure.workflows.run_state import Frame, Turn

JSON = Any


async def run_foreach(run: GroupRunner, action: Foreach, frame: Frame, scope: RunScope) -> Outcome:
    """Run the group once per item; every turn is run, whatever becomes of the others.

    Raises:
        ActionError: There is no array to go over.
        ExpressionError: The array cannot be evaluated.
    """
    record = run.state.record(action, frame)
    if record is None:
        array = _array(action, action.items.evaluate(scope))
        record = run.state.begin(action, frame, inputs=array, has_inputs=True, iteration_count=len(array))
    items: list[JSON] = record.inputs or []
    statuses: list[str] = []
    indexes = iter(range(len(items)))

    async def work() -> None:
        for index in indexes:
            turn = Turn(action.name, index, is_foreach=True, item=items[index])
            statuses.append(await _turn(run, action, frame.inside(turn)))

    # A Foreach inside another one goes item by item.
    parallel = 1 if any(turn.is_foreach for turn in frame.turns) else action.parallel
    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(parallel, len(items))):
            tasks.create_task(work())
    return group_outcome(folded(statuses))


async def run_until(run: GroupRunner, action: Until, frame: Frame, scope: RunScope) -> Outcome:
    """Run the group until the condition holds or a limit is reached; only the last turn's status counts.

    Raises:
        ActionError: A limit is not fit.
        ExpressionError: The condition or a limit cannot be evaluated.
    """
    record = run.state.record(action, frame) or _begin_until(run, action, frame, scope)
    while True:
        index = (record.iteration_count or 1) - 1
        inside = frame.inside(Turn(action.name, index, is_foreach=False))
        status = await _turn(run, action, inside)
        if action.condition.holds(RunScope(run.state, inside, action, own=record)):
            return group_outcome(status)
        deadline = datetime.fromisoformat(record.state["deadline"])
        if index + 1 >= record.state["count"] or run.state.now() >= deadline:
            return _limit_reached(action, status, index + 1)
        record = run.state.update(record, iteration_count=index + 2)


def _begin_until(run: GroupRunner, action: Until, frame: Frame, scope: RunScope) -> ActionRecord:
    count = limits.UNTIL_COUNT_DEFAULT if action.count is None else action.count.evaluate(scope)
    if isinstance(count, str) and count.isdigit():
        count = int(count)
    fit = isinstance(count, int) and not isinstance(count, bool)
    if not fit or not limits.UNTIL_COUNT_MIN <= count <= limits.UNTIL_COUNT_MAX:
        message = (
            f"The limit 'count' of '{action.name}' has to be a whole number from {limits.UNTIL_COUNT_MIN} to"
            f" {limits.UNTIL_COUNT_MAX}, not {count!r}."
        )
        raise ActionError("InvalidTemplate", message)
    span = limits.UNTIL_TIMEOUT_DEFAULT
    if action.loop_timeout is not None:
        span = waits.limit_of(action.loop_timeout.evaluate(scope))
    state = {"count": count, "deadline": (run.state.now() + span).isoformat()}
    return run.state.begin(action, frame, state=state, iteration_count=1)


def _limit_reached(action: Until, status: str, turns: int) -> Outcome:
    """A loop at its limit succeeds, unless its last turn failed or it is told to fail."""
    if status != "Succeeded" or not action.fail_when_limits_reached:
        return group_outcome(status)
    message = f"The loop '{action.name}' reached its limit after {turns} turns with its condition not met."
    return Outcome("Failed", "ActionFailed", {"code": "ActionFailed", "message": message})


async def _turn(run: GroupRunner, loop: Foreach | Until, frame: Frame) -> str:
    """Run one turn, or what is left of it, and return its status."""
    begun = run.state.iteration(loop, frame)
    if begun is not None and begun.end_time is not None:
        return begun.status
    if begun is None:
        run.state.begin_iteration(loop, frame)
    status = await run.group(loop.actions, frame)
    run.state.end_iteration(loop, frame, group_outcome(status))
    return status


def _array(action: Foreach, value: JSON) -> list[JSON]:
    if not isinstance(value, list):
        message = (
            f"The execution of template action '{action.name}' failed: the result of the evaluation of"
            f" 'foreach' expression is of type '{kind_of(value)}'. The result must be a valid array."
        )
        raise ActionError("ExpressionEvaluationFailed", message)
    if len(value) > limits.FOREACH_ITEMS_MAX:
        message = (
            f"The execution of template action '{action.name}' failed: {len(value)} items are more than the"
            f" {limits.FOREACH_ITEMS_MAX} allowed."
        )
        raise ActionError("ExpressionEvaluationFailed", message)
    return value
