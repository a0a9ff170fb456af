"""The expression language of Azure Logic Apps: the Workflow Definition Language's `@…` and `@{…}`.

`parse_template(value)` reads any JSON value, `Template.evaluate(scope)` gives its value for a run, and a
`Scope` is what the run shows to it. `FUNCTIONS` holds the declared signature of every function.
"""

from localazure.errors import ExpressionError
from localazure.expressions.registry import FUNCTIONS
from localazure.expressions.scope import Scope
from localazure.expressions.signatures import Function
from localazure.expressions.templates import Reference, Template, parse_template
from localazure.expressions.timestamps import Timestamp

__all__ = [
    "FUNCTIONS",
    "ExpressionError",
    "Function",
    "Reference",
    "Scope",
    "Template",
    "Timestamp",
    "parse_template",
]
