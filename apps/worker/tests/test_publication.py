"""Publishing: one whole version, the newest one, once, whatever is repeated, lost or late."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from worker.blobs import BlobAddress, BlobVersion
from worker.errors import BlobChanged, Misconfigured, RequestRefused, ServiceUnavailable
from worker.payloads import DocumentTask
from worker.publication import Database, Origin, Publication, StagedChunk, publish_newest
from worker.settings import DocumentSettings

TASK = DocumentTask("handbook.pdf", "hr")
ADDRESS = BlobAddress("documents", "hr/handbook.pdf")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def origin(seconds: int = 0, etag: str = "e1", path: str = "hr/handbook.pdf") -> Origin:
    return Origin(TASK, BlobAddress("documents", path), BlobVersion(NOON + timedelta(seconds=seconds), etag))


def chunks(text: str, count: int = 3) -> list[StagedChunk]:
    vector = [float(number) for number in range(1, 9)]
    return [StagedChunk(n, vector, f"{text} {n}", {"position": n}) for n in range(count)]


def contents(supabase: Any) -> list[str]:
    return [row[0] for row in supabase.rows("select content from documents order by content")]


@pytest.fixture
async def database(supabase: Any) -> AsyncIterator[Database]:
    settings = DocumentSettings(supabase_url=supabase.url, supabase_key=supabase.key)
    async with Database(settings, pause_s=0.001) as opened:
        yield opened


async def publish(
    database: Database, text: str, source: Origin, count: int = 3, supersedes: str | None = None
) -> Publication:
    publication = uuid4()
    await database.stage(publication, chunks(text, count))
    return await database.publish_document(publication, count, source, supersedes)


async def test_a_published_document_is_whole_and_nothing_stays_staged(
    database: Database, supabase: Any
) -> None:
    assert await publish(database, "first", origin()) == Publication("published", "e1")
    first = "select filename, document_set, content, metadata, vector::text from documents "
    assert supabase.rows(first + "where content = 'first 0'") == [
        ("handbook.pdf", "hr", "first 0", {"position": 0}, "[1,2,3,4,5,6,7,8]")
    ]
    assert contents(supabase) == ["first 0", "first 1", "first 2"]
    assert supabase.rows("select count(*) from documents_staging") == [(0,)]
    assert supabase.rows("select source, last_modified, etag, chunks from documents_versions") == [
        ("documents/hr/handbook.pdf", NOON, "e1", 3)
    ]


async def test_staged_chunks_are_no_document(database: Database, supabase: Any) -> None:
    await database.stage(uuid4(), chunks("hidden"))
    assert contents(supabase) == []


async def test_the_same_version_published_again_leaves_one_copy(database: Database, supabase: Any) -> None:
    await publish(database, "same", origin())
    assert (await publish(database, "same", origin())).state == "published"
    assert contents(supabase) == ["same 0", "same 1", "same 2"]


async def test_other_documents_are_left_alone(database: Database, supabase: Any) -> None:
    await publish(database, "one", origin(), count=1)
    for other in (DocumentTask("handbook.pdf", "it"), DocumentTask("other.pdf", "hr")):
        source = Origin(other, ADDRESS, BlobVersion(NOON, "e9"))
        await publish(database, f"{other.document_set} {other.filename}", source, count=1)
    assert contents(supabase) == ["hr other.pdf 0", "it handbook.pdf 0", "one 0"]


async def test_a_newer_version_replaces_an_older_one_with_more_chunks(
    database: Database, supabase: Any
) -> None:
    await publish(database, "old", origin(0, "e1"), count=5)
    assert (await publish(database, "new", origin(1, "e0"), count=2)).state == "published"
    assert contents(supabase) == ["new 0", "new 1"]


async def test_an_older_version_replaces_nothing_and_its_chunks_are_dropped(
    database: Database, supabase: Any
) -> None:
    await publish(database, "new", origin(1, "e2"))
    assert await publish(database, "old", origin(0, "e1")) == Publication("newer", "e2")
    assert contents(supabase) == ["new 0", "new 1", "new 2"]
    assert supabase.rows("select count(*) from documents_staging") == [(0,)]


async def test_another_version_of_the_same_second_is_a_question(database: Database, supabase: Any) -> None:
    await publish(database, "one", origin(0, "e1"))
    publication = uuid4()
    await database.stage(publication, chunks("two"))
    assert await database.publish_document(publication, 3, origin(0, "e2")) == Publication(
        "same_second", "e1"
    )
    assert contents(supabase) == ["one 0", "one 1", "one 2"]
    answer = await database.publish_document(publication, 3, origin(0, "e2"), supersedes_etag="e1")
    assert answer == Publication("published", "e2")
    assert contents(supabase) == ["two 0", "two 1", "two 2"]


async def test_what_was_superseded_must_still_stand_there(database: Database) -> None:
    await publish(database, "one", origin(0, "e1"))
    await publish(database, "three", origin(0, "e3"), supersedes="e1")
    assert await publish(database, "two", origin(0, "e2"), supersedes="e1") == Publication(
        "same_second", "e3"
    )


async def test_another_blob_under_the_same_name_replaces_it_whatever_its_age(
    database: Database, supabase: Any
) -> None:
    await publish(database, "one", origin(9, "e1"))
    assert (await publish(database, "moved", origin(0, "e0", path="archive/h.pdf"))).state == "published"
    assert contents(supabase)[0] == "moved 0"


async def test_a_publication_that_misses_chunks_is_not_published(database: Database, supabase: Any) -> None:
    publication = uuid4()
    await database.stage(publication, chunks("part", count=2))
    assert (await database.publish_document(publication, 3, origin())).state == "incomplete"
    assert (await database.publish_document(uuid4(), 0, origin())).state == "incomplete"
    assert contents(supabase) == []


async def test_a_lost_answer_is_asked_for_again_and_changes_nothing(
    database: Database, supabase: Any
) -> None:
    publication = uuid4()
    supabase.faults.append("lose")
    await database.stage(publication, chunks("once"))
    supabase.faults.append("lose")
    assert (await database.publish_document(publication, 3, origin())).state == "published"
    assert contents(supabase) == ["once 0", "once 1", "once 2"]
    assert len(supabase.paths) == 4


async def test_what_a_killed_worker_staged_is_cleaned_after_a_day(database: Database, supabase: Any) -> None:
    dead, alive = uuid4(), uuid4()
    for publication in (dead, alive):
        await database.stage(publication, chunks("staged"))
    age = "update documents_staging set staged_at = now() - interval '25 hours'"
    assert len(supabase.rows(f"{age} where publication = %s returning 1", dead)) == 3
    await publish(database, "other", origin())
    assert supabase.rows("select distinct publication from documents_staging") == [(alive,)]


async def test_discarded_chunks_are_gone(database: Database, supabase: Any) -> None:
    publication = uuid4()
    await database.stage(publication, chunks("staged"))
    await database.discard(publication)
    assert supabase.rows("select count(*) from documents_staging") == [(0,)]


async def test_many_publications_at_once_leave_the_newest_one_whole(
    database: Database, supabase: Any
) -> None:
    async def one(number: int) -> str:
        return (await publish(database, f"v{number}", origin(number, f"e{number}"), count=20)).state

    states = await asyncio.gather(*(one(number) for number in range(8)))
    assert states[7] == "published"
    assert set(states) <= {"published", "newer"}
    assert contents(supabase) == sorted(f"v7 {number}" for number in range(20))


# Summaries ----------------------------------------------------------------------------------------------


async def test_a_summary_follows_the_same_rule(database: Database, supabase: Any) -> None:
    for text, source, state in [
        ("first", origin(1, "e1"), "published"),
        ("again", origin(1, "e1"), "published"),
        ("older", origin(0, "e0"), "newer"),
        ("twin", origin(1, "e2"), "same_second"),
        ("newer", origin(2, "e3"), "published"),
    ]:
        assert (await database.publish_summary(text, {"pieces": 1}, source)).state == state
    assert supabase.rows("select filename, document_set, summary_text, metadata, etag from summaries") == [
        ("handbook.pdf", "hr", "newer", {"pieces": 1}, "e3")
    ]


# Asking storage which version is newer ------------------------------------------------------------------


def answers(*given: Publication) -> Any:
    left, asked = list(given), []

    async def ask(supersedes: str | None) -> Publication:
        asked.append(supersedes)
        return left.pop(0)

    ask.asked = asked  # type: ignore[attr-defined]  # for the tests to look at
    return ask


def storage_holds(etag: str | None) -> Any:
    async def current() -> BlobVersion | None:
        return None if etag is None else BlobVersion(NOON, etag)

    return current


SAME_SECOND = Publication("same_second", "theirs")


async def test_of_one_second_the_version_that_storage_holds_is_newer() -> None:
    ask = answers(SAME_SECOND, Publication("published", "ours"))
    assert await publish_newest(ask, storage_holds("ours"), origin(etag="ours"))
    assert ask.asked == [None, "theirs"]


async def test_of_one_second_the_published_version_stays_when_storage_holds_it() -> None:
    assert not await publish_newest(answers(SAME_SECOND), storage_holds("theirs"), origin(etag="ours"))


@pytest.mark.parametrize("held", ["third", None])
async def test_a_third_version_in_storage_is_read_by_the_next_attempt(held: str | None) -> None:
    with pytest.raises(BlobChanged):
        await publish_newest(answers(SAME_SECOND), storage_holds(held), origin(etag="ours"))


async def test_missing_chunks_are_staged_by_the_next_attempt() -> None:
    with pytest.raises(ServiceUnavailable, match="gone"):
        await publish_newest(answers(Publication("incomplete", None)), storage_holds("ours"), origin())


# Errors -------------------------------------------------------------------------------------------------


async def test_a_gateway_that_fails_is_asked_three_times(database: Database, supabase: Any) -> None:
    supabase.faults += [503, 503, 503]
    with pytest.raises(ServiceUnavailable):
        await database.discard(uuid4())
    assert len(supabase.paths) == 3


async def test_a_wrong_key_is_a_matter_of_settings(supabase: Any) -> None:
    settings = DocumentSettings(supabase_url=supabase.url, supabase_key="not.a.token")
    async with Database(settings) as database:
        with pytest.raises(Misconfigured, match="check SUPABASE_URL and SUPABASE_KEY"):
            await database.discard(uuid4())


async def test_a_role_without_rights_is_a_matter_of_settings(supabase: Any) -> None:
    settings = DocumentSettings(supabase_url=supabase.url, supabase_key=supabase.token("anon"))
    async with Database(settings) as database:
        with pytest.raises(Misconfigured, match="check SUPABASE_URL and SUPABASE_KEY"):
            await database.publish_summary("text", {}, origin())


async def test_a_missing_table_is_told_with_the_way_out(supabase: Any) -> None:
    settings = DocumentSettings(
        supabase_url=supabase.url, supabase_key=supabase.key, vector_table_name="elsewhere"
    )
    async with Database(settings) as database:
        for call in (database.discard(uuid4()), database.publish_document(UUID(int=1), 1, origin())):
            with pytest.raises(Misconfigured, match=r"python -m worker\.schema"):
                await call


async def test_vectors_of_another_length_than_the_tables_are_a_matter_of_settings(database: Database) -> None:
    with pytest.raises(Misconfigured, match="OPENAI_EMBEDDING_DIMENSIONS"):
        await database.stage(uuid4(), [StagedChunk(0, [1.0, 2.0], "text", {})])


async def test_a_value_that_no_database_takes_is_refused(database: Database) -> None:
    with pytest.raises(RequestRefused):
        await database.stage(uuid4(), [StagedChunk(0, [1.0] * 8, "zero \x00 byte", {})])


async def test_a_project_that_is_not_there_is_tried_again() -> None:
    settings = DocumentSettings(supabase_url="http://127.0.0.1:9", supabase_key="key")
    async with Database(settings, pause_s=0) as database:
        with pytest.raises(ServiceUnavailable, match="did not answer"):
            await database.discard(uuid4())


def test_without_url_and_key_both_are_named() -> None:
    with pytest.raises(Misconfigured, match="SUPABASE_URL, SUPABASE_KEY"):
        Database(DocumentSettings())
