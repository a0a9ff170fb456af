"""The worker in polling mode, as it runs on a VPS: one process per client."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from dayfly_cli.clients import Client
from dayfly_cli.control_plane import WORKER_COMMAND
from dayfly_cli.processes import Kept, kept

#: What the worker does not need of ours is not given to it: settings of a shell must not reach it by chance.
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR")
#: A poller that is told to stop gives what it holds 8 s to finish.
_GRACE_S = 12.0


@asynccontextmanager
async def poller(client: Client, worker: Mapping[str, str], log: Path) -> AsyncIterator[Kept]:
    """Run the client's poller for as long as the context is open; should it die, it is started again.

    Args:
        client: whose queue it polls.
        worker: its environment.
        log: where its output goes.

    Raises:
        ServiceError: it could not be started.
    """
    base = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    name = f"poller of {client.client_id}"
    async with kept(name, WORKER_COMMAND, log, env={**base, **worker}, grace_s=_GRACE_S) as process:
        yield process
