"""What localazure raises.

LocalazureError
├── ArmError              an answer of the control plane: status, code, message
├── ConnectionFailedError a workflow's request got no answer
├── DefinitionError       a workflow definition that cannot be run: every problem, by name and place
├── ExpressionError       an expression that cannot be read or evaluated: kind, message, place
├── InvalidRequestError   a workflow's request cannot be sent as it is written
├── NotJsonError          a body says it is JSON and is none
└── UsageError            the command line asked for what cannot be: one line, exit 1
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class LocalazureError(Exception):
    """The base of everything localazure raises on purpose."""


class ArmError(LocalazureError):
    """An answer of Azure Resource Manager that says no.

    Raised by whatever serves a resource; the server turns it into
    `{"error": {"code", "message"}}` with the same status.

    Attributes:
        status: HTTP status, 400 to 599.
        code: Azure's error code, such as `ResourceNotFound`.
        message: What is wrong, with the value, for a person.
        headers: Response headers to send along, such as `Retry-After`.
    """

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def to_json(self) -> dict[str, Any]:
        """Return the body Azure would send."""
        return {"error": {"code": self.code, "message": self.message}}


class UsageError(LocalazureError):
    """A setting or argument that cannot work; its text is the one line the user sees."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a workflow definition."""

    #: Where, as a JSON path from the definition: `$.actions.Wait.inputs.interval`.
    path: str
    #: What kind: `unsupported-action`, `unsupported-trigger`, `unknown-function`, `unknown-property`,
    #: `unknown-option`, `unknown-reference`, `unparseable`, `invalid`, `missing`, `limit`, …
    kind: str
    #: The thing's own name: the action type, function, property, option or reference.
    name: str
    #: What is wrong and the way out, for a person.
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class DefinitionError(LocalazureError):
    """A workflow definition or its parameter values cannot be accepted.

    Raised when a definition is loaded (put, checked) or a run is to start with unfit parameter values.

    Attributes:
        problems: All that is wrong, in the order of the definition, at least one.
    """

    #: The code Azure answers with when such a definition is put.
    code = "InvalidTemplate"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class ConnectionFailedError(LocalazureError):
    """No answer came to a workflow's request.

    Raised by the outbound client: the name did not resolve, nothing listened, the call timed out or broke.
    """


class InvalidRequestError(LocalazureError):
    """A workflow's request cannot be sent as it is written.

    Raised by the outbound client and the connectors: the address, the authentication or the path is at fault,
    and another try would change nothing.
    """


class NotJsonError(LocalazureError):
    """A body is declared as JSON and cannot be read as such."""


class ExpressionError(LocalazureError):
    """An expression that cannot be read, or that has no value here.

    Raised by `localazure.expressions` alone. Its text is the message and below it, when the place is known,
    the expression with a caret under the place.

    Attributes:
        kind: `unparseable` (no expression at all), `unknown-function`, `invalid-arity` (too few or too many
            arguments), `invalid-type` (an argument of the wrong type), `not-found` (an action, parameter,
            variable, loop or property that is not there) or `invalid-template` (any other evaluation error).
        message: what is wrong, one line, with names and values.
        expression: the text it stands in, as the workflow writes it; None while it is not known.
        position: offset into `expression` in characters, from 0; None while it is not known.
    """

    def __init__(
        self, kind: str, message: str, *, expression: str | None = None, position: int | None = None
    ) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message
        self.expression = expression
        self.position = position

    def __str__(self) -> str:
        """Return the message, and the drawing below it when the place is known."""
        drawing = self.drawing()
        return f"{self.message}\n{drawing}" if drawing else self.message

    def drawing(self) -> str:
        """Return the line of the expression and a caret under the place, or nothing while it is not known."""
        if self.expression is None or self.position is None:
            return ""
        start = max(0, self.position - 60)
        window = self.expression[start : self.position + 40]
        # One character for one, so that the caret stays under its place.
        line = "".join(character if character.isprintable() else " " for character in window)
        return f"  {line}\n  {' ' * (self.position - start)}^"
