"""Dependencies point one way: no module comes back to itself through what it imports."""

from __future__ import annotations

import ast
from collections.abc import Set
from graphlib import TopologicalSorter
from pathlib import Path

import localazure

SOURCE = Path(localazure.__file__).parent


def test_no_import_goes_in_a_circle() -> None:
    files = {name_of(path): path for path in SOURCE.rglob("*.py")}
    graph = {name: imported(path, files.keys()) - {name} for name, path in files.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def name_of(path: Path) -> str:
    parts = ("localazure", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


def imported(path: Path, modules: Set[str]) -> set[str]:
    """Return our modules that a file imports, also inside functions and for type checking."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.ImportFrom(module=str(module)):
                members = {f"{module}.{each.name}" for each in node.names}
                found |= members & modules or {module} & modules
            case ast.Import():
                found |= {each.name for each in node.names} & modules
    return found
