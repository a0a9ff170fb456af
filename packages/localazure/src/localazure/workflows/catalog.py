"""All the I/O action types and trigger types there are."""

from __future__ import annotations

from localazure.workflows.connection_action import ConnectionAction
from localazure.workflows.http_action import HttpAction
from localazure.workflows.operations import Operations
from localazure.workflows.trigger_types import trigger_types


def all_operations() -> Operations:
    """Return the registry of everything a definition may use beside the built-in action types."""
    return Operations([HttpAction(), ConnectionAction()], trigger_types())
