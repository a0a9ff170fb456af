"""Everything the `dayfly` command raises by itself.

DayflyError
├── SetupError          something this machine lacks (a package, a folder, a platform)
├── ServiceError        a service of the laptop's cloud did not start, or stopped
├── NotRunningError     no `dayfly up` was found, and Azure was not named either
├── AzureError          a service answered something other than asked
└── InputError          what the user typed cannot be used          (exit 2)

Each message names the thing, the value and the way out: it is all the user sees, in one line.
"""

from __future__ import annotations


class DayflyError(Exception):
    """The base of the tree; `exit_code` is what the command ends with."""

    exit_code = 1


class SetupError(DayflyError):
    """Raised before anything is started: the machine lacks something the command needs."""


class ServiceError(DayflyError):
    """Raised by a service that did not come up in time, or ended while it was needed.

    The message names the service and its log file.
    """


class NotRunningError(DayflyError):
    """Raised by commands that speak to a running `dayfly up` when there is none."""


class AzureError(DayflyError):
    """Raised when storage or ARM, local or in the cloud, refuses a request of the command's own."""


class InputError(DayflyError):
    """Raised for an argument or option that cannot be used as it was given."""

    exit_code = 2
