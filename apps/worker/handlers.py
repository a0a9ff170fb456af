"""The task types that this worker does. What each one needs is imported when a task of it arrives."""

from dayfly.handlers import Handler, Handlers

__all__ = ["handlers"]


def _ingest() -> Handler:
    from worker.ingest import Ingest

    return Ingest()


def _summarize() -> Handler:
    from worker.summarize import Summarize

    return Summarize()


handlers = Handlers()
handlers.add("ingest", _ingest, aliases=("ingest_document",))
handlers.add("summarize", _summarize)
