"""Addresses of workflows outside ARM, and the signature that opens them.

They look like Azure's, `/workflows/{id}/triggers/{name}/paths/invoke?api-version=…&sp=…&sv=1.0&sig=…`. `sp`
says what may be done, `se` until when (absent: for ever), `sig` signs both.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from localazure.clock import Clock
from localazure.errors import ArmError
from localazure.workflows.calls import iso
from localazure.workflows.http_requests import workflow_id_hash

API_VERSION = "2016-10-01"
SIGNATURE_VERSION = "1.0"
#: How long a link to inputs or outputs holds.
CONTENT_LIFE = timedelta(hours=4)
#: The query parameters that belong to an address, not to a call of it.
OWN_QUERIES = frozenset({"api-version", "sp", "sv", "se", "sig"})


class Callbacks:
    """Makes addresses and knows its own.

    Args:
        secret: the key that signs.
        clock: the source of time.
    """

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def trigger(
        self, base: str, workflow_id: str, trigger_name: str, inputs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the answer of listCallbackUrl.

        Args:
            base: the server's address, `https://host:port`.
            workflow_id: ARM id of the workflow.
            trigger_name: the trigger.
            inputs: its inputs: method and relativePath are shown.
        """
        base_path = f"{_root(base, workflow_id)}/triggers/{quote(trigger_name)}/paths/invoke"
        queries = self._queries(workflow_id, f"/triggers/{trigger_name}/run", None)
        relative = str(inputs.get("relativePath") or "").strip("/")
        value = f"{base_path}/{quote(relative, safe='/{}')}" if relative else base_path
        answer: dict[str, Any] = {
            "value": f"{value}?{urlencode(queries)}",
            "method": str(inputs.get("method") or "POST").upper(),
            "basePath": base_path,
            "queries": queries,
        }
        if relative:
            names = [part.partition("}")[0] for part in relative.split("{")[1:]]
            answer |= {"relativePath": f"/{relative}", "relativePathParameters": names}
        return answer

    def content(self, base: str, workflow_id: str, path: str, content: bytes) -> dict[str, Any]:
        """Return the link to inputs or outputs as run history shows it.

        Args:
            base: the server's address.
            workflow_id: ARM id of the workflow.
            path: where below the workflow, such as `/runs/{run}/actions/{action}/contents/ActionInputs`.
            content: what is served there.
        """
        expires_at = self._clock.now() + CONTENT_LIFE
        queries = self._queries(workflow_id, f"{path}/read", expires_at)
        digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode("ascii")
        return {
            "uri": f"{_root(base, workflow_id)}{quote(path)}?{urlencode(queries)}",
            "contentVersion": digest,
            "contentSize": len(content),
            "contentHash": {"algorithm": "md5", "value": digest},
        }

    def check(self, workflow_hash: str, queries: Mapping[str, str], permission: str) -> None:
        """Let a call pass if its signature allows what it asks for.

        Raises:
            ArmError: 401 if it does not.
        """
        given, until = queries.get("sig", ""), queries.get("se")
        if queries.get("sp", "").lower() != permission.lower() or queries.get("sv") != SIGNATURE_VERSION:
            raise ArmError(
                401,
                "DirectApiAuthorizationRequired",
                "The request must carry the signature of its address: query parameters sp, sv and sig.",
            )
        expected = self._signature(workflow_hash, queries["sp"], until)
        if not hmac.compare_digest(given, expected):
            raise ArmError(401, "AuthorizationFailed", "The authentication credentials are not valid.")
        if until is not None and until < iso(self._clock.now()):
            raise ArmError(401, "AuthorizationFailed", f"The address held until {until}.")

    def _queries(self, workflow_id: str, permission: str, expires_at: datetime | None) -> dict[str, str]:
        queries = {"api-version": API_VERSION}
        until = None
        if expires_at is not None:
            until = iso(expires_at.replace(microsecond=0))
            queries["se"] = until
        queries |= {"sp": permission, "sv": SIGNATURE_VERSION}
        queries["sig"] = self._signature(workflow_id_hash(workflow_id), permission, until)
        return queries

    def _signature(self, workflow_hash: str, permission: str, until: str | None) -> str:
        text = "\n".join([workflow_hash, permission.lower(), SIGNATURE_VERSION, until or ""])
        digest = hmac.new(self._secret, text.encode("utf-8"), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")


def _root(base: str, workflow_id: str) -> str:
    return f"{base.rstrip('/')}/workflows/{workflow_id_hash(workflow_id)}"
