"""In-memory twins of the runtime's ports, for tests: no Azure, no process, no waiting."""

from dayfly.testing.client import InMemoryClient
from dayfly.testing.clock import ManualClock
from dayfly.testing.runner import InlineRunner
from dayfly.testing.storage import InMemoryBlobs, InMemoryQueue
from dayfly.testing.webhook import RecordingWebhook

__all__ = [
    "InMemoryBlobs",
    "InMemoryClient",
    "InMemoryQueue",
    "InlineRunner",
    "ManualClock",
    "RecordingWebhook",
]
