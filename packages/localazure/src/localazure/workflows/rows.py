"""How records lie in the database: the columns that are asked for, and the whole record as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from localazure.workflows.records import TriggerFiring

SCHEMA = """
CREATE TABLE IF NOT EXISTS workflows (
    id TEXT PRIMARY KEY, record TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS workflow_versions (
    workflow_id TEXT NOT NULL, version TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (workflow_id, version)
);
CREATE TABLE IF NOT EXISTS runs (
    name TEXT PRIMARY KEY, workflow_id TEXT NOT NULL, status TEXT NOT NULL, record TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_of_workflow ON runs (workflow_id, name);
CREATE INDEX IF NOT EXISTS runs_by_status ON runs (status);
CREATE TABLE IF NOT EXISTS actions (
    run_name TEXT NOT NULL, name TEXT NOT NULL, repetition TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (run_name, name, repetition)
);
CREATE TABLE IF NOT EXISTS iterations (
    run_name TEXT NOT NULL, name TEXT NOT NULL, repetition TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (run_name, name, repetition)
);
CREATE TABLE IF NOT EXISTS variables (
    run_name TEXT NOT NULL, name TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (run_name, name)
);
CREATE TABLE IF NOT EXISTS trigger_histories (
    workflow_id TEXT NOT NULL, trigger_name TEXT NOT NULL, name TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (workflow_id, trigger_name, name)
);
CREATE TABLE IF NOT EXISTS timers (
    owner TEXT NOT NULL, name TEXT NOT NULL, due_at TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (owner, name)
);
"""

T = TypeVar("T")


def encode(record: Any) -> str:
    """Return a record (a dataclass of `records`) as JSON text; fields with their default are left out."""
    return json.dumps(_plain(record), ensure_ascii=False, separators=(",", ":"), default=_stand_in)


def decode(kind: type[T], text: str) -> T:
    """Return the record that `encode` wrote."""
    return _record(kind, json.loads(text))


def _plain(record: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.default is not dataclasses.MISSING and value is field.default:
            continue
        plain[field.name] = value
    return plain


def _stand_in(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case TriggerFiring():
            return _plain(value)
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case _:
            raise TypeError(f"{type(value).__name__} is no JSON value")


def _record(kind: type[T], plain: dict[str, Any]) -> T:
    readers = _readers(kind)  # type: ignore[arg-type]  # a class is hashable; mypy asks for its instances
    return kind(**{name: readers[name](value) for name, value in plain.items() if name in readers})


@cache
def _readers(kind: type[Any]) -> dict[str, Callable[[Any], Any]]:
    return {field.name: _reader(str(field.type)) for field in dataclasses.fields(kind)}


def _reader(annotation: str) -> Callable[[Any], Any]:
    if annotation.startswith("datetime"):
        return lambda value: None if value is None else datetime.fromisoformat(value)
    if annotation.startswith("tuple"):
        return tuple
    if annotation == "TriggerFiring":
        return lambda value: _record(TriggerFiring, value)
    return lambda value: value
