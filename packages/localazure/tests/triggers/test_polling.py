"""Triggers that poll: the Azure Queues connector and plain addresses."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from localazure.errors import ArmError

HOST = {"connection": {"name": "@parameters('$connections')['azurequeues']['connectionId']"}}
SPLIT = "@triggerBody()?['QueueMessagesList']?['QueueMessage']"
NAP = {"Nap": {"type": "Wait", "inputs": {"interval": {"count": 10, "unit": "Minute"}}}}
SAY = {"Say": {"type": "Compose", "inputs": "@triggerBody()"}}


def queue_trigger(path: str = "message_trigger", **more: Any) -> dict[str, Any]:
    queries = more.pop("queries", {"visibilitytimeout": "3600"})
    return {
        "Queue": {
            "type": "ApiConnection",
            "inputs": {
                "host": HOST,
                "method": "get",
                "path": "/v2/storageAccounts/@{encodeURIComponent(encodeURIComponent('acct'))}/queues/"
                "@{encodeURIComponent('tasks')}/" + path,
                "queries": queries,
            },
            "recurrence": {"frequency": "Minute", "interval": 2},
            **more,
        }
    }


def http_trigger(**more: Any) -> dict[str, Any]:
    inputs = {"method": "GET", "uri": "https://news.example/latest", **more.pop("inputs", {})}
    return {
        "Poll": {
            "type": "Http",
            "inputs": inputs,
            "recurrence": {"frequency": "Minute", "interval": 1},
            **more,
        }
    }


async def test_a_poll_without_messages_is_skipped_and_starts_nothing(desk: Any) -> None:
    await desk.put(queue_trigger(splitOn=SPLIT), SAY)
    await desk.clock.advance(1)
    assert desk.runs == []
    (look,) = desk.histories("Queue")
    assert (look.status, look.code, look.fired) == ("Skipped", "Accepted", False)


async def test_each_message_of_a_poll_becomes_a_run_of_its_own(desk: Any) -> None:
    desk.queue.put("one <1>", "b25l", "three")
    await desk.put(queue_trigger(splitOn=SPLIT), SAY)
    await desk.clock.advance(1)
    assert [run.status for run in desk.runs] == ["Succeeded"] * 3
    said = [desk.action("Say", run).outputs for run in desk.runs]
    assert [each["MessageText"] for each in said] == ["one <1>", "b25l", "three"]  # as stored
    assert said[0] == {
        "MessageId": "1", "InsertionTime": "then", "ExpirationTime": "later", "PopReceipt": "r+1/1=",
        "TimeNextVisible": "soon", "MessageText": "one <1>", "DequeueCount": "1",
    }  # fmt: skip
    looks = desk.histories("Queue")
    assert [(look.run_name, look.fired) for look in looks] == [(run.name, True) for run in desk.runs]
    assert desk.queue.receives[0] == {"numofmessages": "32", "visibilitytimeout": "3600"}


async def test_without_split_on_one_run_gets_all_messages(desk: Any) -> None:
    desk.queue.put("a", "b")
    await desk.put(queue_trigger(), SAY)
    await desk.clock.advance(1)
    (run,) = desk.runs
    texts = [
        each["MessageText"] for each in desk.action("Say", run).outputs["QueueMessagesList"]["QueueMessage"]
    ]
    assert texts == ["a", "b"]


async def test_polls_follow_the_recurrence(desk: Any) -> None:
    await desk.put(queue_trigger())
    await desk.clock.advance(300)
    began = desk.queue.polls[0]
    assert [(each - began).total_seconds() for each in desk.queue.polls] == [0, 120, 240]


async def test_a_connector_is_polled_once_a_minute_at_most_unless_asked_for(desk: Any) -> None:
    often = queue_trigger(recurrence={"frequency": "Second", "interval": "@parameters('pollSeconds')"})
    how = {"parameters": {"pollSeconds": {"type": "Int"}}, "values": {"pollSeconds": 5}}
    await desk.put(often, **how)
    await desk.clock.advance(119)
    assert len(desk.queue.polls) == 2
    desk.minimum_poll_s = 1.0
    await desk.restart()
    await desk.clock.advance(20)
    assert len(desk.queue.polls) == 2 + 4


async def test_a_threshold_fires_on_the_count_alone(desk: Any) -> None:
    trigger = queue_trigger("count_trigger", queries={"threshold": "@{2}"})
    desk.queue.put("a")
    await desk.put(trigger, SAY)
    await desk.clock.advance(1)
    assert desk.runs == []
    desk.queue.put("b")
    await desk.clock.advance(120)
    assert desk.action("Say").outputs == "2"
    assert desk.queue.receives == []


async def test_a_restart_goes_on_with_the_due_time(desk: Any) -> None:
    await desk.put(queue_trigger())
    await desk.clock.advance(30)
    await desk.restart()
    await desk.clock.advance(80)
    assert len(desk.queue.polls) == 1
    await desk.clock.advance(20)
    assert len(desk.queue.polls) == 2


async def test_a_poll_missed_while_it_was_stopped_is_made_up_for_once(desk: Any) -> None:
    await desk.put(queue_trigger())
    await desk.clock.advance(1)
    await desk.aclose()
    await desk.clock.advance(3600)
    desk.service = desk.opened()
    await desk.service.start()
    await desk.clock.advance(1)
    assert len(desk.queue.polls) == 2


async def test_putting_the_same_definition_again_does_not_poll_out_of_turn(desk: Any) -> None:
    for _ in range(3):
        await desk.put(queue_trigger())
        await desk.clock.advance(10)
    assert len(desk.queue.polls) == 1


async def test_a_disabled_workflow_does_not_poll_and_its_runs_go_on(desk: Any) -> None:
    desk.queue.put("a")
    await desk.put(queue_trigger(splitOn=SPLIT), NAP)
    await desk.clock.advance(1)
    await desk.service.set_state(desk.id, "Disabled")
    await desk.clock.advance(900)
    assert len(desk.queue.polls) == 1
    assert [run.status for run in desk.runs] == ["Succeeded"]
    await desk.service.set_state(desk.id, "Enabled")
    await desk.clock.advance(1)
    assert len(desk.queue.polls) == 2


async def test_a_workflow_may_be_put_disabled(desk: Any) -> None:
    await desk.put(queue_trigger(), state="Disabled")
    await desk.clock.advance(600)
    assert desk.queue.polls == []


async def test_more_runs_than_allowed_wait_their_turn_in_order(desk: Any) -> None:
    desk.queue.put(*"abcde")
    limited = {"concurrency": {"runs": 2, "maximumWaitingRuns": 10}}
    await desk.put(queue_trigger(splitOn=SPLIT, runtimeConfiguration=limited), NAP)
    await desk.clock.advance(1)
    assert [run.status for run in desk.runs] == ["Running", "Running", "Waiting", "Waiting", "Waiting"]
    await desk.clock.advance(600)
    assert [run.status for run in desk.runs] == ["Succeeded", "Succeeded", "Running", "Running", "Waiting"]
    assert desk.runs[2].wait_end_time == desk.runs[0].end_time
    await desk.clock.advance(1200)
    assert {run.status for run in desk.runs} == {"Succeeded"}


async def test_waiting_runs_survive_a_restart(desk: Any) -> None:
    desk.queue.put(*"abc")
    limited = {"concurrency": {"runs": 1, "maximumWaitingRuns": 10}}
    await desk.put(queue_trigger(splitOn=SPLIT, runtimeConfiguration=limited), NAP)
    await desk.clock.advance(1)
    await desk.restart()
    assert [run.status for run in desk.runs] == ["Running", "Waiting", "Waiting"]
    await desk.clock.advance(1900)
    assert {run.status for run in desk.runs} == {"Succeeded"}


async def test_polls_are_left_out_while_no_more_run_may_wait(desk: Any) -> None:
    desk.queue.put(*"abc")
    limited = {"concurrency": {"runs": 1, "maximumWaitingRuns": 2}}
    await desk.put(queue_trigger(splitOn=SPLIT, runtimeConfiguration=limited), NAP)
    await desk.clock.advance(601)  # the first run has ended, after the poll of that moment was left out
    assert len(desk.queue.polls) == 1
    await desk.clock.advance(120)
    assert len(desk.queue.polls) == 2


async def test_a_released_run_frees_its_place_when_a_run_is_cancelled(desk: Any) -> None:
    desk.queue.put("a", "b")
    limited = {"concurrency": {"runs": 1}}
    await desk.put(queue_trigger(splitOn=SPLIT, runtimeConfiguration=limited), NAP)
    await desk.clock.advance(1)
    desk.service.engine.cancel_run(desk.runs[0].name)
    await desk.clock.settle()
    assert [run.status for run in desk.runs] == ["Cancelled", "Running"]


async def test_concurrency_cannot_be_switched_off_again(desk: Any) -> None:
    await desk.put(queue_trigger(runtimeConfiguration={"concurrency": {"runs": 2}}))
    with pytest.raises(ArmError, match="CannotDisableTriggerConcurrency"):
        await desk.put(queue_trigger())


async def test_a_refused_poll_is_a_failed_look_and_the_next_one_comes(desk: Any) -> None:
    text = b"<Error><Code>QueueNotFound</Code><Message>The specified queue does not exist.</Message></Error>"
    desk.queue.refusal = httpx.Response(404, content=text, headers={"content-type": "application/xml"})
    await desk.put(queue_trigger(splitOn=SPLIT), SAY)
    await desk.clock.advance(1)
    (look,) = desk.histories("Queue")
    assert (look.status, look.code, look.outputs["body"]["status"]) == ("Failed", "NotFound", 404)
    desk.queue.refusal = None
    desk.queue.put("a")
    await desk.clock.advance(120)
    assert [run.status for run in desk.runs] == ["Succeeded"]


async def test_conditions_decide_whether_a_look_fires(desk: Any) -> None:
    desk.queue.put("a")
    big = [{"expression": "@greater(length(triggerBody()?['QueueMessagesList']?['QueueMessage']), 1)"}]
    await desk.put(queue_trigger(conditions=big, queries={"visibilitytimeout": "30"}), SAY)
    await desk.clock.advance(1)
    assert (desk.runs, desk.histories("Queue")[0].status) == ([], "Skipped")
    desk.queue.put("b")
    await desk.clock.advance(120)
    assert len(desk.runs) == 1


async def test_secured_outputs_do_not_show_in_looks_or_runs(desk: Any) -> None:
    desk.queue.put("a secret")
    secured = {"secureData": {"properties": ["outputs"]}}
    await desk.put(queue_trigger(splitOn=SPLIT, runtimeConfiguration=secured), {})
    await desk.clock.advance(1)
    assert desk.histories("Queue")[0].outputs is None
    assert desk.runs[0].trigger.outputs is None
    assert desk.runs[0].trigger.inputs is not None


async def test_a_split_that_gives_no_array_is_a_failed_look(desk: Any) -> None:
    desk.queue.put("a")
    await desk.put(queue_trigger(splitOn="@triggerBody()?['nothing']"), SAY)
    await desk.clock.advance(1)
    (look,) = desk.histories("Queue")
    assert (look.status, look.code) == ("Failed", "InvalidTemplate")
    assert "splitOn" in look.error["message"]


async def test_with_concurrency_a_look_splits_into_a_hundred_at_most(desk: Any) -> None:
    items = ",".join(str(number) for number in range(101))
    desk.world.on("news.example", httpx.Response(200, json=[int(each) for each in items.split(",")]))
    limited = {"concurrency": {"runs": 1}}
    await desk.put(http_trigger(splitOn="@triggerBody()", runtimeConfiguration=limited), SAY)
    await desk.clock.advance(1)
    assert desk.runs == []
    assert "101" in desk.histories("Poll")[0].error["message"]


async def test_an_address_fires_on_200_alone(desk: Any) -> None:
    desk.world.on(
        "news.example", httpx.Response(202), httpx.Response(204), httpx.Response(200, json={"n": 1})
    )
    await desk.put(http_trigger(), SAY)
    await desk.clock.advance(121)
    assert [(look.code, look.fired) for look in desk.histories("Poll")] == [
        ("Accepted", False),
        ("NoContent", False),
        ("OK", True),
    ]
    assert desk.action("Say").outputs == {"n": 1}


async def test_conditions_on_the_status_replace_that_rule(desk: Any) -> None:
    desk.world.on("news.example", httpx.Response(404, json={"gone": True}))
    found = [{"expression": "@equals(triggerOutputs()['statusCode'], 404)"}]
    await desk.put(http_trigger(conditions=found), SAY)
    await desk.clock.advance(1)
    assert desk.action("Say").outputs == {"gone": True}


async def test_an_address_says_when_and_where_to_ask_next(desk: Any) -> None:
    desk.world.on(
        "news.example",
        httpx.Response(202, headers={"retry-after": "15", "location": "/later?page=2"}),
        httpx.Response(200, json={}),
    )
    await desk.put(http_trigger(), SAY)
    await desk.clock.advance(14)
    assert len(desk.world.requests) == 1
    await desk.clock.advance(2)
    assert str(desk.world.requests[1].url) == "https://news.example/later?page=2"


async def test_a_failing_address_is_tried_again_by_its_policy_and_then_left_for_the_next_time(
    desk: Any,
) -> None:
    desk.world.on("news.example", httpx.Response(503))
    policy = {"type": "fixed", "count": 2, "interval": "PT10S"}
    await desk.put(http_trigger(inputs={"retryPolicy": policy}), SAY)
    await desk.clock.advance(21)
    assert len(desk.world.requests) == 3
    assert [(look.status, look.code) for look in desk.histories("Poll")] == [("Failed", "ServiceUnavailable")]
    await desk.clock.advance(60)
    assert len(desk.world.requests) > 3


async def test_a_poll_under_way_is_finished_when_its_trigger_is_stopped(desk: Any) -> None:
    desk.queue.put("a")
    answer = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        await answer.wait()
        return desk.queue(request)

    desk.outbound._transport = httpx.MockTransport(slow)
    await desk.put(queue_trigger(splitOn=SPLIT), SAY)
    await desk.clock.advance(1)
    disabling = asyncio.ensure_future(desk.service.set_state(desk.id, "Disabled"))
    await desk.clock.settle()
    answer.set()
    await disabling
    await desk.clock.settle()
    assert [run.status for run in desk.runs] == ["Succeeded"]  # it would be hidden for an hour else


async def test_puts_at_the_same_moment_set_up_one_trigger(desk: Any) -> None:
    every = [{"frequency": "Minute", "interval": minutes} for minutes in (2, 3, 4)]
    await asyncio.gather(*(desk.put(queue_trigger(recurrence=each)) for each in every))
    await desk.clock.advance(1)
    at_once = len(desk.queue.polls)
    await desk.clock.advance(3600)
    assert len(desk.queue.polls) - at_once == 3600 / 240


async def test_fast_polls_that_see_nothing_leave_one_history_a_minute(desk: Any) -> None:
    desk.minimum_poll_s = 1.0
    await desk.restart()
    often = queue_trigger(recurrence={"frequency": "Second", "interval": 1}, splitOn=SPLIT)
    await desk.put(often, {})
    await desk.clock.advance(180)
    assert len(desk.queue.polls) == 181
    assert len(desk.histories("Queue")) == 4
    desk.queue.put("a")
    await desk.clock.advance(2)
    assert [look.fired for look in desk.histories("Queue")[-2:]] == [True, False]
