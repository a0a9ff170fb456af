import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psycopg
import pytest
import pytest_asyncio
from dayfly_cli.azurite import azurite, new_key
from dayfly_cli.clients import Client
from dayfly_cli.errors import AzureError, ServiceError
from dayfly_cli.postgres import Postgres, postgres
from dayfly_cli.postgrest import supabase
from dayfly_cli.storage import open_storage

#: One server for the tests of this file: each uses databases of its own.
pytestmark = pytest.mark.asyncio(loop_scope="module")

ACME = Client.named("acme-north")
SCHEMA = """
create extension if not exists vector;
create table if not exists notes (id int primary key, place vector(2));
create or replace function nearest(to_place vector) returns setof notes language sql as
  $$ select * from notes order by place <=> to_place $$;
alter table notes enable row level security;
"""


async def test_azurite_answers_and_stops_without_a_trace(
    packages: Path, tmp_path: Path, refuses, is_gone
) -> None:
    async with (
        azurite(packages, tmp_path / "azurite.log", location=None) as account,
        open_storage(account.connection_string) as storage,
    ):
        await storage.create(ACME)
        await storage.create(ACME)  # again: what is there stays
        await storage.put(ACME.queue, "{}")
        assert await storage.count(ACME.queue) == 1
        assert await storage.count(ACME.poison_queue) == 0
        assert await storage.read_json(ACME.container, "route.json") is None
        await storage.write_json(ACME.container, "route.json", {"engine": "aci"})
        assert await storage.read_json(ACME.container, "route.json") == {"engine": "aci"}
        with pytest.raises(AzureError, match="queue nobody-tasks: 404 QueueNotFound"):
            await storage.put("nobody-tasks", "{}")
    assert refuses(account.queue_endpoint)
    assert refuses(account.blob_endpoint)
    assert is_gone(account.process.pid)


async def test_azurite_on_disk_keeps_queues_over_a_restart(packages: Path, tmp_path: Path) -> None:
    key = new_key()
    for expected in (0, 1):
        async with (
            azurite(packages, tmp_path / "azurite.log", location=tmp_path / "data", key=key) as account,
            open_storage(account.connection_string) as storage,
        ):
            await storage.create(ACME)
            assert await storage.count(ACME.queue) == expected
            await storage.put(ACME.queue, "{}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    home = Path(os.environ.get("TMPDIR", "/tmp")) / f"dayfly-test-{os.getpid()}"
    home.mkdir(mode=0o711)
    try:
        async with postgres(home / "postgres", tmp_path_factory.mktemp("logs") / "postgres.log") as running:
            yield running
    finally:
        shutil.rmtree(home)


async def test_a_project_like_supabases_is_served_and_stops_without_a_trace(
    packages: Path, server: Postgres, tmp_path: Path, refuses, is_gone
) -> None:
    await server.create_database("acme-north", SCHEMA)
    await server.create_database("acme-north", SCHEMA)  # again: a second start
    async with supabase(packages, server, "acme-north", tmp_path / "log") as project:
        rest = f"{project.url}/rest/v1"
        service = {"apikey": project.service_role_key, "Authorization": f"Bearer {project.service_role_key}"}
        async with httpx.AsyncClient() as http:
            rows = [{"id": 1, "place": "[1,0]"}, {"id": 2, "place": "[0,1]"}]
            put = await http.post(f"{rest}/notes", json=rows, headers=service)
            assert put.status_code == 201
            near = await http.post(f"{rest}/rpc/nearest", json={"to_place": "[0,1]"}, headers=service)
            assert [row["id"] for row in near.json()] == [2, 1]
            counted = await http.get(f"{rest}/notes?id=eq.1", headers={**service, "Prefer": "count=exact"})
            assert counted.headers["content-range"] == "0-0/1"
            # The row level security of the table holds for everyone but the service role.
            assert (await http.get(f"{rest}/notes", headers={"apikey": project.anon_key})).json() == []
            assert (await http.get(f"{rest}/notes", headers={"apikey": "wrong"})).status_code == 401
            assert (await http.get(f"{rest}/notes")).json()["message"] == "No API key found in request"
            assert (await http.get(f"{project.url}/notes", headers=service)).status_code == 404
    assert refuses(project.url)
    assert is_gone(project.process.pid)


async def test_each_client_has_a_database_of_its_own(server: Postgres) -> None:
    await server.create_database("acme", "create table only_here (id int)")
    await server.create_database("north", "")
    async with await psycopg.AsyncConnection.connect(server.url("north")) as connection:
        found = await connection.execute("select to_regclass('only_here')")
        assert await found.fetchone() == (None,)


async def test_sql_that_is_refused_names_the_database(server: Postgres) -> None:
    with pytest.raises(ServiceError, match=r"refused the schema of database acme: .*syntax"):
        await server.create_database("acme", "create tabel x (id int)")


async def test_postgresql_stops_without_a_trace(server: Postgres, is_gone) -> None:
    # The last test with the server: what follows a restart is the next start's.
    assert await server.answers()
    await server.process.stop()
    assert is_gone(server.process.pid)
    assert await server.answers() is None
