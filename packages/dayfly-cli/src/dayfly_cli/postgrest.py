"""What stands for Supabase: PostgREST over one database, behind Supabase's path and keys.

PostgREST itself listens on a Unix socket. The door before it is `/rest/v1`, as on a Supabase project, and
asks for one of the project's two keys in the header `apikey`. Both are JSON web tokens signed with the
project's own secret; their role decides what the database allows.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dayfly_cli.node import postgrest_command
from dayfly_cli.postgres import Postgres
from dayfly_cli.processes import Child, child, socket_folder
from dayfly_cli.serving import serve

_TEN_YEARS_S = 10 * 365 * 24 * 3600
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
#: Hop-by-hop headers (RFC 9110, section 7.6.1), and those that each side writes itself.
_NOT_PASSED_ON = {
    "host",
    "apikey",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "date",
    "server",
}
_REQUEST_LIMIT_S = 120.0


@dataclass(frozen=True)
class Supabase:
    """A project: where it answers, and its keys."""

    #: The project's address; tables are under `/rest/v1`.
    url: str
    #: May do what the database allows everyone.
    anon_key: str = field(repr=False)
    #: May do everything: for the worker.
    service_role_key: str = field(repr=False)
    process: Child = field(repr=False)


@asynccontextmanager
async def supabase(
    packages: Path, server: Postgres, database: str, log: Path, *, secret: str | None = None
) -> AsyncIterator[Supabase]:
    """Serve `database` the way Supabase does, for as long as the context is open.

    Args:
        packages: the folder of npm packages.
        server: the running PostgreSQL.
        database: must exist, made by `Postgres.create_database`.
        log: where PostgREST's output goes.
        secret: what the keys are signed with, at least 32 characters; None = a new one.

    Raises:
        ServiceError: PostgREST did not come up.
        SetupError: it is not packaged for this platform.
    """
    secret = secret or new_secret()
    keys = {role: _key(role, secret) for role in ("anon", "service_role")}
    with socket_folder(log.parent, f"{log.stem}.sock") as folder:
        socket = folder / f"{log.stem}.sock"
        socket.unlink(missing_ok=True)
        env = {**os.environ, **_configuration(server.url(database, "authenticator"), socket, secret)}
        command = postgrest_command(packages)
        async with (
            child(f"PostgREST of {database}", command, log, env=env) as process,
            httpx.AsyncClient(
                transport=httpx.AsyncHTTPTransport(uds=str(socket)),
                base_url="http://postgrest",
                timeout=_REQUEST_LIMIT_S,
            ) as postgrest,
        ):

            async def answering() -> bool | None:
                try:
                    # Until the database's schema is read it answers 503.
                    return (await postgrest.head("/")).status_code < 500 or None
                except httpx.TransportError:
                    return None

            await process.ready(answering)
            async with serve(_door(postgrest, keys), f"Supabase door of {database}") as url:
                yield Supabase(url, keys["anon"], keys["service_role"], process)


def new_secret() -> str:
    """Return a new secret for signing keys."""
    return secrets.token_urlsafe(48)


def _key(role: str, secret: str) -> str:
    # Tokens are equal in every start of the same project, so that exported variables stay valid.
    issued = 1_700_000_000
    expires = int(time.time()) // _TEN_YEARS_S * _TEN_YEARS_S + 2 * _TEN_YEARS_S
    claims = {"iss": "supabase", "ref": "dayfly", "role": role, "iat": issued, "exp": expires}
    return jwt.encode(claims, secret, algorithm="HS256")


def _configuration(database_url: str, socket: Path, secret: str) -> dict[str, str]:
    return {
        "PGRST_DB_URI": database_url,
        "PGRST_DB_SCHEMAS": "public",
        "PGRST_DB_EXTRA_SEARCH_PATH": "public, extensions",
        "PGRST_DB_ANON_ROLE": "anon",
        "PGRST_DB_POOL": "8",
        "PGRST_JWT_SECRET": secret,
        "PGRST_SERVER_UNIX_SOCKET": str(socket),
        "PGRST_LOG_LEVEL": "error",
    }


def _door(postgrest: httpx.AsyncClient, keys: dict[str, str]) -> Starlette:
    async def forward(request: Request) -> Response:
        key = request.headers.get("apikey")
        if request.method != "OPTIONS" and key not in keys.values():
            said = "No API key found in request" if key is None else "Invalid API key"
            return JSONResponse({"message": said, "hint": "Pass SUPABASE_KEY in the header 'apikey'."}, 401)
        headers = [
            (k, v) for k, v in request.headers.items() if k not in _NOT_PASSED_ON | {"accept-encoding"}
        ]
        if key is not None and "authorization" not in request.headers:
            headers.append(("authorization", f"Bearer {key}"))
        path = httpx.URL(path="/" + request.path_params["path"], query=request.url.query.encode())
        try:
            answer = await postgrest.request(
                request.method, path, headers=headers, content=await request.body()
            )
        except httpx.TransportError as exc:
            return JSONResponse({"message": f"PostgREST does not answer: {exc}"}, 502)
        response = Response(answer.content, answer.status_code)
        for name, value in answer.headers.multi_items():
            if name not in _NOT_PASSED_ON:
                response.headers.append(name, value)
        return response

    return Starlette(routes=[Route("/rest/v1/{path:path}", forward, methods=_METHODS)])
