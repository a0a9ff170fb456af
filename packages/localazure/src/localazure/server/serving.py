"""`localazure serve`: sockets, start, readiness, stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from localazure.clock import Clock, SystemClock
from localazure.errors import UsageError
from localazure.server.app import ControlPlane, build_arm, build_control_plane
from localazure.server.dropping import ConnectionDroppedError, DroppableProtocol
from localazure.server.identity import APP_SERVICE_PATH, ARM_HOSTS
from localazure.server.settings import ServerSettings
from localazure.server.state import read_facts, state_folder, write_private
from localazure.server.tls import Certificate, ensure_certificate

_SHUTDOWN_S = 2
# Longer than clients keep idle connections, so that none is closed under a request that is just being sent.
_KEEP_ALIVE_S = 120


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing: two servers share this process."""
        yield


def serve(settings: ServerSettings) -> None:
    """Run a server until SIGTERM or SIGINT.

    Raises:
        UsageError: A port is taken, the state folder is in use, or an option cannot work.
    """
    with state_folder(settings.state) as folder:
        asyncio.run(_serve(settings, folder, SystemClock()))


async def _serve(settings: ServerSettings, folder: Path, clock: Clock) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    ports = read_facts(folder / "ports.json")
    with (
        _listen(settings.host_name, settings.port, ports.get("arm"), "--port") as arm,
        _listen(
            settings.host_name, settings.identity_port, ports.get("identity"), "--identity-port"
        ) as tokens,
    ):
        kept = {"arm": arm.getsockname()[1], "identity": tokens.getsockname()[1]}
        write_private(folder / "ports.json", json.dumps(kept))
        async with running(settings, folder, clock, arm, tokens) as ready:
            announce(ready, settings.ready_file)
            await stop.wait()


@contextlib.asynccontextmanager
async def running(
    settings: ServerSettings, folder: Path, clock: Clock, arm: socket.socket, tokens: socket.socket
) -> AsyncIterator[dict[str, Any]]:
    """Serve while the block runs, and hand it what a client has to know.

    Args:
        settings: What the server was told.
        folder: The state folder, ours.
        clock: The source of time.
        arm: Listening socket for ARM.
        tokens: Listening socket for the token endpoint.
    """
    arm_url, tokens_url = f"https://{_origin(arm)}", f"http://{_origin(tokens)}"
    # By the wall clock, as those will look at it who verify it.
    certificate = ensure_certificate(folder, [settings.host_name, *ARM_HOSTS], datetime.now(UTC))
    parts = build_control_plane(settings, folder, clock, arm_url=arm_url, authority=certificate.authority)
    parts.groups.identity_host = tokens_url
    port = arm.getsockname()[1]
    parts.issuer.arm_hosts |= {f"{name}:{port}" for name in (settings.host_name, "127.0.0.1", "localhost")}
    servers = {
        _uvicorn(build_arm(parts, settings, clock), certificate): arm,
        _uvicorn(_quiet(parts.identity.app)): tokens,
    }
    parts.groups.start_up()
    tasks = [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers.items()]
    try:
        await _all_started(list(servers), tasks)
        # Workflows last up and first down: they call the doors.
        await parts.workflows.start()
        yield _readiness(settings, parts, certificate.authority, arm_url, tokens_url)
    finally:
        await parts.workflows.aclose()
        await parts.outbound.aclose()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks, return_exceptions=True)
        await parts.groups.aclose(stop_containers=settings.stop_containers)
        parts.store.close()


def announce(ready: dict[str, Any], ready_file: Path | None) -> None:
    """Tell everybody who waits that the server is up: one line on standard output, and the ready file."""
    text = json.dumps(ready)
    if ready_file is not None:
        write_private(ready_file, text + "\n")
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _readiness(
    settings: ServerSettings, parts: ControlPlane, authority: Path, arm_url: str, tokens_url: str
) -> dict[str, Any]:
    return {
        "arm": arm_url,
        "arm_ca": str(authority),
        "identity_endpoint": tokens_url + APP_SERVICE_PATH,
        "identity_header": parts.identity_header,
        "imds": tokens_url,
        "subscription_id": settings.subscription_id,
        "resource_group": settings.resource_groups[0],
        "location": settings.location,
        "admin": f"{arm_url}/_admin",
        "pid": os.getpid(),
    }


def _origin(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (read, not bound)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextlib.contextmanager
def _listen(host: str, port: int, last: int | None, option: str) -> Iterator[socket.socket]:
    """Listen on a port; 0 means the one of last time if that is free, else any.

    Raises:
        UsageError: The port is taken, or the address is not ours.
    """
    candidates = [port] if port else [each for each in (last, 0) if each is not None]
    for candidate in candidates:
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(128)
        except OSError as exc:
            listener.close()
            if candidate == candidates[-1]:
                raise UsageError(
                    f"cannot listen on {host}:{candidate} ({exc.strerror}): give another {option}, or 0 for"
                    " a free one"
                ) from None
            continue
        with listener:
            yield listener
        return


def _uvicorn(app: ASGIApp, certificate: Certificate | None = None) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            http=DroppableProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_S,
            timeout_keep_alive=_KEEP_ALIVE_S,
            ssl_certfile=certificate.chain if certificate else None,
            ssl_keyfile=str(certificate.key) if certificate else None,
        )
    )


def _quiet(app: ASGIApp) -> ASGIApp:
    """Swallow the end of connections that were dropped on purpose."""

    async def quiet(scope: Any, receive: Any, send: Any) -> None:
        with contextlib.suppress(ConnectionDroppedError):
            await app(scope, receive, send)

    return quiet


async def _all_started(servers: list[_Server], tasks: list[asyncio.Task[None]]) -> None:
    while not all(server.started for server in servers):
        for task in tasks:
            if task.done():
                task.result()
                raise RuntimeError("a server ended before it had started")
        await asyncio.sleep(0.005)
