"""A webhook that keeps what it is told."""

import json
from dataclasses import dataclass, field
from typing import Any

from dayfly.ledger import Entry
from dayfly.webhook import Answer, webhook_body

__all__ = ["RecordingWebhook"]


@dataclass
class RecordingWebhook:
    """Keeps every delivery.

    Attributes:
        deliveries: `(webhook id, body)` of each accepted request, in order.
        answers: what the next requests are answered; accepted when there is none left.
    """

    deliveries: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    async def deliver(self, entry: Entry) -> Answer:
        """Take one request."""
        body = json.loads(webhook_body(entry))
        answer = self.answers.pop(0) if self.answers else Answer(accepted=True)
        if answer.accepted:
            self.deliveries.append((entry.key, body))
        return answer
