"""Connections that break off on purpose: what a lost answer, or a service that is not up, looks like."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from starlette.requests import HTTPConnection
from uvicorn.protocols.http.h11_impl import H11Protocol

_NOTICED_AFTER_S = 0.01


class ConnectionDroppedError(Exception):
    """The connection of this request was cut; there is nobody to answer."""


class DroppableProtocol(H11Protocol):
    """HTTP/1.1 whose transport a request can reach, as `state["transport"]`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the transport for the requests that come over it."""
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)


async def drop_connection(connection: HTTPConnection) -> NoReturn:
    """Cut the connection under a request, with not one byte of an answer.

    Raises:
        ConnectionDroppedError: Always; whoever runs requests swallows it.
    """
    transport = connection.scope.get("state", {}).get("transport")
    if transport is not None:
        transport.abort()
        # Until the server has noticed: it would complain of a request without an answer.
        await asyncio.sleep(_NOTICED_AFTER_S)
    raise ConnectionDroppedError
