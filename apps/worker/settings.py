"""What the document handlers read from the environment, once per task."""

import re
from functools import cached_property
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from worker.errors import Misconfigured

__all__ = ["DocumentSettings", "load_settings"]

_URL = r"^(https?://\S+)?$"
_TABLE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,39}")


class DocumentSettings(BaseSettings):
    """The handlers' settings; each field's name in capitals is its environment variable.

    Attributes:
        azure_storage_connection_string: None = reach storage by identity at `azure_storage_account_url`.
        azure_storage_account_url: `https://{account}.blob.core.windows.net`.
        azure_storage_container_name: the container that holds the documents.
        worker_allowed_containers: other containers that a task's `file_url` may name, comma-separated.
        worker_max_document_bytes: the largest document, 100 MiB unless set.
        supabase_url: the project's URL, without `/rest/v1`.
        supabase_key: a key whose role may publish (see `python -m worker.schema`).
        vector_table_name: the table of chunks: lower-case letters, digits, underscores, at most 40.
        openai_api_base: None = OpenAI itself.
        openai_embedding_dimensions: asked of the model and checked; None = as the model sends them.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    azure_storage_connection_string: SecretStr | None = None
    azure_storage_account_url: str | None = Field(default=None, pattern=_URL)
    azure_storage_container_name: str = "documents"
    worker_allowed_containers: Annotated[tuple[str, ...], NoDecode] = ()
    worker_max_document_bytes: int = Field(default=100 * 1024**2, gt=0)
    supabase_url: str = Field(default="", pattern=_URL)
    supabase_key: SecretStr = SecretStr("")
    vector_table_name: str = "documents"
    openai_api_key: SecretStr = SecretStr("")
    openai_api_base: str | None = Field(default=None, pattern=_URL)
    openai_model: str = "gpt-4o-mini"
    openai_embedding_model: str = "text-embedding-3-small"
    openai_embedding_dimensions: int | None = Field(default=None, ge=1, le=16_000)

    @field_validator("worker_allowed_containers", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("vector_table_name")
    @classmethod
    def _plain_identifier(cls, value: str) -> str:
        if not _TABLE_NAME.fullmatch(value):
            raise ValueError(f"{value!r} is no table name: lower-case letters, digits and _, at most 40")
        return value

    @cached_property
    def containers(self) -> frozenset[str]:
        """Every container that a task may name."""
        return frozenset({self.azure_storage_container_name, *self.worker_allowed_containers})

    def require(self, *names: str) -> None:
        """Check that settings are there.

        Raises:
            Misconfigured: one of them is empty; the text names all that are.
        """
        missing = [name.upper() for name in names if not _filled(getattr(self, name))]
        if missing:
            raise Misconfigured(f"set {', '.join(missing)} in the worker's environment")


def load_settings() -> DocumentSettings:
    """Read the environment.

    Raises:
        Misconfigured: a value is malformed; the text names the variable, never a secret's value.
    """
    try:
        return DocumentSettings()
    except ValidationError as error:
        problems = [
            f"{str(e['loc'][0]).upper()}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors(include_input=False)
        ]
        raise Misconfigured("; ".join(problems)) from None


def _filled(value: object) -> bool:
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)
