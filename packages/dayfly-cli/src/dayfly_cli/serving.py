"""Small HTTP servers of the laptop's cloud, inside this process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

_STOP_LIMIT_S = 5.0


@asynccontextmanager
async def serve(app: ASGIApp, name: str, port: int = 0) -> AsyncIterator[str]:
    """Serve `app` on 127.0.0.1 and yield its base address, without a slash at the end.

    Args:
        app: the ASGI application.
        name: the name of the task that serves it.
        port: 0 = any free port.

    Raises:
        OSError: the port is taken.
    """
    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name=name)
    try:
        while not server.started and not task.done():  # noqa: ASYNC110  # uvicorn tells it by a flag alone
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(task, _STOP_LIMIT_S)
        listener.close()


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: the command's own decide."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
