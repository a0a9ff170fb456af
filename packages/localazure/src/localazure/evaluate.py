"""The body of `localazure evaluate`: expressions in, values out, one JSON line each."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

from localazure.errors import ExpressionError
from localazure.expressions import Timestamp, parse_template
from localazure.expressions.cultures import INVARIANT
from localazure.expressions.date_parsing import parse_timestamp
from localazure.expressions.values import lookup

JSON = Any

_INVALID_INPUT = "invalid-input"


@dataclass(frozen=True)
class ContextScope:
    """A scope made of plain JSON, for expressions outside of a run.

    Attributes:
        context: `parameters` and `variables` by name, `actions` by name with at least `outputs`, `trigger`
            with at least `outputs`, `workflow`, `item`, `items` by loop, `iterationIndexes` by loop,
            `results` by scope, `callbackUrl`, and `now` (ISO 8601; without it the clock's). All may be left
            out.
    """

    context: Mapping[str, JSON]

    def _named(self, kind: str, name: str) -> JSON:
        named = _record(kind, self.context.get(kind) or {})
        found = lookup(named, name)
        if found is not None:
            return named[found]
        known = ", ".join(named) or "none"
        message = f"'{name}' is not among the {kind} of the context; there are: {known}"
        raise ExpressionError("not-found", message)

    def _single(self, key: str) -> JSON:
        if key not in self.context:
            raise ExpressionError("not-found", f"the context has no '{key}'")
        return self.context[key]

    def parameter(self, name: str) -> JSON:
        """Return a parameter of the context."""
        return self._named("parameters", name)

    def variable(self, name: str) -> JSON:
        """Return a variable of the context."""
        return self._named("variables", name)

    def action(self, name: str | None) -> Mapping[str, JSON]:
        """Return an action's record with its name and status put in where the context leaves them out."""
        if name is None:
            return _record("action", self._single("action"))
        return {"name": name, "status": "Succeeded", **_record(name, self._named("actions", name))}

    def trigger(self) -> Mapping[str, JSON]:
        """Return the trigger's record."""
        return {"status": "Succeeded", **_record("trigger", self._single("trigger"))}

    def workflow(self) -> Mapping[str, JSON]:
        """Return the workflow's description."""
        return _record("workflow", self._single("workflow"))

    def item(self) -> JSON:
        """Return the current item."""
        return self._single("item")

    def items(self, loop_name: str) -> JSON:
        """Return the current item of a loop."""
        return self._named("items", loop_name)

    def iteration_index(self, loop_name: str) -> int:
        """Return the iteration of a loop, from 0."""
        index: int = self._named("iterationIndexes", loop_name)
        return index

    def result(self, scope_name: str) -> list[JSON]:
        """Return the records of a scope's actions."""
        records: list[JSON] = self._named("results", scope_name)
        return records

    def now(self) -> datetime | Timestamp:
        """Return the context's time, or the clock's if it has none."""
        now = self.context.get("now")
        return datetime.now(UTC) if now is None else parse_timestamp(str(now), INVARIANT)

    def callback_url(self) -> str:
        """Return the context's callback URL."""
        return str(self._single("callbackUrl"))


def _record(name: str, value: JSON) -> Mapping[str, JSON]:
    if isinstance(value, Mapping):
        return value
    raise ExpressionError("not-found", f"'{name}' is no object in the context")


def run_evaluate(lines: Iterable[str], output: TextIO) -> int:
    """Evaluate the expression on each line and write the outcome.

    Args:
        lines: JSON objects with `expression` (any template) and, optionally, `context`; empty lines are
            passed over.
        output: gets a line per line: `{"value": …}` or `{"error": kind, "message": …}`. The kinds are those
            of `ExpressionError`, and `invalid-input` for a line that is no such object.

    Returns:
        The exit code: 0, or 1 if a line was no such object. An expression without a value is an outcome like
        any other.
    """
    exit_code = 0
    for line in lines:
        if not line.strip():
            continue
        outcome = evaluate_line(line)
        if outcome.get("error") == _INVALID_INPUT:
            exit_code = 1
        output.write(json.dumps(outcome, allow_nan=False) + "\n")
        output.flush()
    return exit_code


def evaluate_line(line: str) -> dict[str, JSON]:
    """Return the outcome of one line: its value, or the error's kind and message."""
    try:
        case = json.loads(line)
    except (ValueError, RecursionError) as exc:
        return {"error": _INVALID_INPUT, "message": f"the line is not JSON: {exc}"}
    match case:
        case {"expression": expression, "context": dict(context)}:
            scope = ContextScope(context)
        case {"expression": expression} if case.get("context") is None:
            scope = ContextScope({})
        case _:
            message = 'the line is not an object of the form {"expression": …, "context": {…}}'
            return {"error": _INVALID_INPUT, "message": message}
    try:
        return {"value": _finite(parse_template(expression).evaluate(scope))}
    except ExpressionError as error:
        return {"error": error.kind, "message": str(error)}
    except RecursionError:
        return {"error": "invalid-template", "message": "the expression or the context is nested too deeply"}


def _finite(value: JSON) -> JSON:
    """Return a value with the floats that JSON does not have as strings, as .NET writes them."""
    match value:
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
        case dict():
            return {key: _finite(child) for key, child in value.items()}
        case list():
            return [_finite(child) for child in value]
        case _:
            return value
