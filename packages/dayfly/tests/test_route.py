"""The route: obeyed when it can be read, kept as it was when it cannot."""

import json

import pytest
from dayfly.route import ROUTE_BLOB, RouteReader
from dayfly.testing import InMemoryBlobs


@pytest.fixture
def blobs() -> InMemoryBlobs:
    return InMemoryBlobs()


async def test_an_absent_route_allows_whoever_is_deployed(blobs: InMemoryBlobs) -> None:
    assert await RouteReader(blobs).allows("poll")


@pytest.mark.parametrize(
    ("engine", "allowed"), [("poll", True), ("aci", False), ("jobs", False), ("none", False)]
)
async def test_only_the_named_engine_takes_messages(blobs: InMemoryBlobs, engine: str, allowed: bool) -> None:
    await blobs.write(ROUTE_BLOB, json.dumps({"engine": engine}).encode())

    assert await RouteReader(blobs).allows("poll") is allowed


async def test_a_route_that_becomes_unreadable_leaves_things_as_they_were(blobs: InMemoryBlobs) -> None:
    await blobs.write(ROUTE_BLOB, b'{"engine": "poll"}')
    route = RouteReader(blobs)
    await route.allows("poll")

    await blobs.write(ROUTE_BLOB, b'{"engine": "pool"}')
    assert await route.allows("poll")
    blobs.faults.fail("read")
    assert await route.allows("poll")


async def test_a_route_never_read_allows_nothing_new(blobs: InMemoryBlobs) -> None:
    blobs.faults.fail("read")

    assert not await RouteReader(blobs).allows("poll")
