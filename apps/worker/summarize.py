"""The task `summarize`: a document's summary, under its filename."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from dayfly.handlers import Result

from worker.ingest import fetch
from worker.payloads import DocumentTask
from worker.services import Services, open_services

__all__ = ["Summarize"]


class Summarize:
    """Download, extract, summarize, publish. Running it again leaves one summary.

    Args:
        services: opens the services of one task.
    """

    def __init__(self, services: Callable[[], AbstractAsyncContextManager[Services]] = open_services) -> None:
        self._services = services

    async def execute(self, payload: Mapping[str, Any]) -> Result:
        """Summarize the document that the payload names.

        Raises:
            FailedForGood: the payload or the document is at fault; the error says how.
            Retry: a service is.
        """
        from worker.publication import publish_newest
        from worker.summaries import summarize_text

        task = DocumentTask.parse(payload)
        async with self._services() as services:
            document, origin = await fetch(task, services)
            summary = await summarize_text(await services.models(), document.markdown)
            database, store = await services.database(), await services.store()
            metadata = {"type": str(document.type), "pieces": summary.pieces}
            published = await publish_newest(
                lambda supersedes: database.publish_summary(summary.text, metadata, origin, supersedes),
                lambda: store.version(origin.address),
                origin,
            )
        if not published:
            return Result.completed(f"{task.filename}: a newer version is summarized; nothing was replaced")
        of = f" of {document.size}" if document.size else ""
        return Result.completed(f"summarized {task.filename}: {len(summary.text):,} characters{of}")
