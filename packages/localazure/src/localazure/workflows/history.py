"""The history: one SQLite file that a run can be gone on with from.

Promises:
- Every write is committed (write-ahead log) when its method returns; `transaction()` makes several one.
- One writer: the methods are synchronous, take about a millisecond, and belong to the event loop's thread.
- Readers for others (`workflow`, `run`, `runs`, `action`, `actions`, `repetitions`, `scope_repetitions`,
  `trigger_history`, `trigger_histories`) never show hidden inputs and outputs nor values of SecureString
  and SecureObject parameters. (`workflow` does hold its parameters: show `public_parameters`.)
- The engine's own readers (`run_state` …) show all.
- Runs keep the version of the workflow they began with.

(Longer than other modules: one file, one class, one method per question, and each says what it promises.)
"""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from localazure.workflows.naming import descending_ticks
from localazure.workflows.records import (
    FINAL,
    ActionRecord,
    IterationRecord,
    RunRecord,
    TimerRecord,
    TriggerHistoryRecord,
    VariableRecord,
    WorkflowRecord,
    WorkflowState,
)
from localazure.workflows.rows import SCHEMA, decode, encode
from localazure.workflows.secrecy import secret_values, shown_action, shown_run, shown_trigger_history

T = TypeVar("T")


class History:
    """Keeps workflows and their runs.

    Args:
        path: The database file, made if it is not there; `":memory:"` keeps nothing.
    """

    def __init__(self, path: Path | str) -> None:
        if isinstance(path, Path):  # credentials of actions lie in it: for its owner alone
            path.touch(mode=0o600)
        self._database = sqlite3.connect(path, isolation_level=None)
        # Survives the death of the process at any moment; WAL lets others read meanwhile.
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(SCHEMA)
        self._depth = 0
        self._secrets: dict[tuple[str, str], frozenset[str]] = {}

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all writes inside the block one: all or nothing. May be nested; the outermost commits.

        Nothing inside may await: the event loop's other tasks would write into the same transaction.
        """
        if self._depth:
            yield
            return
        self._database.execute("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        else:
            self._database.execute("COMMIT")
        finally:
            self._depth = 0

    # Workflows

    def put_workflow(self, workflow: WorkflowRecord, now: datetime) -> WorkflowRecord:
        """Create or replace a workflow; return it with version, created_at and changed_at set.

        The version is a new one unless definition, parameters and identity are as they were.
        """
        before = self.workflow(workflow.id)
        kept = before is not None and _runs_alike(before, workflow)
        put = dataclasses.replace(
            workflow,
            version=before.version if before and kept else self._new_version(workflow.id, now),
            created_at=before.created_at if before else now,
            changed_at=now,
        )
        with self.transaction():
            self._put("workflows", {"id": _key(put.id)}, put)
            self._put("workflow_versions", {"workflow_id": _key(put.id), "version": put.version}, put)
        return put

    def workflow(self, workflow_id: str) -> WorkflowRecord | None:
        """Return the newest version of a workflow, None if there is none of that id."""
        return self._one(WorkflowRecord, "workflows", {"id": _key(workflow_id)})

    def workflow_version(self, workflow_id: str, version: str) -> WorkflowRecord | None:
        """Return a workflow as it was in a version (kept as long as the workflow is)."""
        key = {"workflow_id": _key(workflow_id), "version": version}
        return self._one(WorkflowRecord, "workflow_versions", key)

    def workflows(self) -> list[WorkflowRecord]:
        """Return all workflows in their newest version, by id."""
        return self._all(WorkflowRecord, "SELECT record FROM workflows ORDER BY id")

    def set_workflow_state(self, workflow_id: str, state: WorkflowState, now: datetime) -> None:
        """Enable or disable; no workflow of that id is fine."""
        workflow = self.workflow(workflow_id)
        if workflow is not None:
            changed = dataclasses.replace(workflow, state=state, changed_at=now)
            self._put("workflows", {"id": _key(workflow_id)}, changed)

    def delete_workflow(self, workflow_id: str) -> bool:
        """Remove a workflow, its timers, its runs and trigger histories; False if there was none."""
        key = _key(workflow_id)
        with self.transaction():
            for run in self._all(RunRecord, "SELECT record FROM runs WHERE workflow_id = ?", key):
                self._delete_run(run.name)
            for table, column in (
                ("workflow_versions", "workflow_id"),
                ("trigger_histories", "workflow_id"),
                ("timers", "owner"),
            ):
                self._delete(table, {column: key})
            return self._delete("workflows", {"id": key}) > 0

    # Runs, for readers

    def run(self, name: str) -> RunRecord | None:
        """Return a run, None if there is none called so."""
        run = self.run_in_full(name)
        return run and shown_run(run, self._secrets_of(run))

    def runs(
        self, workflow_id: str | None = None, *, statuses: Sequence[str] = (), limit: int | None = None
    ) -> list[RunRecord]:
        """Return runs, the newest first; workflow None = of all, `statuses` empty = any, limit None = all."""
        where, values = ["1"], list[Any]()
        if workflow_id is not None:
            where.append("workflow_id = ?")
            values.append(_key(workflow_id))
        if statuses:
            where.append(f"status IN ({', '.join('?' * len(statuses))})")
            values.extend(statuses)
        query = f"SELECT record FROM runs WHERE {' AND '.join(where)} ORDER BY name LIMIT ?"  # noqa: S608 - no value in it
        runs = self._all(RunRecord, query, *values, -1 if limit is None else limit)
        return [shown_run(run, self._secrets_of(run)) for run in runs]

    def actions(self, run_name: str) -> list[ActionRecord]:
        """Return one record per action of a run, by start; of actions in loops the last repetition."""
        query = (
            "SELECT record FROM (SELECT record, MAX(repetition), rowid AS place FROM actions"
            " WHERE run_name = ? GROUP BY name) ORDER BY place"
        )
        return self._shown(run_name, self._all(ActionRecord, query, run_name))

    def action(self, run_name: str, name: str) -> ActionRecord | None:
        """Return one of `actions` by its name (case does not matter), None if it has not begun."""
        repetitions = self.repetitions(run_name, name)
        return repetitions[-1] if repetitions else None

    def repetitions(self, run_name: str, name: str) -> list[ActionRecord]:
        """Return every execution of an action in loops, in order of iteration."""
        query = "SELECT record FROM actions WHERE run_name = ? AND name = ? ORDER BY repetition"
        return self._shown(run_name, self._all(ActionRecord, query, run_name, _key(name)))

    def scope_repetitions(self, run_name: str, name: str) -> list[IterationRecord]:
        """Return the turns of a loop, in order."""
        query = "SELECT record FROM iterations WHERE run_name = ? AND name = ? ORDER BY repetition"
        return self._all(IterationRecord, query, run_name, _key(name))

    # Trigger histories and timers

    def put_trigger_history(self, record: TriggerHistoryRecord) -> None:
        """Create or replace the history of one look of a trigger."""
        key = _trigger_key(record.workflow_id, record.trigger_name, record.name)
        self._put("trigger_histories", key, record)

    def trigger_history(self, workflow_id: str, trigger_name: str, name: str) -> TriggerHistoryRecord | None:
        """Return one, None if there is none."""
        key = _trigger_key(workflow_id, trigger_name, name)
        record = self._one(TriggerHistoryRecord, "trigger_histories", key)
        return record and shown_trigger_history(record, self._newest_secrets(workflow_id))

    def trigger_histories(
        self, workflow_id: str, trigger_name: str, *, limit: int | None = None
    ) -> list[TriggerHistoryRecord]:
        """Return a trigger's histories, the newest first (by name, as `NameSource` makes them)."""
        query = (
            "SELECT record FROM trigger_histories WHERE workflow_id = ? AND trigger_name = ?"
            " ORDER BY name LIMIT ?"
        )
        bounds = (_key(workflow_id), _key(trigger_name), -1 if limit is None else limit)
        secrets = self._newest_secrets(workflow_id)
        return [shown_trigger_history(it, secrets) for it in self._all(TriggerHistoryRecord, query, *bounds)]

    def set_timer(self, timer: TimerRecord) -> None:
        """Create or replace a timer."""
        key = {"owner": _key(timer.owner), "name": _key(timer.name)}
        self._put("timers", key, timer, due_at=timer.due_at.isoformat())

    def timer(self, owner: str, name: str) -> TimerRecord | None:
        """Return one, None if there is none."""
        return self._one(TimerRecord, "timers", {"owner": _key(owner), "name": _key(name)})

    def timers(self, owner: str | None = None) -> list[TimerRecord]:
        """Return timers by due time; owner None = everybody's."""
        query = "SELECT record FROM timers WHERE ? IS NULL OR owner = ? ORDER BY due_at"
        key = None if owner is None else _key(owner)
        return self._all(TimerRecord, query, key, key)

    def delete_timer(self, owner: str, name: str) -> None:
        """Remove one; none there is fine."""
        self._delete("timers", {"owner": _key(owner), "name": _key(name)})

    # Runs, for the engine: nothing hidden

    def put_run(self, run: RunRecord) -> None:
        """Create or replace a run."""
        self._put("runs", {"name": run.name}, run, workflow_id=_key(run.workflow_id), status=run.status)

    def put_action(self, action: ActionRecord, variables: Sequence[VariableRecord] = ()) -> None:
        """Create or replace an action's record, and set variables with it."""
        with self.transaction():
            key = {"run_name": action.run_name, "name": _key(action.name), "repetition": action.repetition}
            self._put("actions", key, action)
            for variable in variables:
                self._put("variables", {"run_name": variable.run_name, "name": _key(variable.name)}, variable)

    def put_iteration(self, iteration: IterationRecord) -> None:
        """Create or replace a loop's turn."""
        key = {
            "run_name": iteration.run_name,
            "name": _key(iteration.name),
            "repetition": iteration.repetition,
        }
        self._put("iterations", key, iteration)

    def run_in_full(self, name: str) -> RunRecord | None:
        """Return a run, None if there is none called so."""
        return self._one(RunRecord, "runs", {"name": name})

    def actions_in_full(self, run_name: str) -> list[ActionRecord]:
        """Return every execution of every action of a run, by start."""
        query = "SELECT record FROM actions WHERE run_name = ? ORDER BY rowid"
        return self._all(ActionRecord, query, run_name)

    def iterations_in_full(self, run_name: str) -> list[IterationRecord]:
        """Return every turn of every loop of a run, by start."""
        query = "SELECT record FROM iterations WHERE run_name = ? ORDER BY rowid"
        return self._all(IterationRecord, query, run_name)

    def variables(self, run_name: str) -> list[VariableRecord]:
        """Return a run's variables as they are now."""
        return self._all(
            VariableRecord, "SELECT record FROM variables WHERE run_name = ? ORDER BY rowid", run_name
        )

    def forget(self, before: datetime) -> None:
        """Remove finished runs that ended before a moment, and trigger histories of looks before it."""
        # The later, the smaller the name: those of before the moment, and only those, sort after this one.
        name = f"{descending_ticks(before) + 1:020d}"
        finished = sorted(FINAL)
        query = f"SELECT record FROM runs WHERE name > ? AND status IN ({', '.join('?' * len(finished))})"  # noqa: S608 - no value in it
        with self.transaction():
            for run in self._all(RunRecord, query, name, *finished):
                if run.end_time is not None and run.end_time < before:
                    self._delete_run(run.name)
            self._database.execute("DELETE FROM trigger_histories WHERE name > ?", (name,))

    # Rows

    def _put(self, table: str, key: dict[str, str], record: Any, **columns: str) -> None:
        row = {**key, **columns, "record": encode(record)}
        updates = ", ".join(f"{name} = excluded.{name}" for name in row if name not in key)
        # An upsert, not a replacement: the row keeps its rowid, which is the order of starts.
        self._database.execute(
            f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608 - our own names
            f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {updates}",
            tuple(row.values()),
        )

    def _one(self, kind: type[T], table: str, key: dict[str, str]) -> T | None:
        where = " AND ".join(f"{name} = ?" for name in key)
        query = f"SELECT record FROM {table} WHERE {where}"  # noqa: S608 - our own names
        found = self._all(kind, query, *key.values())
        return found[0] if found else None

    def _all(self, kind: type[T], query: str, *values: Any) -> list[T]:
        return [decode(kind, row[0]) for row in self._database.execute(query, values)]

    def _delete(self, table: str, key: dict[str, str]) -> int:
        where = " AND ".join(f"{name} = ?" for name in key)
        return self._database.execute(
            f"DELETE FROM {table} WHERE {where}",  # noqa: S608 - our own names
            tuple(key.values()),
        ).rowcount

    def _delete_run(self, name: str) -> None:
        for table in ("actions", "iterations", "variables"):
            self._delete(table, {"run_name": name})
        self._delete("runs", {"name": name})

    def _new_version(self, workflow_id: str, now: datetime) -> str:
        ticks = descending_ticks(now)
        while self.workflow_version(workflow_id, f"{ticks:020d}"):
            ticks -= 1
        return f"{ticks:020d}"

    # What must not show

    def _shown(self, run_name: str, actions: list[ActionRecord]) -> list[ActionRecord]:
        run = self.run_in_full(run_name)
        secrets = self._secrets_of(run) if run else frozenset[str]()
        return [shown_action(action, secrets) for action in actions]

    def _secrets_of(self, run: RunRecord) -> frozenset[str]:
        key = (_key(run.workflow_id), run.workflow_version)
        if key not in self._secrets:
            workflow = self.workflow_version(*key)
            self._secrets[key] = (
                secret_values(workflow.definition, workflow.parameters) if workflow else frozenset()
            )
        return self._secrets[key]

    def _newest_secrets(self, workflow_id: str) -> frozenset[str]:
        workflow = self.workflow(workflow_id)
        return secret_values(workflow.definition, workflow.parameters) if workflow else frozenset()


def _key(text: str) -> str:
    return text.lower()


def _trigger_key(workflow_id: str, trigger_name: str, name: str) -> dict[str, str]:
    return {"workflow_id": _key(workflow_id), "trigger_name": _key(trigger_name), "name": name}


def _runs_alike(one: WorkflowRecord, other: WorkflowRecord) -> bool:
    return (one.definition, one.parameters, one.identity) == (
        other.definition,
        other.parameters,
        other.identity,
    )
