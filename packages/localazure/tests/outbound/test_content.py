"""Bodies between a workflow's JSON and the wire."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from localazure.content import decode_body, encode_body, envelope
from localazure.errors import NotJsonError

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("content", "kind", "value"),
    [
        (b"", "application/json", None),
        (b'{"a": [1, null]}', "application/json; charset=utf-8", {"a": [1, None]}),
        (b"\xef\xbb\xbf[]", "application/problem+json", []),
        ("gr\u00fc\u00df".encode("latin-1"), "text/plain; charset=iso-8859-1", "gr\u00fc\u00df"),
        (b"<a/>", "application/xml", envelope("application/xml", b"<a/>")),
        (b"\x00", None, envelope("application/octet-stream", b"\x00")),
    ],
)
def test_bodies_are_read_by_their_type(content: bytes, kind: str | None, value: Any) -> None:
    assert decode_body(content, kind) == value


def test_a_body_that_only_says_it_is_json_is_refused() -> None:
    with pytest.raises(NotJsonError, match="application/json"):
        decode_body(b"{not", "application/json")


def test_forms_and_parts_come_apart() -> None:
    form = decode_body(b"a=1&b=x+y", "application/x-www-form-urlencoded")
    assert form["$formdata"] == [{"key": "a", "value": "1"}, {"key": "b", "value": "x y"}]
    parts = (
        b'--B\r\nContent-Disposition: form-data; name="f"\r\nContent-Type: text/plain\r\n\r\nhi\r\n--B--\r\n'
    )
    found = decode_body(parts, 'multipart/form-data; boundary="B"')["$multipart"]
    assert found[0]["headers"]["Content-Disposition"] == 'form-data; name="f"'
    assert base64.b64decode(found[0]["body"]["$content"]) == b"hi"


@pytest.mark.parametrize(
    ("body", "given", "content", "kind"),
    [
        (None, None, None, None),
        ("text", None, b"text", "text/plain; charset=utf-8"),
        ('{"a":1}', "application/json", b'{"a":1}', "application/json"),
        ({"a": "\u00e9"}, None, '{"a":"\u00e9"}'.encode(), "application/json"),
        (3, None, b"3", "application/json"),
        (envelope("image/png", b"\x89"), None, b"\x89", "image/png"),
        ({"$content-type": FORM, "$formdata": [{"key": "a", "value": "x y"}]}, None, b"a=x+y", FORM),
    ],
)
def test_bodies_are_written_by_their_kind(
    body: Any, given: str | None, content: Any, kind: str | None
) -> None:
    assert encode_body(body, given) == (content, kind)


def test_parts_are_written_and_read_back() -> None:
    body = {
        "$content-type": "multipart/form-data",
        "$multipart": [
            {"headers": {"Content-Disposition": 'form-data; name="a"'}, "body": "one"},
            {"body": {"b": 2}},
        ],
    }
    content, kind = encode_body(body, None)
    parts = decode_body(content or b"", kind)["$multipart"]
    assert [base64.b64decode(part["body"]["$content"]) for part in parts] == [b"one", b'{"b":2}']
    assert parts[0]["headers"]["Content-Disposition"] == 'form-data; name="a"'
