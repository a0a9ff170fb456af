"""The parameters of a workflow: how they are declared, and which values may be given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localazure.errors import DefinitionError, Problem
from localazure.workflows import limits
from localazure.workflows.reader import Reader, at

PARAMETER_TYPES = ("Array", "Bool", "Float", "Int", "Object", "SecureObject", "SecureString", "String")
_MISSING = object()


@dataclass(frozen=True)
class ParameterDeclaration:
    """A parameter as the definition declares it."""

    name: str
    #: One of `PARAMETER_TYPES`.
    type: str
    has_default: bool
    default: Any
    #: None = any value of the type.
    allowed: tuple[Any, ...] | None

    @property
    def secure(self) -> bool:
        """Whether its value must not show."""
        return self.type.startswith("Secure")


def read_parameters(reader: Reader) -> dict[str, ParameterDeclaration]:
    """Return a definition's parameters by name; what is wrong with them is noted."""
    if len(reader.value) > limits.PARAMETERS_MAX:
        message = f"{len(reader.value)} parameters are more than the {limits.PARAMETERS_MAX} allowed"
        reader.note(None, "limit", "parameters", message)
    declared = {}
    for name in reader.value:
        parameter = reader.within(name)
        parameter.only(("type", "defaultValue", "allowedValues", "metadata", "description"))
        parameter.require("type")
        kind = parameter.word("type", PARAMETER_TYPES, "String")
        default = parameter.value.get("defaultValue", _MISSING)
        allowed = tuple(parameter.items("allowedValues")) if parameter.has("allowedValues") else None
        declaration = ParameterDeclaration(
            name, kind, default is not _MISSING, None if default is _MISSING else default, allowed
        )
        declared[name] = declaration
        if declaration.has_default and (wrong := _misfit(declaration, default)):
            parameter.note("defaultValue", "invalid", name, wrong)
    return declared


def resolve_parameters(
    declared: Mapping[str, ParameterDeclaration], given: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the value of every parameter: the one given, else its default.

    Args:
        declared: Of `Definition.parameters`.
        given: As in `properties.parameters`: name (case does not matter) → {"value": …}.

    Raises:
        DefinitionError: A value has the wrong type or is not among the allowed ones, a parameter has no
            value, or there is no parameter of a given name. Secure values are not told in the messages.
    """
    problems: list[Problem] = []
    reader = Reader({} if given is None else given, "$.parameters", problems)
    spellings = {name.lower(): name for name in declared}
    values = {}
    for name in reader.value:
        if name.lower() not in spellings:
            reader.note(name, "unknown-reference", name, f"the definition declares no parameter '{name}'")
            continue
        value = reader.within(name)
        value.only(("value", "type", "metadata", "description"))
        if value.require("value"):
            values[spellings[name.lower()]] = value.value["value"]
    for name, declaration in declared.items():
        if name in values:
            if wrong := _misfit(declaration, values[name]):
                reader.note(name, "invalid", name, wrong)
        elif declaration.has_default:
            values[name] = declaration.default
        else:
            problems.append(
                Problem(
                    at("$.parameters", name),
                    "missing",
                    name,
                    f"parameter '{name}' has no value and no default",
                )
            )
    if problems:
        raise DefinitionError(problems)
    return values


def _misfit(declaration: ParameterDeclaration, value: Any) -> str | None:
    """Say why a value does not fit a parameter, None if it does."""
    shown = "the value" if declaration.secure else f"value {value!r}"
    if not _is_of_type(declaration.type, value):
        return f"{shown} of parameter '{declaration.name}' is not of type {declaration.type}"
    if declaration.allowed is not None and value not in declaration.allowed:
        choice = ", ".join(repr(each) for each in declaration.allowed)
        return f"{shown} of parameter '{declaration.name}' is not one of the allowed values {choice}"
    return None


def _is_of_type(kind: str, value: Any) -> bool:
    match kind:
        case "Array":
            return isinstance(value, list)
        case "Bool":
            return isinstance(value, bool)
        case "Int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "Float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "Object" | "SecureObject":
            return isinstance(value, dict)
        case _:
            return isinstance(value, str)
