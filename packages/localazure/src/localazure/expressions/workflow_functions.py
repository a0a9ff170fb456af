"""The functions that look at the run: its trigger, actions, parameters, variables and loops."""

from localazure.errors import ExpressionError
from localazure.expressions.scope import Scope
from localazure.expressions.signatures import NATURAL, STRING, Group
from localazure.expressions.values import JSON, lookup

WORKFLOW = Group("workflow")


def _get(value: JSON, name: str) -> JSON:
    """Return a property, or None where it is not there."""
    found = lookup(value, name) if isinstance(value, dict) else None
    return None if found is None else value[found]


@WORKFLOW.declare("parameters", takes={"parameterName": STRING}, needs_scope=True)
def _parameters(scope: Scope, name: str) -> JSON:
    return scope.parameter(name)


@WORKFLOW.declare("variables", takes={"variableName": STRING}, needs_scope=True)
def _variables(scope: Scope, name: str) -> JSON:
    return scope.variable(name)


@WORKFLOW.declare("actions", takes={"actionName": STRING}, needs_scope=True)
def _actions(scope: Scope, name: str) -> JSON:
    return scope.action(name)


@WORKFLOW.declare("action", needs_scope=True)
def _action(scope: Scope) -> JSON:
    return scope.action(None)


@WORKFLOW.declare("outputs", "actionOutputs", takes={"actionName": STRING}, needs_scope=True)
def _outputs(scope: Scope, name: str) -> JSON:
    return scope.action(name).get("outputs")


@WORKFLOW.declare("body", "actionBody", takes={"actionName": STRING}, needs_scope=True)
def _body(scope: Scope, name: str) -> JSON:
    return _get(scope.action(name).get("outputs"), "body")


@WORKFLOW.declare("trigger", "triggers", needs_scope=True)
def _trigger(scope: Scope) -> JSON:
    return scope.trigger()


@WORKFLOW.declare("triggerOutputs", needs_scope=True)
def _trigger_outputs(scope: Scope) -> JSON:
    return scope.trigger().get("outputs")


@WORKFLOW.declare("triggerBody", needs_scope=True)
def _trigger_body(scope: Scope) -> JSON:
    return _get(scope.trigger().get("outputs"), "body")


@WORKFLOW.declare("workflow", needs_scope=True)
def _workflow(scope: Scope) -> JSON:
    return scope.workflow()


@WORKFLOW.declare("item", needs_scope=True)
def _item(scope: Scope) -> JSON:
    return scope.item()


@WORKFLOW.declare("items", takes={"loopName": STRING}, needs_scope=True)
def _items(scope: Scope, name: str) -> JSON:
    return scope.items(name)


@WORKFLOW.declare("iterationIndexes", takes={"loopName": STRING}, needs_scope=True)
def _iteration_indexes(scope: Scope, name: str) -> int:
    return scope.iteration_index(name)


@WORKFLOW.declare("result", takes={"scopedActionName": STRING}, needs_scope=True)
def _result(scope: Scope, name: str) -> JSON:
    return scope.result(name)


@WORKFLOW.declare("listCallbackUrl", needs_scope=True)
def _list_callback_url(scope: Scope) -> str:
    return scope.callback_url()


def _form_values(body: JSON, key: str) -> list[JSON]:
    pairs = _get(body, "$formdata")
    if not isinstance(pairs, list):
        raise ExpressionError("invalid-template", f"the body holds no form data to look for '{key}' in")
    return [_get(pair, "value") for pair in pairs if _get(pair, "key") == key]


def _form_value(body: JSON, key: str) -> JSON:
    values = _form_values(body, key)
    if len(values) > 1:
        message = (
            f"the form data has {len(values)} values for '{key}'; the MultiValues function gives them all"
        )
        raise ExpressionError("invalid-template", message)
    return values[0] if values else None


def _part(body: JSON, index: int) -> JSON:
    parts = _get(body, "$multipart")
    if not isinstance(parts, list) or index >= len(parts):
        count = len(parts) if isinstance(parts, list) else 0
        raise ExpressionError("invalid-template", f"the body has {count} parts; there is none at {index}")
    return _get(parts[index], "body")


@WORKFLOW.declare("formDataValue", takes={"actionName": STRING, "key": STRING}, needs_scope=True)
def _form_data_value(scope: Scope, name: str, key: str) -> JSON:
    return _form_value(_body(scope, name), key)


@WORKFLOW.declare("formDataMultiValues", takes={"actionName": STRING, "key": STRING}, needs_scope=True)
def _form_data_multi_values(scope: Scope, name: str, key: str) -> list[JSON]:
    return _form_values(_body(scope, name), key)


@WORKFLOW.declare("multipartBody", takes={"actionName": STRING, "index": NATURAL}, needs_scope=True)
def _multipart_body(scope: Scope, name: str, index: int) -> JSON:
    return _part(_body(scope, name), index)


@WORKFLOW.declare("triggerFormDataValue", takes={"key": STRING}, needs_scope=True)
def _trigger_form_data_value(scope: Scope, key: str) -> JSON:
    return _form_value(_trigger_body(scope), key)


@WORKFLOW.declare("triggerFormDataMultiValues", takes={"key": STRING}, needs_scope=True)
def _trigger_form_data_multi_values(scope: Scope, key: str) -> list[JSON]:
    return _form_values(_trigger_body(scope), key)


@WORKFLOW.declare("triggerMultipartBody", takes={"index": NATURAL}, needs_scope=True)
def _trigger_multipart_body(scope: Scope, index: int) -> JSON:
    return _part(_trigger_body(scope), index)
