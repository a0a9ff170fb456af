"""What comes from a message, and every secret setting, is nowhere in the run history."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

Prepare = Callable[[Any, Any], dict[str, Any]]


def completes(cloud: Any, life: Any) -> dict[str, Any]:
    return {}


def fails(cloud: Any, life: Any) -> dict[str, Any]:
    cloud.life = life(worker="fails", exit_code=1)
    return {}


def is_refused(cloud: Any, life: Any) -> dict[str, Any]:
    cloud.fail("PUT", "/containerGroups/", 400, "InvalidRequestContent")
    return {}


def is_deferred(cloud: Any, life: Any) -> dict[str, Any]:
    cloud.fail("PUT", "/containerGroups/", 429, "TooManyRequests")
    return {}


def is_given_up(cloud: Any, life: Any) -> dict[str, Any]:
    cloud.life = life(worker="nothing", exit_code=78)
    return {"life": timedelta(hours=5)}


def is_given_up_with_an_old_entry(cloud: Any, life: Any) -> dict[str, Any]:
    cloud.life = life(worker="crashes", exit_code=137)
    return {"age": timedelta(days=2), "received": 9}


@pytest.mark.parametrize(
    "prepare", [completes, fails, is_refused, is_deferred, is_given_up, is_given_up_with_an_old_entry]
)
async def test_no_secret_is_in_the_history(
    cloud: Any, launch: Any, life: Any, secrets: tuple[str, ...], prepare: Prepare
) -> None:
    message = cloud.put(**prepare(cloud, life))
    run = await launch(message)

    assert "Account" in run.everything, "the search sees the actions"
    for secret in secrets:
        assert secret not in run.everything, secret


async def test_an_entry_is_not_in_the_history(
    cloud: Any, launch: Any, entry: Any, ended: Any, clock: Any, secrets: tuple[str, ...]
) -> None:
    message = cloud.put(received=9)
    cloud.put_json(f"ledger/{message.id}.json", entry(message, clock.now()) | ended())
    run = await launch(message)

    assert run.ran("Write_dead_letter")
    for secret in secrets:
        assert secret not in run.everything, secret


async def test_a_text_that_cannot_be_parsed_is_not_in_an_error(
    cloud: Any, launch: Any, secrets: tuple[str, ...]
) -> None:
    for text in ('{"dayfly" ' + secrets[0], '{"dayfly": {"key": "' + secrets[0] + '/"}}'):
        run = await launch(cloud.put(text))
        assert run.status == "Succeeded"
        assert secrets[0] not in run.everything, text


async def test_receipts_are_not_in_the_history(cloud: Any, launch: Any, life: Any) -> None:
    cloud.life = life(worker="nothing", exit_code=78)
    run = await launch(cloud.put(life=timedelta(hours=5)))

    assert run.ran("Delete_message")
    assert "receipt+" not in run.everything, "as it stands"
    assert "receipt%2B" not in run.everything, "nor escaped"


async def test_the_creation_shows_neither_what_it_sent_nor_what_it_got(cloud: Any, launch: Any) -> None:
    creation = (await launch(cloud.put())).actions["Create_container_group"]

    assert (creation.status, creation.code) == ("Succeeded", "Created")
    assert creation.inputs is None
    assert creation.outputs is None


def test_the_secret_is_where_a_backend_would_put_it(task_text: str, secrets: tuple[str, ...]) -> None:
    assert json.loads(base64.b64decode(task_text))["payload"]["token"] in secrets
