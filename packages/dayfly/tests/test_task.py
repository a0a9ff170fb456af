"""The message: every form it may have, and none that passes by accident."""

import base64
import contextlib
import json

import pytest
from dayfly.errors import NotATask
from dayfly.task import Origin, Task, decode_task, fits_message, put_back_text, read_origin
from hypothesis import given
from hypothesis import strategies as st

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
TASKS = st.fixed_dictionaries(
    {
        "task_type": st.text(min_size=1).filter(lambda t: t.strip() == t and t != ""),
        "task_id": st.text(min_size=1),
        "payload": st.dictionaries(st.text(max_size=8), JSON_VALUES, max_size=4),
        "webhook_url": st.none() | st.text(min_size=1),
    }
)


def encode(fields: object) -> str:
    return base64.b64encode(json.dumps(fields).encode()).decode()


@given(TASKS, st.sampled_from(["base64", "plain", "ascii"]))
def test_what_the_backend_sends_is_read_back_in_every_encoding(fields: dict, encoding: str) -> None:
    text = {
        "base64": encode(fields),
        "plain": json.dumps(fields, ensure_ascii=False),
        "ascii": json.dumps(fields),
    }[encoding]

    task = decode_task(text, ID)

    assert task == Task(fields["task_type"], fields["task_id"], fields["payload"], fields["webhook_url"])


@given(st.text())
def test_no_text_at_all_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(NotATask):
        assert decode_task(text, ID).task_type
    assert read_origin(text, ID).key


@given(st.binary())
def test_no_base64_at_all_breaks_the_reader(data: bytes) -> None:
    with contextlib.suppress(NotATask):
        assert decode_task(base64.b64encode(data).decode(), ID).task_type


def test_the_older_form_names_the_task_before_a_bar() -> None:
    assert decode_task('order-7|{"task_type": "ingest"}', ID) == Task("ingest", "order-7")


def test_the_older_form_may_be_base64_too() -> None:
    text = base64.b64encode(b'order-7|{"task_type": "ingest"}').decode()

    assert decode_task(text, ID).task_id == "order-7"


def test_a_bar_inside_a_payload_is_no_prefix() -> None:
    fields = {"task_type": "ingest", "payload": {"filename": "a|{b}.pdf"}}

    assert decode_task(json.dumps(fields), ID) == Task("ingest", ID, {"filename": "a|{b}.pdf"})


def test_without_a_task_id_the_message_id_names_the_task() -> None:
    assert decode_task(encode({"task_type": "ingest"}), ID).task_id == ID


def test_an_empty_webhook_url_asks_for_no_webhook() -> None:
    assert decode_task(encode({"task_type": "ingest", "webhook_url": ""}), ID).webhook_url is None


def test_unknown_fields_pass() -> None:
    assert decode_task(encode({"task_type": "ingest", "priority": 3}), ID).task_type == "ingest"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "neither base64, JSON nor"),
        ("hello", "neither base64, JSON nor"),
        ('{"task_type": "ingest"', "not JSON"),
        ('["ingest"]', "neither base64, JSON nor"),
        ('{"payload": {}}', '"task_type" should be a non-empty string, but is None'),
        ('{"task_type": "  "}', '"task_type" should be'),
        ('{"task_type": "ingest", "payload": "x"}', '"payload" should be a JSON object'),
        ('{"task_type": "ingest", "webhook_url": 3}', '"webhook_url" should be a string'),
        ('{"task_type": "ingest", "task_id": {}}', '"task_id" should be a string'),
        ('{"task_type": "ingest", "payload": {"n": NaN}}', "NaN is not a JSON value"),
        ('{"task_type": "ingest", "payload": ' + '{"a":' * 50_000 + "1" + "}" * 50_001, "nested too deeply"),
    ],
)
def test_what_is_no_task_is_told_by_what_is_wrong_with_it(text: str, why: str) -> None:
    with pytest.raises(NotATask, match=why.replace("[", r"\[")):
        decode_task(text, ID)


@given(TASKS, st.integers(0, 9))
def test_a_task_put_back_is_the_same_task_and_knows_its_entry(fields: dict, generation: int) -> None:
    text = put_back_text(encode(fields), Origin("key-1", generation))

    assert read_origin(text, ID) == Origin("key-1", generation)
    assert text.isascii()
    assert decode_task(text, ID) == decode_task(encode(fields), ID)


def test_what_would_not_fit_names_the_blob_that_holds_it() -> None:
    fields = {"task_type": "ingest", "payload": {"note": "x" * 49_000}, "webhook_url": "ü" * 5_000}

    text = put_back_text(json.dumps(fields, ensure_ascii=False), Origin("key-1", 1, "ledger/key-1.txt"))

    assert json.loads(text) == {"dayfly": {"key": "key-1", "generation": 1, "text_blob": "ledger/key-1.txt"}}
    assert fits_message(text)


def test_a_text_that_is_no_json_is_put_back_by_its_blob() -> None:
    text = put_back_text("order-7|{}", Origin("key-1", 1, "ledger/key-1.txt"))

    assert read_origin(text, ID) == Origin("key-1", 1, "ledger/key-1.txt")


def test_a_backend_cannot_claim_another_messages_entry_by_accident() -> None:
    fields = {"task_type": "ingest", "dayfly": {"key": "somebody-elses"}}

    assert read_origin(encode(fields), ID) == Origin(ID)
    assert read_origin('{"dayfly": {"key": "../x"}}', ID) == Origin(ID)


def test_replays_are_counted_in_the_key_and_start_from_the_first_one() -> None:
    first = Origin("key")

    assert first.next_round == Origin("key-r1")
    assert first.next_round.next_round == Origin("key-r2")
    assert first.next_round.next_round.first_key == "key"
