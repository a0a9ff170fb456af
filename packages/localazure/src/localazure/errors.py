"""What localazure raises.

    LocalazureError
    ├── ArmError              an answer of the control plane: status, code, message
    └── UsageError            the command line asked for what cannot be: one line, exit 1
"""

from __future__ import annotations

from collections.abc import Mapping
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
