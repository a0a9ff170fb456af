"""Every error of the runtime.

DayflyError
├── SettingsError            a setting is missing or malformed; the start stops (exit 78)
├── NotATask                 a message that holds no task; it is dead-lettered
├── HandlerSignal            what a handler may raise
│   ├── Retry                transient: try the task again
│   └── FailedForGood        no second try
└── StorageError             what Azure Storage answered
    ├── StorageUnavailable   network, throttling, 5xx: the same call may succeed later
    ├── ResourceMissing      a queue or a container that does not exist
    ├── ReceiptRefused       the message is gone, or somebody else holds it
    └── Conflict             the blob is not as it was read
"""

__all__ = [
    "Conflict",
    "DayflyError",
    "FailedForGood",
    "HandlerSignal",
    "NotATask",
    "ReceiptRefused",
    "ResourceMissing",
    "Retry",
    "SettingsError",
    "StorageError",
    "StorageUnavailable",
]


class DayflyError(Exception):
    """Base of all errors that the runtime raises on purpose."""


class SettingsError(DayflyError):
    """One or more settings are missing or malformed.

    Attributes:
        problems: one line per setting, each naming it and the way out.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class NotATask(DayflyError):
    """A message whose text holds no task. The text says what is missing or malformed."""


class HandlerSignal(DayflyError):
    """Base of what a handler raises to say what should become of its task."""


class Retry(HandlerSignal):
    """A handler says: something around me failed, try the task again.

    Args:
        reason: what failed, for the ledger and the log.
        after_s: seconds to wait before the next attempt (a service's `Retry-After`);
            None leaves the delay to the retry policy.
    """

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_s = after_s


class FailedForGood(HandlerSignal):
    """A handler says: this task can never succeed. The reason goes to the webhook as `error`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StorageError(DayflyError):
    """Base of what a storage adapter raises; the SDK's own error is its cause."""


class StorageUnavailable(StorageError):
    """Storage did not answer, or answered 408, 429 or 5xx. The effect may have happened."""


class ResourceMissing(StorageError):
    """A queue or container does not exist; workers never create one. The text names it."""


class ReceiptRefused(StorageError):
    """Storage refused a pop receipt (404 MessageNotFound or 400 PopReceiptMismatch)."""


class Conflict(StorageError):
    """A conditional write was refused (409 BlobAlreadyExists or 412 ConditionNotMet)."""
