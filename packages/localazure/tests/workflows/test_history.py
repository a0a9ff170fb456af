"""The history as others read and write it."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from localazure.workflows.history import History
from localazure.workflows.naming import NameSource, descending_ticks
from localazure.workflows.records import (
    ActionRecord,
    RunRecord,
    TimerRecord,
    TriggerFiring,
    TriggerHistoryRecord,
    WorkflowRecord,
)

NOW = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
WORKFLOW = WorkflowRecord("/Subscriptions/S/workflows/W", "W", {"actions": {}}, tags={"a": "b"})


def run(name: str, status: str = "Running", **more: Any) -> RunRecord:
    return RunRecord(name, WORKFLOW.id, "1", status, TriggerFiring("t", start_time=NOW), NOW, **more)


def test_a_workflow_is_found_in_any_case_and_keeps_its_spelling(history: History) -> None:
    put = history.put_workflow(WORKFLOW, NOW)
    found = history.workflow(WORKFLOW.id.upper())
    assert found == put
    assert found is not None
    assert (found.id, found.created_at, found.changed_at) == (WORKFLOW.id, NOW, NOW)
    assert history.workflow("/other") is None


def test_a_new_definition_is_a_new_version_and_the_same_one_is_not(history: History) -> None:
    first = history.put_workflow(WORKFLOW, NOW)
    same = history.put_workflow(WORKFLOW, NOW + timedelta(hours=1))
    changed = history.put_workflow(dataclasses.replace(WORKFLOW, definition={"actions": {"A": {}}}), NOW)
    assert first.version == same.version != changed.version
    assert same.created_at == NOW
    old = history.workflow_version(WORKFLOW.id, first.version)
    assert old is not None
    assert old.definition == {"actions": {}}


def test_a_workflow_is_disabled_and_enabled_in_its_version(history: History) -> None:
    put = history.put_workflow(WORKFLOW, NOW)
    history.set_workflow_state(WORKFLOW.id, "Disabled", NOW + timedelta(hours=1))
    found = history.workflow(WORKFLOW.id)
    assert found is not None
    assert (found.state, found.version) == ("Disabled", put.version)
    history.set_workflow_state("/other", "Enabled", NOW)


def test_a_deleted_workflow_takes_all_that_is_its_own_along(history: History) -> None:
    history.put_workflow(WORKFLOW, NOW)
    history.put_run(run("r"))
    history.put_action(ActionRecord("r", "A", "", "Compose", "Running", NOW))
    history.set_timer(TimerRecord(WORKFLOW.id, "t", NOW))
    history.put_trigger_history(TriggerHistoryRecord(WORKFLOW.id, "t", "h", "Succeeded", NOW))
    assert history.delete_workflow(WORKFLOW.id.lower())
    assert not history.delete_workflow(WORKFLOW.id)
    assert history.workflows() == []
    assert history.runs() == []
    assert history.actions("r") == []
    assert history.timers() == []
    assert history.trigger_histories(WORKFLOW.id, "t") == []


def test_runs_are_listed_the_newest_first_and_by_status(history: History) -> None:
    names = NameSource()
    made = [run(names.next(NOW), status) for status in ("Succeeded", "Failed", "Running")]
    for each in made:
        history.put_run(each)
    assert [it.status for it in history.runs(WORKFLOW.id.lower())] == ["Running", "Failed", "Succeeded"]
    assert [it.status for it in history.runs(statuses=("Failed", "Succeeded"))] == ["Failed", "Succeeded"]
    assert len(history.runs(limit=2)) == 2
    assert history.runs("/other") == []


def test_records_come_back_as_they_were_put(history: History) -> None:
    action = ActionRecord(
        "r",
        "Some action",
        "000000-000003",
        "Http",
        "Failed",
        NOW,
        code="NotFound",
        end_time=NOW,
        inputs={"a": [1, 2.0, None, "ä"]},
        outputs=0,
        error={"code": "x", "message": "y"},
        retry_history=({"n": 1},),
        repetition_indexes=({"scopeName": "L", "itemIndex": 3},),
        has_inputs=True,
        has_outputs=True,
        state={"k": 1},
    )
    history.put_run(run("r", outputs={"o": {"type": "Int", "value": 1}}, wait_end_time=NOW))
    history.put_action(action)
    assert history.run_in_full("r") == run("r", outputs={"o": {"type": "Int", "value": 1}}, wait_end_time=NOW)
    (found,) = history.actions_in_full("r")
    assert found == action
    assert type(found.inputs["a"][1]) is float


def test_of_an_action_in_a_loop_the_last_repetition_is_listed_in_order_of_starts(history: History) -> None:
    history.put_run(run("r"))
    for name, repetition in (("B", ""), ("A", "000000"), ("A", "000001"), ("C", "")):
        history.put_action(ActionRecord("r", name, repetition, "Compose", "Running", NOW))
    history.put_action(ActionRecord("r", "B", "", "Compose", "Succeeded", NOW))
    assert [(it.name, it.repetition) for it in history.actions("r")] == [
        ("B", ""),
        ("A", "000001"),
        ("C", ""),
    ]
    found = history.action("r", "a")
    assert found is not None
    assert found.repetition == "000001"


def test_a_transaction_is_all_or_nothing_however_deep(history: History) -> None:
    def write_and_break() -> None:
        with history.transaction():
            history.put_run(run("a"))
            with history.transaction():
                history.put_run(run("b"))
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_and_break()
    assert history.runs() == []
    with history.transaction():
        history.put_run(run("a"))
    assert len(history.runs()) == 1


def test_timers_are_listed_by_due_time(history: History) -> None:
    for name, hours in (("late", 5), ("soon", 1), ("next", 3)):
        history.set_timer(TimerRecord("/w", name, NOW + timedelta(hours=hours), {"n": hours}))
    history.set_timer(TimerRecord("/other", "soon", NOW))
    history.set_timer(TimerRecord("/w", "late", NOW + timedelta(hours=2), {"n": 2}))
    history.delete_timer("/W", "NEXT")
    assert [it.name for it in history.timers("/W")] == ["soon", "late"]
    assert len(history.timers()) == 3
    found = history.timer("/w", "late")
    assert found is not None
    assert (found.due_at, found.payload) == (NOW + timedelta(hours=2), {"n": 2})
    assert history.timer("/w", "next") is None


def test_trigger_histories_are_listed_the_newest_first_without_what_is_hidden(history: History) -> None:
    names = NameSource()
    for hide in (False, True):
        record = TriggerHistoryRecord(
            WORKFLOW.id,
            "When",
            names.next(NOW),
            "Succeeded",
            NOW,
            fired=True,
            outputs={"body": 1},
            hide_outputs=hide,
        )
        history.put_trigger_history(record)
    newest, older = history.trigger_histories(WORKFLOW.id, "when")
    assert (newest.outputs, older.outputs) == (None, {"body": 1})
    assert history.trigger_history(WORKFLOW.id, "WHEN", older.name) == older
    assert len(history.trigger_histories(WORKFLOW.id, "when", limit=1)) == 1


def test_a_file_is_found_again(tmp_path: Path) -> None:
    first = History(tmp_path / "h.db")
    first.put_workflow(WORKFLOW, NOW)
    first.close()
    second = History(tmp_path / "h.db")
    assert [it.name for it in second.workflows()] == ["W"]
    second.close()


def test_a_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    history = History(tmp_path / "h.db")
    history.put_run(run("1"))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    history.close()


def test_names_get_smaller_with_time() -> None:
    names = NameSource()
    made = [names.next(NOW), names.next(NOW), names.next(NOW + timedelta(seconds=1))]
    assert made == sorted(made, reverse=True)
    # A version that Azure gave out at about this time begins with these digits.
    moment = datetime(2018, 9, 6, 8, 49, 50, tzinfo=UTC)
    assert f"{descending_ticks(moment):020d}".startswith("0858665383")
