"""Reads one JSON object of a definition, field by field, and notes every problem instead of stopping.

Each method returns a usable stand-in when the field is not fit, so that reading goes on and all problems of
a definition are told at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, cast

import isodate

from localazure.errors import ExpressionError, Problem
from localazure.expressions import Template, parse_template

_PLAIN_NAME = re.compile(r"^[A-Za-z_$][\w$-]*$")


def at(path: str, name: str | int) -> str:
    """Return the JSON path of a member of what `path` names."""
    if isinstance(name, int):
        return f"{path}[{name}]"
    return f"{path}.{name}" if _PLAIN_NAME.match(name) else f"{path}['{name}']"


def is_expression(value: Any) -> bool:
    """Whether a JSON value is a string that holds an expression."""
    return isinstance(value, str) and (
        (value.startswith("@") and not value.startswith("@@")) or "@{" in value
    )


def duration(text: str) -> timedelta:
    """Return an ISO 8601 duration (`PT30S`) as a time span; months and years count 30 and 365 days.

    Raises:
        ValueError: It is none.
    """
    try:
        # The library takes a T with nothing after it for no time at all.
        found = None if text.endswith("T") else isodate.parse_duration(text)
    except (isodate.ISO8601Error, AttributeError, TypeError):
        found = None
    if found is None:
        raise ValueError(f"'{text}' is not an ISO 8601 duration such as PT30S")
    if isinstance(found, isodate.Duration):
        return cast("timedelta", found.tdelta) + timedelta(
            days=30 * int(found.months) + 365 * int(found.years)
        )
    return cast("timedelta", found)


class Reader:
    """One JSON object, where it stands, and where problems are noted.

    Args:
        value: The object; anything else is a problem, and read as an empty one.
        path: Its JSON path.
        problems: The list all readers of a definition share.
    """

    def __init__(self, value: Any, path: str, problems: list[Problem]) -> None:
        self.path = path
        self.problems = problems
        self.value: Mapping[str, Any] = value if isinstance(value, dict) else {}
        if not isinstance(value, dict):
            self.note(None, "invalid", path, f"an object is wanted here, not {_shown(value)}")

    def note(self, name: str | int | None, kind: str, thing: str, message: str) -> None:
        """Note a problem with the member `name`, or with the object itself (None)."""
        path = self.path if name is None else at(self.path, name)
        self.problems.append(Problem(path, kind, thing, message))

    def within(self, name: str) -> Reader:
        """Return a reader for an object inside this one; one that is absent reads as empty."""
        value = self.value.get(name)
        return Reader({} if value is None else value, at(self.path, name), self.problems)

    def only(self, known: Iterable[str]) -> None:
        """Note every member that is not one of `known`."""
        allowed = set(known)
        for name in self.value:
            if name not in allowed:
                close = {each.lower(): each for each in allowed}.get(name.lower())
                hint = f"; write '{close}'" if close else ""
                self.note(name, "unknown-property", name, f"property '{name}' is not supported here{hint}")

    def has(self, name: str) -> bool:
        """Whether there is such a member, and not null."""
        return self.value.get(name) is not None

    def require(self, *names: str) -> bool:
        """Note every one of `names` that is absent; return whether all are there."""
        missing = [name for name in names if name not in self.value]
        for name in missing:
            self.note(None, "missing", name, f"property '{name}' is missing")
        return not missing

    def text(self, name: str, default: str = "") -> str:
        """Return a string member."""
        value = self.value.get(name, default)
        if isinstance(value, str):
            return value
        self.note(name, "invalid", name, f"'{name}' has to be a string, not {_shown(value)}")
        return default

    def word(self, name: str, words: Iterable[str], default: str) -> str:
        """Return a member that is one of `words` (case does not matter), in their spelling."""
        return self.one_of(name, self.text(name, default), words, default)

    def one_of(self, name: str, value: str, words: Iterable[str], default: str) -> str:
        """Return `value` in the spelling of `words`; note it against the member `name` if it is none."""
        spellings = {word.lower(): word for word in words}
        if value.lower() in spellings:
            return spellings[value.lower()]
        choice = ", ".join(spellings.values())
        self.note(name, "invalid", value, f"'{value}' is not one of {choice}")
        return default

    def whole(self, name: str, low: int, high: int, default: int) -> int:
        """Return a whole-number member between `low` and `high`, both included."""
        value = self.value.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            self.note(name, "invalid", name, f"'{name}' has to be a whole number, not {_shown(value)}")
            return default
        if not low <= value <= high:
            self.note(name, "limit", name, f"'{name}' has to be from {low} to {high}, not {value}")
            return default
        return value

    def items(self, name: str) -> list[Any]:
        """Return an array member; absent = empty."""
        value = self.value.get(name, [])
        if isinstance(value, list):
            return value
        self.note(name, "invalid", name, f"'{name}' has to be an array, not {_shown(value)}")
        return []

    def template(self, name: str, default: Any = None) -> Template:
        """Return a member, whatever it is, with the expressions in it parsed."""
        return compiled(self.value.get(name, default), at(self.path, name), self.problems)

    def has_option(self, name: str) -> bool:
        """Whether `operationOptions` holds `name` (case does not matter); notes nothing."""
        written = self.value.get("operationOptions")
        given = written.split(",") if isinstance(written, str) else []
        return name.lower() in (option.strip().lower() for option in given)

    def options(self, known: Iterable[str]) -> frozenset[str]:
        """Return `operationOptions` (comma-separated, case does not matter) in the spelling of `known`."""
        spellings = {option.lower(): option for option in known}
        found = set()
        for option in filter(None, (part.strip() for part in self.text("operationOptions").split(","))):
            if option.lower() in spellings:
                found.add(spellings[option.lower()])
            else:
                self.note("operationOptions", "unknown-option", option, f"option '{option}' is not supported")
        return frozenset(found)


def compiled(value: Any, path: str, problems: list[Problem]) -> Template:
    """Return a JSON value as a template; what does not parse is noted where it stands."""
    try:
        template = parse_template(value)
    except ExpressionError:
        _note_culprits(value, path, problems)
        return parse_template(None)
    if template.problems():
        _note_culprits(value, path, problems)
    return template


def _note_culprits(value: Any, path: str, problems: list[Problem]) -> None:
    match value:
        case dict():
            for key, item in value.items():
                _note_culprits(item, at(path, key), problems)
                if is_expression(key):
                    _note_culprits(key, at(path, key), problems)
        case list():
            for index, item in enumerate(value):
                _note_culprits(item, at(path, index), problems)
        case str():
            try:
                found = parse_template(value).problems()
            except ExpressionError as error:
                found = (error,)
            problems.extend(Problem(path, error.kind, _named(error, value), str(error)) for error in found)


def _named(error: ExpressionError, value: str) -> str:
    """Return what an error is about: the function it names in quotes, else the whole expression."""
    quoted = error.message.split("'")
    return quoted[1] if error.kind != "unparseable" and len(quoted) > 1 else value


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
