import json
from pathlib import Path

import httpx
import pytest
from dayfly_cli.inbox import inbox


@pytest.fixture
async def http():
    async with httpx.AsyncClient() as client:
        yield client


async def test_every_delivery_is_recorded_and_shown(http: httpx.AsyncClient, tmp_path: Path) -> None:
    record = tmp_path / "deliveries.jsonl"
    async with inbox(record) as box:
        sent = {"task_id": "t1", "status": "completed", "result": "ü"}
        answer = await http.post(box.url, json=sent, headers={"X-Internal-Api-Key": "secret"})
        assert answer.status_code == 200
        await http.post(f"{box.url}/acme", json={"task_id": "t2"})
        await http.post(box.url, content=b"no json")
        [first, second, third] = (await http.get(box.url)).json()
    assert first["body"] == sent
    assert first["headers"]["x-internal-api-key"] == "secret"
    assert second["path"] == "/webhooks/acme"
    assert (third["body"], third["text"]) == (None, "no json")
    assert [json.loads(line)["text"] for line in record.read_text().splitlines()][2] == "no json"
    assert [delivery.answered for delivery in box.of_task("t1")] == [200]


async def test_deliveries_are_picked_by_path_and_by_task(http: httpx.AsyncClient) -> None:
    async with inbox() as box:
        await http.post(f"{box.url}/acme", json={"task_id": "t1"})
        await http.post(f"{box.url}/acme-north", json={"task_id": "t2"})
        at_acme = (await http.get(f"{box.url}/acme")).json()
        of_t2 = (await http.get(box.url, params={"task_id": "t2"})).json()
    assert [each["body"]["task_id"] for each in at_acme] == ["t1"]
    assert [each["path"] for each in of_t2] == ["/webhooks/acme-north"]


async def test_it_refuses_as_often_as_it_is_told(http: httpx.AsyncClient) -> None:
    async with inbox() as box:
        order = httpx.URL(box.url).copy_with(path="/_answers")
        await http.put(order, json={"status": 503, "times": 2})
        answers = [(await http.post(box.url, json={"task_id": "t"})).status_code for _ in range(3)]
        assert answers == [503, 503, 200]
        await http.put(order, json={"status": 410})
        assert (await http.post(box.url, json={})).status_code == 410
        await http.put(order, json={"status": 200})
        assert (await http.post(box.url, json={})).status_code == 200
    assert [delivery.answered for delivery in box.of_task("t")] == [503, 503, 200]


@pytest.mark.parametrize("order", [b"{", b"[]", b'{"status": 99}', b'{"status": 200, "times": -1}'])
async def test_an_order_it_cannot_follow_is_refused(http: httpx.AsyncClient, order: bytes) -> None:
    async with inbox() as box:
        answer = await http.put(httpx.URL(box.url).copy_with(path="/_answers"), content=order)
        assert answer.status_code == 400


async def test_it_stops_without_a_trace(refuses) -> None:
    async with inbox() as box:
        assert not refuses(box.url)
    assert refuses(box.url)
