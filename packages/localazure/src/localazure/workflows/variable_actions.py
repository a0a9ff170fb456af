"""The variable actions: InitializeVariable, SetVariable, Increment…, Decrement…, AppendTo….

The new value and the action's end are written together, so that a restart never counts twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localazure.expressions.values import kind_of, text_of
from localazure.workflows.actions import ChangeVariable, InitializeVariable, VariableDeclaration
from localazure.workflows.outcomes import NOT_SPECIFIED, ActionError, Outcome
from localazure.workflows.records import VariableRecord
from localazure.workflows.run_scope import RunScope

JSON = Any
_INVALID = "WorkflowRunActionInputsInvalidProperty"
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


def initialize_variables(action: InitializeVariable, scope: RunScope) -> Outcome:
    """Return what an InitializeVariable comes to.

    Raises:
        ActionError: A value does not fit its variable's type.
        ExpressionError: An expression in it cannot be evaluated.
    """
    values = {it.name: _initial_value(action, it, scope) for it in action.variables}
    inputs = [
        {
            "name": it.name,
            "type": it.type.capitalize(),
            **({} if it.value is None else {"value": values[it.name]}),
        }
        for it in action.variables
    ]
    changed = {it.name: (it.type, values[it.name]) for it in action.variables}
    return Outcome(
        "Succeeded", NOT_SPECIFIED, inputs={"variables": inputs}, has_inputs=True, variables=changed
    )


def change_variable(
    action: ChangeVariable, scope: RunScope, variables: Mapping[str, VariableRecord]
) -> Outcome:
    """Return what an action that changes a variable comes to; `variables` by name in lower case.

    Raises:
        ActionError: There is no such variable yet, or the value does not fit its type.
        ExpressionError: An expression in it cannot be evaluated.
    """
    variable = variables.get(action.variable.lower())
    if variable is None:
        message = (
            f"The variable '{action.variable}' must be initialized before it can be used in '{action.name}'."
        )
        raise ActionError(_INVALID, message)
    given = None if action.value is None else action.value.evaluate(scope)
    if action.value is None and action.type in ("IncrementVariable", "DecrementVariable"):
        given = 1
    inputs = {"name": variable.name, "value": given}
    value = _changed(action, variable, given, inputs)
    return Outcome(
        "Succeeded",
        NOT_SPECIFIED,
        inputs=inputs,
        has_inputs=True,
        outputs={"body": {"name": variable.name, "value": value}},
        has_outputs=True,
        variables={variable.name: (variable.type, value)},
    )


def _initial_value(action: InitializeVariable, declared: VariableDeclaration, scope: RunScope) -> JSON:
    if declared.value is None:
        return None
    value = declared.value.evaluate(scope)
    if value is not None and not _fits(declared.type, value):
        raise ActionError(_INVALID, _misfit(action.name, action.type, declared.name, declared.type, value))
    return float(value) if declared.type == "float" and value is not None else value


def _changed(action: ChangeVariable, variable: VariableRecord, given: JSON, inputs: JSON) -> JSON:
    match action.type:
        case "SetVariable":
            if given is not None and not _fits(variable.type, given):
                message = _misfit(action.name, action.type, variable.name, variable.type, given)
                raise ActionError(_INVALID, message, inputs=inputs, has_inputs=True)
            return float(given) if variable.type == "float" and given is not None else given
        case "IncrementVariable" | "DecrementVariable":
            return _counted(action, variable, given, inputs)
        case "AppendToStringVariable":
            _want(action, variable, ("string",), inputs)
            return text_of(variable.value) + text_of(given)
        case _:
            _want(action, variable, ("array",), inputs)
            if given is None or isinstance(given, list):
                message = (
                    f"'{action.name}' cannot append a value of type '{kind_of(given)}' to an array variable."
                )
                raise ActionError(_INVALID, message, inputs=inputs, has_inputs=True)
            return [*(variable.value or ()), given]


def _counted(action: ChangeVariable, variable: VariableRecord, given: JSON, inputs: JSON) -> JSON:
    _want(action, variable, ("integer", "float"), inputs)
    whole = variable.type == "integer"
    if (
        isinstance(given, bool)
        or not isinstance(given, int if whole else int | float)
        or variable.value is None
    ):
        message = _misfit(action.name, action.type, variable.name, variable.type, given)
        raise ActionError(_INVALID, message, inputs=inputs, has_inputs=True)
    value = variable.value + given if action.type == "IncrementVariable" else variable.value - given
    if whole and not _INT64_MIN <= value <= _INT64_MAX:
        message = f"The variable '{variable.name}' would leave the range of 64-bit integers."
        raise ActionError(_INVALID, message, inputs=inputs, has_inputs=True)
    return value


def _want(action: ChangeVariable, variable: VariableRecord, types: tuple[str, ...], inputs: JSON) -> None:
    if variable.type not in types:
        message = (
            f"The inputs of workflow run action '{action.name}' of type '{action.type}' are not valid. The"
            f" variable '{variable.name}' of type '{variable.type.capitalize()}' cannot be used with it."
        )
        raise ActionError(_INVALID, message, inputs=inputs, has_inputs=True)


def _fits(kind: str, value: JSON) -> bool:
    match kind:
        case "array":
            return isinstance(value, list)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "object":
            return isinstance(value, Mapping)
        case _:
            return isinstance(value, str)


def _misfit(action_name: str, action_type: str, name: str, kind: str, value: JSON) -> str:
    wanted = kind.capitalize()
    return (
        f"The inputs of workflow run action '{action_name}' of type '{action_type}' are not valid. The"
        f" variable '{name}' of type '{wanted}' cannot be initialized or updated with value of type"
        f" '{kind_of(value)}'. The variable '{name}' only supports values of types '{wanted}'."
    )
