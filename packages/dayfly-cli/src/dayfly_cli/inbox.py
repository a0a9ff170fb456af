"""The webhook inbox: takes every delivery, shows what came, and can be told to refuse.

POST to any path    a delivery: recorded with its headers and body, answered 200 (or as ordered, below)
GET any path        the deliveries at that path and below, oldest first; `?task_id=` picks those of one task
PUT  /_answers      {"status": 503, "times": 2}: answer the next two deliveries with 503 (times null: all)
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dayfly_cli.serving import serve

_PATH = "/webhooks"


@dataclass(frozen=True)
class Delivery:
    """One POST to the inbox."""

    path: str
    #: ISO 8601, UTC.
    received_at: str
    #: Names in lower case.
    headers: Mapping[str, str]
    #: The body as JSON; None = it was none.
    body: Any
    #: The body as it came.
    text: str
    #: The status it was answered with.
    answered: int

    @property
    def task_id(self) -> str | None:
        """The body's task id, if it names one."""
        return self.body.get("task_id") if isinstance(self.body, dict) else None


class Inbox:
    """What came in, and how the next deliveries are answered."""

    def __init__(self, record: Path | None = None) -> None:
        self.deliveries: list[Delivery] = []
        #: Where the inbox is reached; set while it is served.
        self.url = ""
        self._record = record
        self._status = 200
        self._times: int | None = None

    def answer_with(self, status: int, times: int | None = None) -> None:
        """Answer the next `times` deliveries (None = all) with `status`, after that with 200."""
        self._status, self._times = status, times

    def of_task(self, task_id: str) -> list[Delivery]:
        """Return the deliveries of one task, oldest first."""
        return [delivery for delivery in self.deliveries if delivery.task_id == task_id]

    def take(self, path: str, headers: Mapping[str, str], text: str) -> Delivery:
        """Record one delivery and decide how it is answered."""
        try:
            body = json.loads(text)
        except ValueError:
            body = None
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        delivery = Delivery(path, now, dict(headers), body, text, self._next_status())
        self.deliveries.append(delivery)
        if self._record is not None:
            with self._record.open("a") as file:
                file.write(json.dumps(asdict(delivery)) + "\n")
        return delivery

    def _next_status(self) -> int:
        if self._times is None:
            return self._status
        if self._times <= 0:
            return 200
        self._times -= 1
        return self._status


@asynccontextmanager
async def inbox(record: Path | None = None) -> AsyncIterator[Inbox]:
    """Serve an inbox for as long as the context is open.

    Args:
        record: a file that gets one JSON line per delivery; None = memory only.
    """
    if record is not None:
        record.parent.mkdir(parents=True, exist_ok=True)
    box = Inbox(record)
    async with serve(inbox_app(box), "webhook inbox") as url:
        box.url = f"{url}{_PATH}"
        yield box


def inbox_app(box: Inbox) -> Starlette:
    """Return the application that fills and shows `box`."""

    async def receive(request: Request) -> Response:
        text = (await request.body()).decode(errors="replace")
        delivery = box.take(request.url.path, request.headers, text)
        return JSONResponse({"received": delivery.answered < 300}, delivery.answered)

    async def show(request: Request) -> Response:
        under = request.url.path.rstrip("/")
        task_id = request.query_params.get("task_id")
        chosen = [
            asdict(delivery)
            for delivery in box.deliveries
            if (delivery.path + "/").startswith(under + "/") and task_id in (None, delivery.task_id)
        ]
        return JSONResponse(chosen)

    async def order(request: Request) -> Response:
        try:
            asked = await request.json()
            status, times = int(asked["status"]), asked.get("times")
            if not 200 <= status <= 599 or not (times is None or (isinstance(times, int) and times >= 0)):
                raise ValueError  # noqa: TRY301  # one answer for every unusable order
        except (ValueError, KeyError, TypeError, AttributeError):
            return JSONResponse({"error": 'say {"status": 200 to 599, "times": a number or null}'}, 400)
        box.answer_with(status, times)
        return JSONResponse({"status": status, "times": times})

    return Starlette(
        routes=[
            Route("/_answers", order, methods=["PUT"]),
            Route("/{path:path}", receive, methods=["POST"]),
            Route("/{path:path}", show, methods=["GET"]),
        ]
    )
