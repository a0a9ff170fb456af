"""JSON schemas: of ParseJson actions and Request triggers.

The library is imported by the first who has a schema: it takes long.
"""

from __future__ import annotations

from typing import Any

JSON = Any

_ERRORS_SHOWN_MAX = 5


def schema_fault(schema: dict[str, JSON]) -> str | None:
    """Say why an object is no JSON schema of draft 4, None if it is one."""
    from jsonschema.exceptions import SchemaError  # type: ignore[import-untyped]  # it ships no types
    from jsonschema.validators import Draft4Validator  # type: ignore[import-untyped]  # the same

    try:
        Draft4Validator.check_schema(schema)
    except SchemaError as error:
        return str(error.message)
    return None


def misfits(value: JSON, schema: JSON) -> str:
    """Say where a value does not fit a schema (draft 4 unless it names another), "" if it does."""
    from jsonschema.validators import Draft4Validator, validator_for

    validator = validator_for(schema, default=Draft4Validator)(schema)
    try:
        errors = sorted(validator.iter_errors(value), key=lambda error: error.json_path)
    except Exception as error:
        return f"The schema cannot be used: {error}"
    told = [f"{error.json_path}: {error.validator} is not satisfied" for error in errors[:_ERRORS_SHOWN_MAX]]
    return "; ".join(told)


def worst_misfit(value: JSON, schema: JSON) -> str | None:
    """Say what is most wrong with a value by a schema (the newest draft unless it names another), or None.

    Raises:
        SchemaError: The schema is none.
    """
    import jsonschema  # type: ignore[import-untyped]  # the same

    try:
        jsonschema.validate(value, schema)
    except jsonschema.ValidationError as error:
        return str(error.message)
    return None
