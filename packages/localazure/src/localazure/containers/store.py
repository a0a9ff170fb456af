"""Container groups on disk: one SQLite database, written at every step."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localazure.containers.definitions import GroupDefinition
from localazure.containers.states import GroupRecord, record_from_json, record_to_json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS groups (
    uid TEXT PRIMARY KEY,
    scope TEXT NOT NULL UNIQUE,
    definition TEXT NOT NULL,
    record TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS operations (name TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS operations_by_time ON operations (name, at);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


def scope_of(subscription_id: str, resource_group: str, name: str) -> str:
    """Return what names a group in the database: ARM does not tell upper from lower case."""
    return f"{subscription_id}/{resource_group}/{name}".lower()


class GroupStore:
    """The database; small enough that its calls do not wait for anything.

    Args:
        path: The file; None keeps everything in memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is not None:
            path.touch(mode=0o600)
        self._db = sqlite3.connect(str(path or ":memory:"), isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self._groups: dict[str, tuple[GroupDefinition, GroupRecord]] = {}
        for definition, record in self._db.execute("SELECT definition, record FROM groups ORDER BY rowid"):
            known = record_from_json(json.loads(record))
            self._groups[known.uid] = (GroupDefinition.from_json(json.loads(definition)), known)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def find(self, subscription_id: str, resource_group: str, name: str) -> GroupRecord | None:
        """Return the group of this name."""
        scope = scope_of(subscription_id, resource_group, name)
        return next((record for record in self.records() if _scope(record) == scope), None)

    def records(self) -> Iterator[GroupRecord]:
        """Return all groups, oldest first."""
        return iter([record for _, record in self._groups.values()])

    def record(self, uid: str) -> GroupRecord | None:
        """Return a group by its own id."""
        found = self._groups.get(uid)
        return None if found is None else found[1]

    def definition(self, uid: str) -> GroupDefinition:
        """Return what a group was asked to be.

        Raises:
            KeyError: There is no such group.
        """
        return self._groups[uid][0]

    def put(self, definition: GroupDefinition, record: GroupRecord) -> None:
        """Add a group, or replace all of it."""
        self._db.execute(
            "INSERT INTO groups (uid, scope, definition, record) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (uid) DO UPDATE SET definition = excluded.definition, record = excluded.record",
            (
                record.uid,
                _scope(record),
                json.dumps(definition.to_json()),
                json.dumps(record_to_json(record)),
            ),
        )
        self._groups[record.uid] = (definition, record)

    def put_record(self, record: GroupRecord) -> None:
        """Replace where a group stands; nothing if it is gone."""
        if record.uid in self._groups:
            self._db.execute(
                "UPDATE groups SET record = ? WHERE uid = ?", (json.dumps(record_to_json(record)), record.uid)
            )
            self._groups[record.uid] = (self._groups[record.uid][0], record)

    def remove(self, uid: str) -> None:
        """Forget a group."""
        self._db.execute("DELETE FROM groups WHERE uid = ?", (uid,))
        self._groups.pop(uid, None)

    def add_operation(self, name: str, at: datetime) -> None:
        """Note that an operation was done, and forget those of more than a day ago."""
        self._db.execute("INSERT INTO operations (name, at) VALUES (?, ?)", (name, at.timestamp()))
        self._db.execute("DELETE FROM operations WHERE at < ?", (at.timestamp() - 86_400,))

    def operations_since(self, name: str, since: datetime) -> list[datetime]:
        """Return when an operation was done after `since`, oldest first."""
        rows = self._db.execute(
            "SELECT at FROM operations WHERE name = ? AND at > ? ORDER BY at", (name, since.timestamp())
        )
        return [datetime.fromtimestamp(at, UTC) for (at,) in rows]

    def setting(self, name: str) -> Any:
        """Return a setting kept as JSON, None if there is none."""
        row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def set_setting(self, name: str, value: Any) -> None:
        """Keep a setting."""
        self._db.execute(
            "INSERT INTO settings (name, value) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, json.dumps(value)),
        )


def _scope(record: GroupRecord) -> str:
    return scope_of(record.subscription_id, record.resource_group, record.name)
