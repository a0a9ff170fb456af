"""Every error of the document handlers; each one knows what becomes of its task.

dayfly.FailedForGood            no second try: the document or the task itself is at fault
├── PayloadInvalid              the payload lacks a field, or holds one of the wrong kind
├── BlobRefused                 a blob name that leaves the client's containers
├── BlobMissing                 nothing is stored under that name
├── DocumentUnreadable          damaged, encrypted, empty, too large, of the wrong type, a bomb
└── RequestRefused              a service read the request and refused its content
dayfly.Retry                    the task is tried again
├── ServiceUnavailable          network, throttling, 5xx
├── BlobChanged                 the blob was replaced while it was read
└── Misconfigured               a setting, key, role, model or table is missing

`Misconfigured` is tried again because the task is innocent: an operator can mend the setting meanwhile,
and when the attempts are used up the task is a dead letter, which can be replayed. A task that failed
for good is gone.
"""

from dayfly.errors import FailedForGood, Retry

__all__ = [
    "BlobChanged",
    "BlobMissing",
    "BlobRefused",
    "DocumentUnreadable",
    "Misconfigured",
    "PayloadInvalid",
    "RequestRefused",
    "ServiceUnavailable",
]


class PayloadInvalid(FailedForGood):
    """The payload lacks a field, or holds one of the wrong kind. The text names it."""


class BlobRefused(FailedForGood):
    """A blob name that could leave the client's containers. The text shows the value."""


class BlobMissing(FailedForGood):
    """Nothing is stored under that name. The text has `container/path`."""


class DocumentUnreadable(FailedForGood):
    """No text can be had from a document. The text names the file and says what is wrong with it."""


class RequestRefused(FailedForGood):
    """A service understood a request and refused what is in it; the same request will fail again."""


class ServiceUnavailable(Retry):
    """A service did not answer, or answered 408, 409, 429 or 5xx. `after_s` is its `Retry-After`."""


class BlobChanged(Retry):
    """The blob was replaced while it was read; the next attempt reads the newest version."""


class Misconfigured(Retry):
    """A setting, key, role, model or table is missing; the text says which and what to do."""
