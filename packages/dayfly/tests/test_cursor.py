"""A ledger entry in one attempt's hands: a write never lands on a version that nobody judged."""

import asyncio
from dataclasses import replace

from dayfly.cursor import EntryCursor
from dayfly.ledger import AttemptRecord, Entry, Holder, Ledger, Outcome
from dayfly.testing import InMemoryBlobs

AT = "2026-11-24T09:00:00+00:00"


def attempt(name: str) -> AttemptRecord:
    return AttemptRecord(name, "m1", 1, None, AT)


async def test_a_write_made_while_the_keeper_reads_is_refused_if_the_entry_moved_on() -> None:
    blobs = InMemoryBlobs()
    mine = EntryCursor(Ledger(blobs), "k1")
    await mine.create(Entry("k1", "acme-tasks", Holder("m1", 0, 1, None, None), attempts=(attempt("mine"),)))
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        reading.set()
        await go_on.wait()

    blobs.faults.before("read", slow)
    keeper = asyncio.create_task(mine.read())
    await reading.wait()
    commit = asyncio.create_task(
        mine.swap(mine.entry.with_outcome(Outcome("completed", AT, result="mine"), None, ""))
    )
    await asyncio.sleep(0)
    other = EntryCursor(Ledger(blobs), "k1")
    await other.read()
    await other.swap(replace(other.entry, attempts=(attempt("mine"), attempt("other"))))
    await other.swap(other.entry.with_outcome(Outcome("completed", AT, result="other"), None, ""))

    go_on.set()
    await keeper

    assert await commit is False
    assert mine.outcome.result == "other"
    assert (await Ledger(blobs).read("k1"))[0].outcome.result == "other"
