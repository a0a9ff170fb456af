"""What a definition says must not show, and what follows from it.

`runtimeConfiguration.secureData` hides inputs or outputs of an action or trigger. An action that uses
hidden outputs, or a SecureString or SecureObject parameter, has its inputs hidden as well; Compose,
ParseJson and Response, which only hand on what they are given, their outputs too. It ends there: outputs
hidden in the wake of others hide nothing further. Types that cannot be secured (If, Until, Terminate, the
variables, …) show what they are given even so, as on Azure; secure parameter values are blotted out of that
by `secrecy`. (Logic Apps documentation, "Secure access and data".)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from localazure.errors import ExpressionError
from localazure.expressions import Template, parse_template
from localazure.workflows.actions import Action
from localazure.workflows.kinds import KINDS
from localazure.workflows.parameters import ParameterDeclaration
from localazure.workflows.reader import Reader, at, is_expression

#: Members of an action that hold no expressions of its own: other actions, or plain words.
_OTHERS = frozenset(
    {"actions", "else", "cases", "default", "runAfter", "type", "kind", "description", "metadata"}
)
_HANDING_ON = frozenset({"Compose", "ParseJson", "Response"})
_TRIGGER_FUNCTIONS = frozenset(
    {"trigger", "triggerBody", "triggerOutputs", "triggers", "triggerFormDataValue"}
)


def read_secure_data(reader: Reader, securable: tuple[str, ...]) -> frozenset[str]:
    """Return what `runtimeConfiguration.secureData` of an action or trigger hides: inputs, outputs."""
    secure = reader.within("runtimeConfiguration").within("secureData")
    secure.only(("properties",))
    hidden = set()
    for each in secure.items("properties"):
        if each in securable:
            hidden.add(each)
        else:
            hint = f", only {' and '.join(securable)}" if securable else ""
            secure.note("properties", "unknown-option", str(each), f"'{each}' cannot be secured here{hint}")
    return frozenset(hidden)


def refuse_static_result(reader: Reader) -> None:
    """Refuse a static result that is switched on; the designer leaves switched-off ones behind."""
    runtime = reader.within("runtimeConfiguration")
    options = str(runtime.within("staticResult").value.get("staticResultOptions", "Disabled"))
    if options.lower() != "disabled":
        runtime.note("staticResult", "unknown-option", "staticResult", "static results are not supported")


def expressions_in(source: Mapping[str, Any], path: str) -> Iterator[tuple[str, Template]]:
    """Yield every string of an action or trigger that holds an expression of its own, with its JSON path."""
    for name, value in source.items():
        if name in _OTHERS:
            continue
        if name == "inputs" and isinstance(value, dict):
            # A JSON schema may hold an @ (in a pattern) that means nothing to the language.
            given = {key: item for key, item in value.items() if key != "schema"}
            yield from _leaves(given, at(path, name))
        else:
            yield from _leaves(value, at(path, name))


@dataclass(frozen=True)
class Hidden:
    """The actions, by their names in lower case, whose inputs and outputs do not show."""

    inputs: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()


def hidden_actions(
    actions: Iterable[Action], parameters: Iterable[ParameterDeclaration], *, hidden_trigger: bool
) -> Hidden:
    """Return which actions of a definition hide inputs or outputs, by wish or in the wake of others.

    Args:
        actions: All there are.
        parameters: All there are.
        hidden_trigger: Whether a trigger's outputs do not show.
    """
    secure_parameters = {it.name.lower() for it in parameters if it.secure}
    every = list(actions)
    sources = {action.name.lower() for action in every if action.hide_outputs}
    inputs = {action.name.lower() for action in every if action.hide_inputs}
    outputs = set(sources)
    for action in every:
        used = [template for _, template in expressions_in(action.source, action.path)]
        references = {(it.kind, it.name.lower()) for template in used for it in template.references}
        hidden = any(kind in ("action", "scope") and name in sources for kind, name in references) or (
            hidden_trigger and any(template.functions & _TRIGGER_FUNCTIONS for template in used)
        )
        secret = any(kind == "parameter" and name in secure_parameters for kind, name in references)
        if (hidden and _can_hide_inputs(action)) or secret:
            inputs.add(action.name.lower())
            if action.type in _HANDING_ON:
                outputs.add(action.name.lower())
    return Hidden(frozenset(inputs), frozenset(outputs))


def _can_hide_inputs(action: Action) -> bool:
    kind = KINDS.get(action.type.lower())
    return kind is None or "inputs" in kind.securable


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Template]]:
    match value:
        case dict():
            for key, item in value.items():
                yield from _leaves(key, at(path, key)) if is_expression(key) else ()
                yield from _leaves(item, at(path, key))
        case list():
            for index, item in enumerate(value):
                yield from _leaves(item, at(path, index))
        case str() if is_expression(value):
            with contextlib.suppress(ExpressionError):  # noted when it was compiled
                yield path, parse_template(value)
