"""Scope, If and Switch: groups of actions that run once, or not at all."""

from __future__ import annotations

from localazure.workflows.actions import Actions, If, Scope, Switch
from localazure.workflows.groups import GroupRunner
from localazure.workflows.outcomes import Outcome, group_outcome
from localazure.workflows.records import ActionRecord
from localazure.workflows.run_scope import RunScope
from localazure.workflows.run_state import Frame, RunState


async def run_branch(run: GroupRunner, action: Scope | If | Switch, frame: Frame, scope: RunScope) -> Outcome:
    """Run the group that is due and return what the action comes to.

    Raises:
        ExpressionError: The condition or value cannot be evaluated.
    """
    record = run.state.record(action, frame)
    match action:
        case Scope():
            if record is None:
                run.state.begin(action, frame)
            return group_outcome(await run.group(action.actions, frame))
        case If():
            return await _run_if(run, action, frame, scope, record)
        case Switch():
            return await _run_switch(run, action, frame, scope, record)


async def _run_if(
    run: GroupRunner, action: If, frame: Frame, scope: RunScope, record: ActionRecord | None
) -> Outcome:
    if record is None:
        answer = action.condition.holds(scope)
        with run.state.history.transaction():
            inputs = {"expressionResult": answer}
            record = run.state.begin(action, frame, inputs=inputs, has_inputs=True, state={"answer": answer})
            _leave_out(run.state, action.otherwise if answer else action.actions, frame)
    taken = action.actions if record.state["answer"] else action.otherwise
    return group_outcome(await run.group(taken, frame))


async def _run_switch(
    run: GroupRunner, action: Switch, frame: Frame, scope: RunScope, record: ActionRecord | None
) -> Outcome:
    if record is None:
        value = action.expression.evaluate(scope)
        chosen = next((it.name for it in action.cases if _same(it.value, value)), None)
        with run.state.history.transaction():
            state = {"value": value, "case": chosen}
            record = run.state.begin(action, frame, state=state)
            for case in action.cases:
                if case.name != chosen:
                    _leave_out(run.state, case.actions, frame)
            if chosen is not None:
                _leave_out(run.state, action.default, frame)
    groups = {case.name: case.actions for case in action.cases}
    taken = groups.get(record.state["case"], action.default) if record.state["case"] else action.default
    outcome = group_outcome(await run.group(taken, frame))
    return Outcome(
        outcome.status,
        outcome.code,
        outcome.error,
        outputs={"expression": record.state["value"]},
        has_outputs=True,
    )


def _same(case: str | int, value: object) -> bool:
    """Whether a Switch's value is a case's: the same type and the same value."""
    return type(case) is type(value) and case == value


def _leave_out(state: RunState, group: Actions, frame: Frame) -> None:
    message = "The execution of the template action is skipped: the branching condition is not satisfied."
    error = {"code": "ActionBranchingConditionNotSatisfied", "message": message}
    state.skip_group(group, frame, "ActionBranchingConditionNotSatisfied", error)
