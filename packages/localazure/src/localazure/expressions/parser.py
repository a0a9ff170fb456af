"""From the text of one expression to its syntax tree."""

import re

from localazure.errors import ExpressionError
from localazure.expressions.syntax import Expression

EXPRESSION_CHARACTERS_MAX = 8192  # Azure's limit: "Limits and configuration", expression
NESTING_MAX = 100  # ours: far above what people write, far below Python's recursion limit

_MARKS = re.compile(r"'[^']*'|[()\[\]]")


def parse_expression(text: str, source: str, offset: int) -> Expression:
    """Return the syntax tree of an expression.

    Args:
        text: the expression, without `@` or `@{ }`.
        source: the string it stands in, for errors.
        offset: where `text` begins in `source`.

    Raises:
        ExpressionError: kind `unparseable`.
    """
    from localazure.expressions.grammar import parse

    try:
        _check_limits(text)
        return parse(text)
    except ExpressionError as error:
        error.expression, error.position = source, (error.position or 0) + offset
        raise


def _check_limits(text: str) -> None:
    if len(text) > EXPRESSION_CHARACTERS_MAX:
        message = f"the expression has {len(text)} characters; {EXPRESSION_CHARACTERS_MAX} are allowed"
        raise ExpressionError("unparseable", message, position=0)
    depth = 0
    for mark in _MARKS.finditer(text):
        if mark[0] in "([":
            depth += 1
            if depth > NESTING_MAX:
                message = f"the expression is nested deeper than {NESTING_MAX} levels"
                raise ExpressionError("unparseable", message, position=mark.start())
        elif mark[0] in ")]":
            depth -= 1
