"""The built-in action types: how each is read from a definition.

One function per type, from a `Reader` on the action to the type's own fields. Fields that every action has
are read by `definition`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localazure.expressions import Template
from localazure.workflows import limits
from localazure.workflows.actions import (
    Action,
    Actions,
    Case,
    ChangeVariable,
    Column,
    Compose,
    Foreach,
    If,
    InitializeVariable,
    Join,
    ParseJson,
    Query,
    Response,
    Scope,
    Select,
    Switch,
    Table,
    Terminate,
    Until,
    VariableDeclaration,
    Wait,
)
from localazure.workflows.conditions import read_condition
from localazure.workflows.reader import Reader, at, duration, is_expression
from localazure.workflows.schemas import schema_fault

VARIABLE_TYPES = ("Array", "Boolean", "Float", "Integer", "Object", "String")
WAIT_UNITS = ("Second", "Minute", "Hour", "Day", "Week", "Month")
RUN_STATUSES = ("Failed", "Cancelled", "Succeeded")

#: Reads the actions of a group inside an action: its owner's reader and the member they stand in.
ReadGroup = Callable[[Reader, str], Actions]
Fields = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """What the loader has to know of a built-in type."""

    #: Azure's spelling.
    name: str
    action: type[Action]
    read: Callable[[Reader, ReadGroup], Fields]
    #: Members of the action beside those every action has.
    members: tuple[str, ...] = ("inputs",)
    options: tuple[str, ...] = ()
    #: What of it `secureData` may hide (Logic Apps documentation, "Secure access and data").
    securable: tuple[str, ...] = ()
    #: `kind` values; empty = the type has none.
    kinds: tuple[str, ...] = ()
    #: Whether `runtimeConfiguration.concurrency` means something.
    concurrency: bool = False


def _compose(reader: Reader, _: ReadGroup) -> Fields:
    reader.require("inputs")
    return {"inputs": reader.template("inputs")}


def _parse_json(reader: Reader, _: ReadGroup) -> Fields:
    inputs = reader.within("inputs")
    inputs.only(("content", "schema"))
    inputs.require("content")
    schema = inputs.value.get("schema")
    if isinstance(schema, dict):
        if fault := schema_fault(schema):
            inputs.note("schema", "invalid", "schema", f"this is no JSON schema: {fault}")
    elif schema is not None and not isinstance(schema, bool):
        inputs.note("schema", "invalid", "schema", "'schema' has to be an object")
    return {"content": inputs.template("content"), "schema": schema}


def _initialize_variable(reader: Reader, _: ReadGroup) -> Fields:
    inputs = reader.within("inputs")
    inputs.only(("variables",))
    declared = []
    if not inputs.items("variables"):
        inputs.note("variables", "missing", "variables", "at least one variable is wanted")
    for index, each in enumerate(inputs.items("variables")):
        variable = Reader(each, at(at(inputs.path, "variables"), index), inputs.problems)
        variable.only(("name", "type", "value", "description"))
        variable.require("name", "type")
        value = variable.template("value") if "value" in variable.value else None
        kind = variable.word("type", VARIABLE_TYPES, "String").lower()
        declared.append(VariableDeclaration(variable.text("name"), kind, value))
    return {"variables": tuple(declared)}


def _change_variable(reader: Reader, _: ReadGroup) -> Fields:
    inputs = reader.within("inputs")
    inputs.only(("name", "value"))
    inputs.require("name")
    counts = str(reader.value.get("type", "")).lower() in ("incrementvariable", "decrementvariable")
    if not counts:
        inputs.require("value")
    given = "value" in inputs.value
    return {"variable": inputs.text("name"), "value": inputs.template("value") if given else None}


def _select(reader: Reader, _: ReadGroup) -> Fields:
    inputs = reader.within("inputs")
    inputs.only(("from", "select"))
    inputs.require("from", "select")
    return {"items": inputs.template("from"), "select": inputs.template("select")}


def _query(reader: Reader, _: ReadGroup) -> Fields:
    inputs = reader.within("inputs")
    inputs.only(("from", "where"))
    inputs.require("from", "where")
    return {"items": inputs.template("from"), "where": inputs.template("where")}


def _join(reader: Reader, _: ReadGroup) -> Fields:
    inputs = reader.within("inputs")
    inputs.only(("from", "joinWith"))
    inputs.require("from", "joinWith")
    return {"items": inputs.template("from"), "join_with": inputs.template("joinWith")}


def _table(reader: Reader, _: ReadGroup) -> Fields:
    inputs = reader.within("inputs")
    inputs.only(("from", "format", "columns"))
    inputs.require("from", "format")
    columns = []
    for index, each in enumerate(inputs.items("columns")):
        column = Reader(each, at(at(inputs.path, "columns"), index), inputs.problems)
        column.only(("header", "value"))
        column.require("value")
        columns.append(Column(column.template("header", ""), column.template("value")))
    return {
        "format": inputs.word("format", ("CSV", "HTML"), "CSV"),
        "items": inputs.template("from"),
        "columns": tuple(columns),
    }


def _scope(reader: Reader, group: ReadGroup) -> Fields:
    return {"actions": group(reader, "actions")}


def _if(reader: Reader, group: ReadGroup) -> Fields:
    reader.require("expression")
    otherwise = reader.within("else")
    otherwise.only(("actions",))
    condition = reader.value.get("expression", False)
    return {
        "condition": read_condition(condition, at(reader.path, "expression"), reader.problems),
        "actions": group(reader, "actions"),
        "otherwise": group(otherwise, "actions"),
    }


def _switch(reader: Reader, group: ReadGroup) -> Fields:
    reader.require("expression")
    written = reader.within("cases")
    if len(written.value) > limits.SWITCH_CASES_MAX:
        message = f"{len(written.value)} cases are more than the {limits.SWITCH_CASES_MAX} allowed"
        reader.note("cases", "limit", "cases", message)
    cases = tuple(_case(written, name, group) for name in written.value)
    values = [(type(case.value), case.value) for case in cases]
    for case in cases:
        if values.count((type(case.value), case.value)) > 1:
            written.note(
                case.name, "invalid", str(case.value), f"another case has the value {case.value!r} too"
            )
    default = reader.within("default")
    default.only(("actions",))
    return {
        "expression": reader.template("expression"),
        "cases": cases,
        "default": group(default, "actions"),
    }


def _case(cases: Reader, name: str, group: ReadGroup) -> Case:
    case = cases.within(name)
    case.only(("case", "actions"))
    value = case.value.get("case")
    if isinstance(value, bool) or not isinstance(value, str | int) or is_expression(value):
        case.note("case", "invalid", name, "'case' has to be a string or a whole number, written out")
        value = name
    return Case(name, value, group(case, "actions"))


def _foreach(reader: Reader, group: ReadGroup) -> Fields:
    reader.require("foreach")
    concurrency = reader.within("runtimeConfiguration").within("concurrency")
    concurrency.only(("repetitions",))
    parallel = concurrency.whole(
        "repetitions",
        limits.FOREACH_PARALLEL_MIN,
        limits.FOREACH_PARALLEL_MAX,
        limits.FOREACH_PARALLEL_DEFAULT,
    )
    if reader.has_option("Sequential"):
        if concurrency.has("repetitions"):
            message = "'Sequential' and 'repetitions' exclude each other"
            concurrency.note("repetitions", "invalid", "repetitions", message)
        parallel = 1
    return {"items": reader.template("foreach"), "actions": group(reader, "actions"), "parallel": parallel}


def _until(reader: Reader, group: ReadGroup) -> Fields:
    reader.require("expression")
    limit = reader.within("limit")
    limit.only(("count", "timeout"))
    if not limit.has("count") and not limit.has("timeout"):
        reader.note("limit", "missing", "limit", "an Until needs 'limit' with 'count' or 'timeout'")
    if limit.has("count") and not is_expression(limit.value["count"]):
        limit.whole("count", limits.UNTIL_COUNT_MIN, limits.UNTIL_COUNT_MAX, limits.UNTIL_COUNT_DEFAULT)
    condition = reader.value.get("expression", False)
    return {
        "condition": read_condition(condition, at(reader.path, "expression"), reader.problems),
        "actions": group(reader, "actions"),
        "count": limit.template("count") if limit.has("count") else None,
        "loop_timeout": read_timeout(limit),
        "fail_when_limits_reached": reader.has_option("FailWhenLimitsReached"),
    }


def _wait(reader: Reader, _: ReadGroup) -> Fields:
    inputs = reader.within("inputs")
    inputs.only(("interval", "until"))
    if inputs.has("interval") == inputs.has("until"):
        inputs.note(None, "invalid", "inputs", "a Wait has either 'interval' or 'until'")
    if not inputs.has("interval"):
        until = inputs.within("until")
        until.only(("timestamp",))
        if inputs.has("until"):
            until.require("timestamp")
        return {"until": until.template("timestamp")}
    interval = inputs.within("interval")
    interval.only(("count", "unit"))
    if interval.require("count", "unit"):
        if not is_expression(interval.value["count"]):
            interval.whole("count", 0, 2**31 - 1, 0)
        if not is_expression(interval.value["unit"]):
            interval.word("unit", WAIT_UNITS, "Second")
    return {"interval": inputs.template("interval")}


def _terminate(reader: Reader, _: ReadGroup) -> Fields:
    inputs = reader.within("inputs")
    inputs.only(("runStatus", "runError"))
    error = inputs.within("runError")
    error.only(("code", "message"))
    if inputs.require("runStatus") and not is_expression(inputs.value["runStatus"]):
        status = inputs.word("runStatus", RUN_STATUSES, "Failed")
        if error.value and status != "Failed":
            message = f"'runError' goes with the run status Failed alone, not with {status}"
            inputs.note("runError", "invalid", "runError", message)
    return {"inputs": reader.template("inputs")}


def _response(reader: Reader, _: ReadGroup) -> Fields:
    inputs = reader.within("inputs")
    inputs.only(("statusCode", "headers", "body", "schema"))
    status = inputs.value.get("statusCode", 200)
    if not is_expression(status) and not is_response_status(status):
        message = "'statusCode' has to be 2xx, 4xx or 5xx"
        inputs.note("statusCode", "invalid", str(status), message)
    wanted = {name: value for name, value in inputs.value.items() if name != "schema"}
    template = Reader({"inputs": wanted}, reader.path, reader.problems).template("inputs")
    return {"inputs": template}


def is_response_status(status: Any) -> bool:
    """Whether a Response may have this status code (a number, or a string of digits)."""
    text = str(status)
    return not isinstance(status, bool) and len(text) == 3 and text.isdigit() and text[0] in "245"


def read_timeout(limit: Reader) -> Template | None:
    """Return `timeout` of an action's `limit`, None if there is none; a literal has to be a duration."""
    if not limit.has("timeout"):
        return None
    text = limit.text("timeout", "PT1H")
    if not is_expression(text):
        try:
            duration(text)
        except ValueError as error:
            limit.note("timeout", "invalid", text, str(error))
    return limit.template("timeout")


_BOTH = ("inputs", "outputs")
_GROUP = ("actions",)

KINDS: Mapping[str, Kind] = {
    kind.name.lower(): kind
    for kind in (
        Kind("Compose", Compose, _compose, securable=("inputs",)),
        Kind("ParseJson", ParseJson, _parse_json, securable=("inputs",)),
        Kind("InitializeVariable", InitializeVariable, _initialize_variable),
        Kind("SetVariable", ChangeVariable, _change_variable),
        Kind("IncrementVariable", ChangeVariable, _change_variable),
        Kind("DecrementVariable", ChangeVariable, _change_variable),
        Kind("AppendToStringVariable", ChangeVariable, _change_variable),
        Kind("AppendToArrayVariable", ChangeVariable, _change_variable),
        Kind("Select", Select, _select, securable=_BOTH),
        Kind("Query", Query, _query, securable=_BOTH),
        Kind("Join", Join, _join, securable=_BOTH),
        Kind("Table", Table, _table, securable=_BOTH),
        Kind("Scope", Scope, _scope, members=_GROUP),
        Kind("If", If, _if, members=(*_GROUP, "expression", "else")),
        Kind("Switch", Switch, _switch, members=("expression", "cases", "default")),
        Kind(
            "Foreach",
            Foreach,
            _foreach,
            members=(*_GROUP, "foreach"),
            options=("Sequential",),
            concurrency=True,
        ),
        Kind("Until", Until, _until, members=(*_GROUP, "expression"), options=("FailWhenLimitsReached",)),
        Kind("Wait", Wait, _wait, securable=("inputs",)),
        Kind("Terminate", Terminate, _terminate),
        Kind("Response", Response, _response, securable=("inputs",), kinds=("Http",)),
    )
}
