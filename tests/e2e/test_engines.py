"""One worker, two engines: launcher and poller give the same, and the route decides whose turn it is."""

import json
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.timeout(150)


async def rows(laptop, table: str, filename: str) -> list[dict[str, Any]]:
    """What a reader of the database sees of a document, without ids and times."""
    client = laptop.up["clients"]["acme"]
    async with httpx.AsyncClient() as http:
        answer = await http.get(
            f"{client['supabase_url']}/rest/v1/{table}",
            params={"filename": f"eq.{filename}"},
            headers={"apikey": client["supabase_key"], "Authorization": f"Bearer {client['supabase_key']}"},
        )
    answer.raise_for_status()
    told = ("id", "created_at", "updated_at")
    found = [{name: value for name, value in row.items() if name not in told} for row in answer.json()]
    return sorted(found, key=json.dumps)


async def turn_route(laptop, engine: str) -> None:
    blob = laptop.blobs.get_blob_client("acme-dayfly", "route.json")
    await blob.upload_blob(
        json.dumps({"engine": engine, "since": "2026-11-24T09:00:00Z", "by": "a test"}).encode(),
        overwrite=True,
    )


@pytest.fixture
async def route_of_its_own(laptop):
    yield
    await turn_route(laptop, "aci")
    await laptop.until(lambda: poller_sees(laptop, "aci"), "the poller has seen that it is not its turn")


async def poller_sees(laptop, engine: str) -> bool:
    """Whether the heartbeat says so; a poller reads the route every ten seconds."""
    async with laptop.blobs.get_container_client("acme-dayfly") as container:
        names = [blob.name async for blob in container.list_blobs("pollers/")]
    return [(await laptop.blob(name))["route"] for name in names] == [engine]


@pytest.mark.usefixtures("route_of_its_own")
async def test_both_engines_give_the_same_results_and_rows(laptop) -> None:
    text = "".join(
        f"# Part {n}\n\n" + f"Sentence number {n} of the workshop's rules. " * 30 for n in range(8)
    )
    name = await laptop.upload("engines.md", text)
    by_launcher = [await laptop.settled(await laptop.submit(name, kind)) for kind in ("ingest", "summarize")]
    launched_rows = await rows(laptop, "documents", name), await rows(laptop, "summaries", name)
    await laptop.quiet()

    await turn_route(laptop, "poll")
    by_poller = [await laptop.settled(await laptop.submit(name, kind)) for kind in ("ingest", "summarize")]
    polled_rows = await rows(laptop, "documents", name), await rows(laptop, "summaries", name)

    assert [e["outcome"]["result"] for e in by_launcher] == [e["outcome"]["result"] for e in by_poller]
    assert launched_rows == polled_rows
    assert len(launched_rows[0]) > 5
    assert len(launched_rows[1]) == 1
    assert all(e["attempts"][-1]["container_group"] for e in by_launcher)
    assert not any(e["attempts"][-1]["container_group"] for e in by_poller)
    await laptop.quiet()
