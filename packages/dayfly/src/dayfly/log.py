"""Logs: a line of JSON each, or a readable one on a terminal."""

import logging
import sys

import structlog

__all__ = ["set_up_logging"]


def set_up_logging(client_id: str) -> None:
    """Send the runtime's log to standard output, with the client on every line."""
    readable = sys.stdout.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer() if readable else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )
    structlog.contextvars.bind_contextvars(client=client_id)
