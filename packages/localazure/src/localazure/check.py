"""`localazure check`: load workflow definitions and say by name what is not supported.

A file is a definition, a workflow resource around one, or an ARM template with Microsoft.Logic/workflows
in it, however deep. Values that ARM computes at deployment (`[parameters('x')]`) are not looked into.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from localazure.errors import DefinitionError, Problem
from localazure.workflows.catalog import all_operations
from localazure.workflows.definition import load_definition
from localazure.workflows.operations import Operations
from localazure.workflows.reader import at

JSON = Any
_WORKFLOW_TYPE = "microsoft.logic/workflows"


@dataclass(frozen=True)
class Checked:
    """What came of one workflow of one file."""

    file: str
    #: The workflow's name, empty where the file does not say.
    workflow: str
    problems: tuple[Problem, ...]
    #: How many values ARM would compute, and were not looked into.
    computed: int = 0


def run_check(
    files: Sequence[Path],
    *,
    as_json: bool = False,
    out: TextIO | None = None,
    operations: Operations | None = None,
) -> int:
    """Check files, print what is wrong, and return the exit code: 0 all can be run, 1 something cannot.

    Args:
        files: Definitions, workflow resources or ARM templates.
        as_json: Print one JSON object instead of lines.
        out: Where to print; None = stdout.
        operations: The I/O action and trigger types; None = all that localazure has.
    """
    out = out or sys.stdout
    known = operations or all_operations()
    checked = [each for file in files for each in check_file(file, known)]
    bad = [each for each in checked if each.problems]
    if as_json:
        json.dump({"ok": not bad, "workflows": [_plain(each) for each in checked]}, out, indent=2)
        out.write("\n")
    else:
        for each in checked:
            out.write("\n".join(_lines(each)) + "\n")
    return 1 if bad else 0


def check_file(file: Path, operations: Operations) -> list[Checked]:
    """Return what comes of every workflow in a file; a file without any is a problem."""
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        return [_unreadable(file, f"cannot be read: {error.strerror or error}")]
    except (ValueError, RecursionError) as error:
        return [_unreadable(file, f"is not JSON: {error}")]
    found = [_check(file, name, definition, operations) for name, definition in workflows_in(content)]
    return found or [_unreadable(file, "holds no workflow definition")]


def workflows_in(content: JSON) -> Iterator[tuple[str, JSON]]:
    """Yield name and definition of every workflow in a file's JSON."""
    if not isinstance(content, dict):
        return
    properties = content.get("properties")
    if isinstance(content.get("resources"), list | dict):
        yield from _workflows_in_template(content)
    elif isinstance(content.get("definition"), dict):
        yield str(content.get("name", "")), content["definition"]
    elif isinstance(properties, dict) and isinstance(properties.get("definition"), dict):
        yield str(content.get("name", "")), properties["definition"]
    elif "actions" in content or "triggers" in content:
        yield "", content


def _workflows_in_template(template: Mapping[str, JSON]) -> Iterator[tuple[str, JSON]]:
    resources = template.get("resources") or []
    for resource in resources.values() if isinstance(resources, dict) else resources:
        if not isinstance(resource, dict):
            continue
        properties = resource.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        if str(resource.get("type", "")).lower() == _WORKFLOW_TYPE and "definition" in properties:
            yield str(resource.get("name", "")), _Deployed(properties["definition"])
        yield from _workflows_in_template(resource)
        if isinstance(properties.get("template"), dict):
            yield from _workflows_in_template(properties["template"])


class _Deployed:
    """A definition inside an ARM template: strings in brackets are ARM's, not the workflow's."""

    def __init__(self, definition: JSON) -> None:
        self.computed: set[str] = set()
        self.definition = self._read(definition, "$")

    def _read(self, value: JSON, path: str) -> JSON:
        match value:
            case dict():
                return {key: self._read(item, at(path, key)) for key, item in value.items()}
            case list():
                return [self._read(item, at(path, index)) for index, item in enumerate(value)]
            case str() if value.startswith("[["):
                return value[1:]
            case str() if value.startswith("[") and value.endswith("]"):
                self.computed.add(path)
                return "(computed by ARM)"
            case _:
                return value


def _check(file: Path, name: str, definition: JSON | _Deployed, operations: Operations) -> Checked:
    computed: set[str] = set()
    if isinstance(definition, _Deployed):
        computed, definition = definition.computed, definition.definition
    try:
        load_definition(definition, operations)
    except DefinitionError as error:
        problems = tuple(problem for problem in error.problems if problem.path not in computed)
        return Checked(str(file), name, problems, len(computed))
    return Checked(str(file), name, (), len(computed))


def _unreadable(file: Path, message: str) -> Checked:
    return Checked(str(file), "", (Problem("$", "invalid", file.name, message),))


def _lines(checked: Checked) -> Iterator[str]:
    title = f"{checked.file} ({checked.workflow})" if checked.workflow else checked.file
    count = len(checked.problems)
    if count:
        yield f"{title}: {count} problem{'s' * (count > 1)}"
    else:
        yield f"{title}: can be run"
    for problem in checked.problems:
        yield "  " + str(problem).replace("\n", "\n    ")
    if checked.computed:
        yield f"  ({checked.computed} values that ARM computes were not looked into)"


def _plain(checked: Checked) -> dict[str, JSON]:
    return {
        "file": checked.file,
        "workflow": checked.workflow or None,
        "computed_values": checked.computed,
        "problems": [
            {"path": it.path, "kind": it.kind, "name": it.name, "message": it.message}
            for it in checked.problems
        ],
    }
