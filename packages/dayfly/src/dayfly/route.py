"""The route: which engine may take a client's messages. It is what cutover and rollback turn."""

import json
from typing import Literal, get_args

import structlog

from dayfly.errors import StorageError
from dayfly.storage import BlobContainer

__all__ = ["ROUTE_BLOB", "Engine", "RouteReader"]

Engine = Literal["aci", "jobs", "poll", "none"]

ROUTE_BLOB = "route.json"

_log = structlog.get_logger()


class RouteReader:
    """Reads a client's route, and remembers it for when it cannot be read."""

    def __init__(self, blobs: BlobContainer) -> None:
        self._blobs = blobs
        self._known = False
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine | None:
        """The route as last read; None = absent, so whoever is deployed takes messages."""
        return self._engine

    async def allows(self, engine: Engine) -> bool:
        """Whether an engine may take messages now.

        An absent route allows all; one that cannot be read leaves things as they were, and allows
        nothing new where nothing was read before.
        """
        try:
            blob = await self._blobs.read(ROUTE_BLOB)
            self._engine = _engine(blob.data) if blob else None
            self._known = True
        except (StorageError, ValueError) as error:
            _log.warning("route not readable", error=str(error))
            if not self._known:
                return False
        return self._engine in (None, engine)


def _engine(data: bytes) -> Engine:
    fields = json.loads(data)
    engine = fields.get("engine") if isinstance(fields, dict) else None
    for known in get_args(Engine):
        if engine == known:
            return known  # type: ignore[no-any-return] # get_args forgets what it was asked
    raise ValueError(f'{ROUTE_BLOB}: "engine" should be one of {", ".join(get_args(Engine))}, not {engine!r}')
