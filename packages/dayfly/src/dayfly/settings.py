"""What the worker reads from its environment, once, at its start."""

import re
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dayfly.azure_storage import StorageAccount
from dayfly.errors import SettingsError
from dayfly.retry import RetryPolicy
from dayfly.webhook import WebhookSettings

__all__ = ["Settings"]

_DELIVERY_DELAY_MAX_S = 1800.0
_SECRET = {
    "AZURE_STORAGE_CONNECTION_STRING",
    "INTERNAL_API_KEY",
    "WEBHOOK_SECRET",
    "POP_RECEIPT",
    "TASK_DATA",
}


class Settings(BaseSettings):
    """The runtime's settings; each is the environment variable of its name in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    client_id: str = "default"
    """The tenant: letters, digits and hyphens; lower-cased. Names the queue and the container."""

    azure_storage_account_url: str | None = None
    """`https://{account}.blob.core.windows.net`, reached by the container's identity."""

    azure_storage_connection_string: SecretStr | None = Field(default=None, validate_default=True)
    """The storage account with its key; or give `AZURE_STORAGE_ACCOUNT_URL`."""

    internal_api_key: SecretStr | None = None
    """Sent to webhooks as `X-Internal-Api-Key`; unset = no such header."""

    webhook_secret: SecretStr | None = None
    """Signs webhooks by the Standard Webhooks scheme (`whsec_…`); unset = unsigned."""

    webhook_allowed_hosts: str = ""
    """Hosts that webhooks may reach, by commas; http and private addresses too. Unset = any public host
    by https."""

    webhook_max_age: float = Field(default=24 * 3600, gt=0)
    """Seconds after an outcome in which its webhook is tried (24 h)."""

    worker_task_timeout: float = Field(default=1800, gt=0)
    """Seconds that a handler may take."""

    worker_polling_interval: float = Field(default=5, gt=0)
    """Seconds between two looks into an empty queue, at the most."""

    worker_visibility_timeout: float = Field(default=120, ge=3, le=7 * 24 * 3600)
    """The lease, in seconds: how long a message stays hidden when its worker dies."""

    worker_max_messages: int = Field(default=1, ge=1, le=32)
    """Tasks at one time in polling mode."""

    worker_max_attempts: int = Field(default=5, ge=1, le=100)
    """Attempts that a task may have."""

    worker_retry_delay: float = Field(default=10, gt=0, le=240)
    """Seconds before the second attempt; doubles with each, up to four minutes."""

    worker_grace: float = Field(default=8, ge=0)
    """Seconds that a stopping poller gives to what it holds, before it gives it back."""

    worker_memory_max_bytes: int = Field(default=1536 * 1024 * 1024, ge=0)
    """Address space of a handler process; 0 = no limit."""

    worker_mode: Literal["poll"] = "poll"
    """What to do without `TASK_DATA`."""

    task_data: str | None = Field(default=None, repr=False)
    """One message's text, as stored: do this one task and exit."""

    message_id: str | None = None
    """The message that `TASK_DATA` came from; unset = a manual start, with no message to settle."""

    pop_receipt: SecretStr | None = Field(default=None, validate_default=True)
    """The launcher's receipt for that message."""

    dequeue_count: int = Field(default=0, ge=0)
    """How often that message was received."""

    message_expires: str | None = None
    """When the queue drops that message (RFC 1123 or ISO 8601); unset = never."""

    message_inserted: str | None = None
    """When that message was put (RFC 1123 or ISO 8601)."""

    container_group: str | None = None
    """The container group that this worker runs in."""

    @classmethod
    def load(cls) -> "Settings":
        """Read the environment.

        Raises:
            SettingsError: names every setting that is missing or malformed.
        """
        try:
            return cls()
        except ValidationError as error:
            raise SettingsError([_problem(dict(e)) for e in error.errors()]) from None

    @field_validator("client_id")
    @classmethod
    def _client_id(cls, value: str) -> str:
        value = value.lower()
        if not re.fullmatch(r"[a-z0-9](?:-?[a-z0-9])*", value) or len(value) > 50:
            raise ValueError("should be letters, digits and single hyphens, 50 at the most")
        return value

    @field_validator("azure_storage_connection_string")
    @classmethod
    def _connection_string(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None:
            if not info.data.get("azure_storage_account_url"):
                raise ValueError("is missing; or set AZURE_STORAGE_ACCOUNT_URL")
            return None
        fields = dict(p.split("=", 1) for p in value.get_secret_value().split(";") if "=" in p)
        if not ({"AccountName", "BlobEndpoint"} & fields.keys()):
            raise ValueError("names neither AccountName nor BlobEndpoint; copy it whole from the portal")
        return value

    @field_validator("pop_receipt")
    @classmethod
    def _receipt(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and info.data.get("message_id") is not None:
            raise ValueError("is missing; MESSAGE_ID needs it (unset both for a manual start)")
        return value

    @property
    def queue_name(self) -> str:
        """The client's queue."""
        return f"{self.client_id}-tasks"

    @property
    def poison_queue_name(self) -> str:
        """The client's queue of dead letters."""
        return f"{self.client_id}-tasks-poison"

    @property
    def container_name(self) -> str:
        """The client's blob container for ledger, dead letters and route."""
        return f"{self.client_id}-dayfly"

    @property
    def account(self) -> StorageAccount:
        """How to reach the storage account."""
        return StorageAccount(_reveal(self.azure_storage_connection_string), self.azure_storage_account_url)

    @property
    def webhook(self) -> WebhookSettings:
        """What the webhook needs to know."""
        hosts = tuple(h.strip() for h in self.webhook_allowed_hosts.split(",") if h.strip())
        return WebhookSettings(_reveal(self.internal_api_key), _reveal(self.webhook_secret), hosts)

    @property
    def retry(self) -> RetryPolicy:
        """The delay between attempts."""
        return RetryPolicy(first_s=self.worker_retry_delay)

    @property
    def delivery_retry(self) -> RetryPolicy:
        """The delay between deliveries, whose budget is counted in hours."""
        return RetryPolicy(first_s=self.worker_retry_delay, max_s=_DELIVERY_DELAY_MAX_S)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that may stand in no log and no ledger entry."""
        values = [
            self.azure_storage_connection_string,
            self.internal_api_key,
            self.webhook_secret,
            self.pop_receipt,
        ]
        return tuple(v.get_secret_value() for v in values if v)


def _reveal(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value else None


def _problem(error: dict[str, Any]) -> str:
    name = "".join(str(part) for part in error["loc"]).upper()
    message = str(error["msg"]).removeprefix("Value error, ")
    secret = isinstance(error["input"], SecretStr | None) or name in _SECRET
    return f"{name} {message[0].lower()}{message[1:]}" + ("" if secret else f", but is {error['input']!r}")
