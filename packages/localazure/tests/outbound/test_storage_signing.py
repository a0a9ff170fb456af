"""Connection strings and SharedKey signatures."""

from __future__ import annotations

import base64

import httpx
import pytest
from localazure.storage_signing import StorageAccount, shared_key_authorization, string_to_sign

KEY = base64.b64encode(b"a key of the account").decode()
AZURITE = (
    f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY};"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)


def test_a_connection_string_with_endpoints_is_read() -> None:
    account = StorageAccount.from_connection_string(AZURITE)
    assert account.name == "devstoreaccount1"
    assert account.key == b"a key of the account"
    assert account.queue_endpoint == "http://127.0.0.1:10001/devstoreaccount1"
    assert KEY not in repr(account)


def test_a_connection_string_of_the_portal_gets_azures_endpoints() -> None:
    account = StorageAccount.from_connection_string(
        f"DefaultEndpointsProtocol=https;AccountName=acct;AccountKey={KEY};EndpointSuffix=core.windows.net"
    )
    assert account.queue_endpoint == "https://acct.queue.core.windows.net"
    assert account.blob_endpoint == "https://acct.blob.core.windows.net"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("AccountName=a", "AccountKey"),
        ("AccountName=a;AccountKey=not base64!", "base64"),
        ("UseDevelopmentStorage=true", "UseDevelopmentStorage"),
    ],
)
def test_a_connection_string_that_cannot_be_used_says_why(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        StorageAccount.from_connection_string(text)


def test_the_text_that_is_signed_is_the_one_of_the_reference() -> None:
    url = httpx.URL(
        "https://acct.queue.core.windows.net/q/messages/id%2F1?visibilitytimeout=30&popreceipt=a%2Bb%3D"
    )
    headers = {
        "Content-Length": "11",
        "Content-Type": "application/xml",
        "x-ms-version": "2021-12-02",
        "x-ms-date": "Tue, 01 Jan 2030 00:00:00 GMT",
        "Date": "ignored",
    }
    assert string_to_sign("acct", "put", url, headers).split("\n") == [
        "PUT", "", "", "11", "", "application/xml", "", "", "", "", "", "",
        "x-ms-date:Tue, 01 Jan 2030 00:00:00 GMT",
        "x-ms-version:2021-12-02",
        "/acct/q/messages/id%2F1",
        "popreceipt:a+b=",
        "visibilitytimeout:30",
    ]  # fmt: skip


def test_a_body_of_no_length_counts_as_none_and_paths_of_azurite_name_the_account_twice() -> None:
    url = httpx.URL("http://127.0.0.1:10001/devstoreaccount1/q")
    lines = string_to_sign("devstoreaccount1", "PUT", url, {"content-length": "0"}).split("\n")
    assert lines[3] == ""
    assert lines[-1] == "/devstoreaccount1/devstoreaccount1/q"


def test_the_header_names_the_scheme_and_the_account() -> None:
    account = StorageAccount.from_connection_string(AZURITE)
    header = shared_key_authorization(account, "GET", httpx.URL(account.queue_endpoint + "/q"), {})
    scheme, _, rest = header.partition(" ")
    assert scheme == "SharedKey"
    assert rest.startswith("devstoreaccount1:")


def test_an_account_knows_its_own_addresses() -> None:
    account = StorageAccount.from_connection_string(AZURITE)
    assert account.serves(httpx.URL("http://127.0.0.1:10001/devstoreaccount1/q/messages"))
    assert account.serves(httpx.URL("http://127.0.0.1:10000/devstoreaccount1"))
    assert not account.serves(httpx.URL("http://127.0.0.1:10001/devstoreaccount12/q"))
    assert not account.serves(httpx.URL("http://127.0.0.1:10002/devstoreaccount1/q"))
