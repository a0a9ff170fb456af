"""The token endpoint, asked by azure-identity and by hand."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import timedelta

import httpx
import pytest
from azure.identity import ManagedIdentityCredential
from localazure.errors import ArmError
from localazure.server.identity import TokenIssuer
from localazure.testing import ManualClock

pytestmark = pytest.mark.asyncio(loop_scope="module")

METADATA = "/metadata/identity/oauth2/token"
SCOPE = "https://management.azure.com/.default"


@pytest.fixture(autouse=True)
def no_azure(monkeypatch):
    for name in (
        "IDENTITY_ENDPOINT",
        "IDENTITY_HEADER",
        "AZURE_POD_IDENTITY_AUTHORITY_HOST",
        "AZURE_CLIENT_ID",
    ):
        monkeypatch.delenv(name, raising=False)


async def test_azure_identity_gets_a_token_as_on_app_service(served, monkeypatch):
    monkeypatch.setenv("IDENTITY_ENDPOINT", served.ready["identity_endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", served.ready["identity_header"])
    with ManagedIdentityCredential() as credential:
        token = await asyncio.to_thread(credential.get_token, SCOPE)
    answer = await served.arm("GET", served.groups_path, headers={"Authorization": f"Bearer {token.token}"})
    assert answer.status_code == 200


async def test_azure_identity_gets_a_token_from_the_metadata_service(served, monkeypatch):
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", served.ready["imds"])
    with ManagedIdentityCredential(client_id="11111111-2222-3333-4444-555555555555") as credential:
        token = await asyncio.to_thread(credential.get_token, SCOPE)
    claims = json.loads(base64.urlsafe_b64decode(token.token.split(".")[1] + "=="))
    assert claims["appid"] == "11111111-2222-3333-4444-555555555555"
    answer = await served.arm("GET", served.groups_path, headers={"Authorization": f"Bearer {token.token}"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "headers", "params", "status"),
    [
        ("/msi/token", {}, {"resource": "r", "api-version": "v"}, 401),
        ("/msi/token", {"X-IDENTITY-HEADER": "guess"}, {"resource": "r", "api-version": "v"}, 401),
        (METADATA, {}, {"resource": "r", "api-version": "v"}, 400),
        (
            METADATA,
            {"Metadata": "true", "X-Forwarded-For": "1.2.3.4"},
            {"resource": "r", "api-version": "v"},
            400,
        ),
        (METADATA, {"Metadata": "true"}, {"api-version": "v"}, 400),
        (METADATA, {"Metadata": "true"}, {"resource": "r"}, 400),
    ],
)
async def test_a_request_that_lacks_something_is_refused(served, path, headers, params, status):
    async with httpx.AsyncClient() as client:
        answer = await client.get(served.ready["imds"] + path, headers=headers, params=params)
    assert answer.status_code == status
    assert answer.json()["error"]


async def test_what_the_metadata_service_answers(served):
    async with httpx.AsyncClient() as client:
        answer = await client.get(
            served.ready["imds"] + METADATA,
            headers={"Metadata": "true"},
            params={"resource": "https://vault.azure.net", "api-version": "2018-02-01"},
        )
    told = answer.json()
    assert told["resource"] == "https://vault.azure.net"
    assert told["token_type"] == "Bearer"
    assert int(told["expires_in"]) <= 24 * 3600
    assert int(told["expires_on"]) > int(told["not_before"])


def issuer(clock: ManualClock, key: bytes = b"k") -> TokenIssuer:
    return TokenIssuer(key, clock.now, tenant_id="t")


async def test_tokens_end_after_a_day():
    clock = ManualClock()
    header = "Bearer " + await issuer(clock).token("https://management.azure.com/", None)
    assert issuer(clock).verify(header)["tid"] == "t"
    await clock.advance(timedelta(days=1).total_seconds())
    with pytest.raises(ArmError, match="ExpiredAuthenticationToken"):
        issuer(clock).verify(header)


async def test_another_authoritys_tokens_are_refused():
    clock = ManualClock()
    header = "Bearer " + await issuer(clock, b"other").token("https://management.azure.com/", None)
    with pytest.raises(ArmError, match="InvalidAuthenticationToken"):
        issuer(clock).verify(header)


async def test_a_user_assigned_identity_always_has_the_same_ids():
    clock = ManualClock()
    name = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
    tokens = [issuer(clock).issue("r", identity=each) for each in (name, name.upper())]
    assert tokens[0].client_id == tokens[1].client_id
