"""The names that belong to a client, in storage and in ARM."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dayfly_cli.errors import InputError

#: Queue and container names have at most 63 characters, and `-tasks-poison` follows.
_CLIENT_MAX_CHARS = 50
_CLIENT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Client:
    """A client of the backend, by its id in lower case."""

    client_id: str

    @classmethod
    def named(cls, text: str) -> Client:
        """Return the client of that id.

        Raises:
            InputError: no queue can be named after it.
        """
        client_id = text.strip().lower()
        if not _CLIENT.fullmatch(client_id) or len(client_id) > _CLIENT_MAX_CHARS:
            raise InputError(
                f"client {text!r}: queues are named after it, so it may hold letters, digits and single "
                f"hyphens between them, at most {_CLIENT_MAX_CHARS} characters"
            )
        return cls(client_id)

    @property
    def queue(self) -> str:
        """The queue of the client's tasks."""
        return f"{self.client_id}-tasks"

    @property
    def poison_queue(self) -> str:
        """The queue of its dead letters."""
        return f"{self.client_id}-tasks-poison"

    @property
    def container(self) -> str:
        """The blob container of ledger, dead letters and route."""
        return f"{self.client_id}-dayfly"

    @property
    def documents(self) -> str:
        """The blob container of the client's documents."""
        return f"{self.client_id}-documents"

    @property
    def launcher(self) -> str:
        """The name of the client's launcher among the workflows."""
        return f"dayfly-{self.client_id}-launcher"
