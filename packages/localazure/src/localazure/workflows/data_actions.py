"""The data operations: Compose, ParseJson, Select, Query, Join, Table.

Each takes an action and its scope and returns the outcome; nothing here waits or writes.
"""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Mapping
from typing import Any

from localazure.expressions.values import content_bytes, is_content, kind_of, text_of
from localazure.workflows.actions import Action, Compose, Join, ParseJson, Query, Select, Table
from localazure.workflows.outcomes import ActionError, Outcome
from localazure.workflows.run_scope import RunScope
from localazure.workflows.schemas import misfits

JSON = Any


def run_data_action(action: Action, scope: RunScope) -> Outcome:
    """Return what a data operation comes to.

    Raises:
        ActionError: Its inputs are not fit.
        ExpressionError: An expression in it cannot be evaluated.
    """
    match action:
        case Compose():
            value = action.inputs.evaluate(scope)
            return _done(value, value)
        case ParseJson():
            return _parse_json(action, scope)
        case Select():
            items = _items(action, action.items.evaluate(scope))
            mapped = [action.select.evaluate(scope.with_item(item)) for item in items]
            return _done({"from": items}, {"body": mapped})
        case Query():
            items = _items(action, action.items.evaluate(scope))
            kept = [item for item in items if _holds(action, action.where.evaluate(scope.with_item(item)))]
            return _done({"from": items}, {"body": kept})
        case Join():
            return _join(action, scope)
        case Table():
            return _table(action, scope)
        case _:
            raise TypeError(f"{action.type} is no data operation")


def _done(inputs: JSON, outputs: JSON) -> Outcome:
    return Outcome("Succeeded", "OK", inputs=inputs, has_inputs=True, outputs=outputs, has_outputs=True)


def _items(action: Action, value: JSON) -> list[JSON]:
    if isinstance(value, list):
        return value
    message = (
        f"The 'from' property value in the '{action.type.lower()}' action inputs of '{action.name}' is of"
        f" type '{kind_of(value)}'. The value must be an array."
    )
    raise ActionError("InvalidTemplate", message)


def _holds(action: Action, value: JSON) -> bool:
    if isinstance(value, bool):
        return value
    message = (
        f"The 'where' expression of '{action.name}' gave a value of type '{kind_of(value)}', not a boolean."
    )
    raise ActionError("InvalidTemplate", message)


def _parse_json(action: ParseJson, scope: RunScope) -> Outcome:
    content = action.content.evaluate(scope)
    inputs = {"content": content, **({} if action.schema is None else {"schema": action.schema})}
    parsed = content_bytes(content).decode("utf-8", errors="replace") if is_content(content) else content
    if parsed is None:
        message = f"The 'content' of ParseJson action '{action.name}' is null."
        raise ActionError("InvalidTemplate", message, inputs=inputs, has_inputs=True)
    if isinstance(parsed, str):
        try:
            parsed = json.loads(parsed)
        except (ValueError, RecursionError) as error:
            message = f"The 'content' of ParseJson action '{action.name}' is not valid JSON: {error}."
            raise ActionError("InvalidJSON", message, inputs=inputs, has_inputs=True) from error
    if action.schema is not None and (wrong := misfits(parsed, action.schema)):
        message = f"The schema validation failed. {wrong}"
        raise ActionError("ValidationFailed", message, inputs=inputs, has_inputs=True)
    return _done(inputs, {"body": parsed})


def _join(action: Join, scope: RunScope) -> Outcome:
    items = _items(action, action.items.evaluate(scope))
    separator = action.join_with.evaluate(scope)
    if not isinstance(separator, str):
        message = f"The 'joinWith' of '{action.name}' is of type '{kind_of(separator)}', not a string."
        raise ActionError("InvalidTemplate", message)
    inputs = {"from": items, "joinWith": separator}
    return _done(inputs, {"body": separator.join(text_of(item) for item in items)})


def _table(action: Table, scope: RunScope) -> Outcome:
    items = _items(action, action.items.evaluate(scope))
    if action.columns:
        header = [text_of(column.header.evaluate(scope)) for column in action.columns]
        rows = [
            [text_of(column.value.evaluate(scope.with_item(item))) for column in action.columns]
            for item in items
        ]
    else:
        header, rows = _automatic_columns(action, items)
    write = _csv if action.format == "CSV" else _html
    return _done({"from": items, "format": action.format}, {"body": write(header, rows)})


def _automatic_columns(action: Table, items: list[JSON]) -> tuple[list[str], list[list[str]]]:
    for item in items:
        if not isinstance(item, Mapping):
            message = (
                f"Without columns the items of '{action.name}' have to be objects, not '{kind_of(item)}'."
            )
            raise ActionError("InvalidTemplate", message)
    header = list(dict.fromkeys(name for item in items for name in item))
    return header, [[text_of(item.get(name)) for name in header] for item in items]


def _csv(header: list[str], rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([header, *rows])
    return out.getvalue().removesuffix("\r\n")


def _html(header: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
