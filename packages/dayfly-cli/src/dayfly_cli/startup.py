"""Starts the laptop's cloud: what needs nothing of each other at once, and stops it in reverse order."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dayfly_cli.azurite import Azurite, azurite, new_key
from dayfly_cli.clients import Client
from dayfly_cli.cloud import Cloud, Engine, Options
from dayfly_cli.control_plane import ControlPlane, control_plane
from dayfly_cli.environment import Given, Service
from dayfly_cli.errors import DayflyError, InputError, ServiceError
from dayfly_cli.inbox import inbox
from dayfly_cli.node import npm_packages
from dayfly_cli.openai_server import openai_server
from dayfly_cli.poller import poller
from dayfly_cli.postgres import Postgres, postgres
from dayfly_cli.postgrest import new_secret, supabase
from dayfly_cli.processes import Child, python_environment
from dayfly_cli.state import State
from dayfly_cli.storage import Storage, open_storage
from dayfly_cli.workflows import HOUSEKEEPER, find_definition, housekeeper, launcher

_SCHEMA_LIMIT_S = 60.0


@asynccontextmanager
async def laptop_cloud(
    options: Options, given: Given, state: State, say: Callable[[str], None]
) -> AsyncIterator[Cloud]:
    """Start everything; stop it on leaving the context, engines first.

    Args:
        options: what the user chose.
        given: what the user's environment replaces.
        state: the prepared state folder.
        say: told one line at each step.

    Raises:
        DayflyError: something did not come up; what had, is stopped.
    """
    # Read before anything is started: a missing file is told at once.
    definitions = {name: find_definition(name) for name in ("launcher", "housekeeper")}
    packages = await asyncio.to_thread(npm_packages, say)
    async with AsyncExitStack() as services, AsyncExitStack() as engines:
        starter = _Starter(options, given, state, packages, say, services, engines)
        cloud = await starter.start()
        await _put_workflows(cloud, definitions)
        if options.engine is not Engine.ACI:
            for client in options.clients:
                log = state.logs / f"poller-{client.client_id}.log"
                # As many tasks at one time as there would be containers.
                at_once = {"WORKER_MAX_MESSAGES": str(options.max_containers)}
                worker = at_once | cloud.worker_environment(client)
                await engines.enter_async_context(poller(client, worker, log))
            say("poller: started")
        yield cloud


class _Starter:
    """Starts the services, those that do not need each other at the same time."""

    def __init__(
        self,
        options: Options,
        given: Given,
        state: State,
        packages: Path,
        say: Callable[[str], None],
        services: AsyncExitStack,
        engines: AsyncExitStack,
    ) -> None:
        self.options = options
        self.given = given
        self.state = state
        self.packages = packages
        self.say = say
        self.services = services
        self.engines = engines

    async def start(self) -> Cloud:
        """Start everything but the engines of polling clients."""
        try:
            async with asyncio.TaskGroup() as group:
                storing = group.create_task(self._storage())
                database = group.create_task(self._databases())
                models = group.create_task(self._models())
                box = group.create_task(self.services.enter_async_context(inbox(self.state.deliveries)))
        except BaseExceptionGroup as exc:
            raise _first(exc) from exc
        account, storage, plane = storing.result()
        server, services, children = database.result()
        own_key = self.given.internal_api_key or self._secret("internal-api-key", secrets.token_urlsafe)
        return Cloud(
            self.options,
            self.given,
            self.state,
            storage,
            account,
            plane,
            box.result(),
            models.result(),
            services,
            server,
            own_key,
            vital=[account.process, *children],
        )

    async def _storage(self) -> tuple[Azurite, Storage, ControlPlane]:
        location = self.state.azurite if self.options.durable else None
        key = self._secret("storage-key", new_key)
        account = await self.services.enter_async_context(
            azurite(self.packages, self.state.logs / "azurite.log", location=location, key=key)
        )
        storage = await self.services.enter_async_context(open_storage(account.connection_string))
        await asyncio.gather(*(self._client(storage, client) for client in self.options.clients))
        self.say("storage: Azurite, with queues and containers")
        plane = await self.engines.enter_async_context(
            control_plane(
                self.state.localazure,
                self.state.logs / "localazure.log",
                account,
                minimum_poll_s=min(1.0, self.options.poll_s),
            )
        )
        self.say("ARM: localazure")
        return account, storage, plane

    async def _client(self, storage: Storage, client: Client) -> None:
        await storage.create(client)
        engine = self.options.engine
        if engine is Engine.BOTH:
            # The route decides, so one that was set before stays.
            if await storage.read_json(client.container, "route.json") is not None:
                return
            engine = Engine.ACI
        now = datetime.now(UTC).isoformat(timespec="seconds")
        await storage.write_json(
            client.container, "route.json", {"engine": engine.value, "since": now, "by": "dayfly up"}
        )

    async def _models(self) -> Service:
        if self.given.openai is not None:
            self.say("models: your own (OPENAI_API_KEY, OPENAI_API_BASE)")
            return self.given.openai
        key = self._secret("openai-api-key", lambda: f"sk-local-{secrets.token_urlsafe(24)}")
        server = await self.services.enter_async_context(openai_server(key))
        return Service(server.base_url, server.api_key)

    async def _databases(self) -> tuple[Postgres | None, dict[str, Service], list[Child]]:
        if self.given.supabase is not None:
            self.say("database: your own (SUPABASE_URL, SUPABASE_KEY)")
            return None, {client.client_id: self.given.supabase for client in self.options.clients}, []
        schema = asyncio.create_task(self._schema())
        try:
            server = await self.services.enter_async_context(
                postgres(self.state.postgres, self.state.logs / "postgres.log")
            )
            sql = await schema
        finally:
            schema.cancel()
        for client in self.options.clients:
            # One after the other: roles belong to the whole server, and two at once would both create them.
            await server.create_database(client.client_id, sql)
        found = await asyncio.gather(*(self._database(server, client) for client in self.options.clients))
        self.say("database: PostgreSQL with pgvector, behind PostgREST")
        services = {client_id: service for client_id, service, _ in found}
        return server, services, [server.process, *(child for _, _, child in found)]

    async def _database(self, server: Postgres, client: Client) -> tuple[str, Service, Child]:
        name = client.client_id
        secret = self._secret(f"supabase-{name}", new_secret)
        log = self.state.logs / f"postgrest-{name}.log"
        project = await self.services.enter_async_context(
            supabase(self.packages, server, name, log, secret=secret)
        )
        return name, Service(project.url, project.service_role_key), project.process

    async def _schema(self) -> str:
        """Return the worker's SQL; the worker is a command to us, not a module."""
        env = {**python_environment(), **self.given.worker}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "worker.schema"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=env,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), _SCHEMA_LIMIT_S)
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode != 0:
            last = (err.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
            complaint = last.partition("worker.schema: error: ")[2]
            if complaint:  # a setting of the user's environment
                raise InputError(complaint)
            raise ServiceError(f"python -m worker.schema ended with exit code {process.returncode}: {last}")
        return out.decode()

    def _secret(self, name: str, make: Callable[[], str]) -> str:
        return self.state.secret(name, make)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error to tell of several that came together: one of ours, else any."""
    flat: list[BaseException] = []
    for exc in group.exceptions:
        flat += [_first(exc)] if isinstance(exc, BaseExceptionGroup) else [exc]
    return next((exc for exc in flat if isinstance(exc, DayflyError)), flat[0])


async def _put_workflows(cloud: Cloud, definitions: Mapping[str, Mapping[str, Any]]) -> None:
    plane, options = cloud.plane, cloud.options
    bodies = {
        client.launcher: launcher(
            definitions["launcher"],
            plane,
            client,
            cloud.account.account,
            cloud.worker_environment(client),
            enabled=options.engine is not Engine.POLL,
            poll_s=options.poll_s,
            max_containers=options.max_containers,
        )
        for client in options.clients
    }
    bodies[HOUSEKEEPER] = housekeeper(
        definitions["housekeeper"],
        plane,
        options.clients,
        cloud.account.account,
        cloud.worker_environment(options.clients[0]),
    )
    for name, body in bodies.items():
        await plane.client.put_workflow(name, body)
