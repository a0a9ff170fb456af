"""The models, through the OpenAI API: embeddings and completions. Nothing else calls that service."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, TypeVar

import openai

from worker.errors import Misconfigured, RequestRefused, ServiceUnavailable
from worker.settings import DocumentSettings

__all__ = ["Models", "bounded"]

_TIMEOUT_S = 120.0
_RETRIES = 4
"""Tries that the SDK adds by itself after 408, 409, 429 and 5xx: a long document meets short bursts."""

T = TypeVar("T")
R = TypeVar("R")


class Models:
    """A client of the model service.

    Args:
        settings: key, endpoint and model names.
        retries: tries that the SDK adds by itself before a task is put off.
    """

    def __init__(self, settings: DocumentSettings, retries: int = _RETRIES) -> None:
        settings.require("openai_api_key")
        self._settings = settings
        # The SDK reads OPENAI_BASE_URL only; the variable of this system is OPENAI_API_BASE.
        self._client = openai.AsyncOpenAI(
            api_key=settings.openai_api_key.get_secret_value(),
            base_url=settings.openai_api_base or "https://api.openai.com/v1",
            max_retries=retries,
            timeout=_TIMEOUT_S,
        )

    async def __aenter__(self) -> "Models":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of texts, in their order.

        Raises:
            ServiceUnavailable: no answer, 408, 409, 429 or 5xx, or an answer that misses vectors.
            Misconfigured: key or model refused, or vectors of another length than
                `openai_embedding_dimensions`.
            RequestRefused: the service refused the texts.
        """
        model, dimensions = self._settings.openai_embedding_model, self._settings.openai_embedding_dimensions
        try:
            # The raw answer: the SDK would look at each of a batch's 100,000 numbers one by one.
            answer = await self._client.embeddings.with_raw_response.create(
                model=model,
                input=list(texts),
                dimensions=openai.omit if dimensions is None else dimensions,
                # Not every service that speaks this API knows base64.
                encoding_format="float",
            )
        except openai.OpenAIError as error:
            raise _ours(error, f"embeddings by {model}") from error
        vectors = _vectors(answer.content, model)
        if len(vectors) != len(texts):
            raise ServiceUnavailable(f"{model} sent {len(vectors)} vectors for {len(texts)} texts")
        for vector in vectors:
            if len(vector) != (dimensions or len(vectors[0])):
                raise Misconfigured(
                    f"{model} sends vectors of {len(vector)} dimensions; "
                    f"OPENAI_EMBEDDING_DIMENSIONS is {dimensions or 'not set'}"
                )
        return vectors

    async def complete(self, instructions: str, text: str) -> str:
        """What the model answers to a text, by instructions; never blank.

        Raises:
            ServiceUnavailable: no answer, 408, 409, 429 or 5xx, or an empty answer.
            Misconfigured: key or model refused.
            RequestRefused: the service refused the text.
        """
        model = self._settings.openai_model
        try:
            answer = await self._client.chat.completions.create(
                model=model,
                messages=[{"role": "system", "content": instructions}, {"role": "user", "content": text}],
            )
        except openai.OpenAIError as error:
            raise _ours(error, f"completion by {model}") from error
        choice = answer.choices[0] if answer.choices else None
        if choice is not None and choice.finish_reason == "content_filter":
            raise RequestRefused(f"{model} refused the text (content filter)")
        content = (choice.message.content or "").strip() if choice is not None else ""
        if not content:
            raise ServiceUnavailable(f"{model} sent an empty answer")
        return content


async def bounded(items: Iterable[T], limit: int, work: Callable[[T], Awaitable[R]]) -> list[R]:
    """Do work on items, at most `limit` at a time, taking an item only when its turn comes.

    Returns:
        The results in the order of the items.

    Raises:
        Exception: the first error; what was under way is cancelled.
    """
    results: dict[int, R] = {}
    turns = enumerate(items)

    async def take_turns() -> None:
        for index, item in turns:
            results[index] = await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(limit):
                group.create_task(take_turns())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [results[index] for index in sorted(results)]


def _vectors(answer: bytes, model: str) -> list[list[float]]:
    """The vectors of an embeddings answer, by their index."""
    try:
        data = sorted(json.loads(answer)["data"], key=lambda item: item["index"])
        vectors: list[list[float]] = [item["embedding"] for item in data]
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceUnavailable(f"{model} sent an answer that holds no embeddings") from error
    if not all(isinstance(vector, list) for vector in vectors):
        raise ServiceUnavailable(f"{model} sent embeddings that are no lists of numbers")
    return vectors


def _ours(error: openai.OpenAIError, what: str) -> Exception:
    if not isinstance(error, openai.APIStatusError):
        # Connection errors and timeouts, and answers that are no JSON of this API.
        return ServiceUnavailable(f"{what}: {type(error).__name__}: {error}")
    status, message = error.status_code, f"{what}: {error.status_code} {_message(error)}"
    match status:
        case 408 | 409 | 425 | 429:
            return ServiceUnavailable(message, after_s=_retry_after_s(error))
        case 401 | 403 | 404:
            return Misconfigured(f"{message}; check OPENAI_API_KEY, OPENAI_API_BASE and the model's name")
        case _ if status >= 500:
            return ServiceUnavailable(message, after_s=_retry_after_s(error))
        case _:
            return RequestRefused(message)


def _message(error: openai.APIStatusError) -> str:
    body: Any = error.body
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return f"{body['message']:.300}"
    return f"{error.message:.300}"


def _retry_after_s(error: openai.APIStatusError) -> float | None:
    value = error.response.headers.get("retry-after")
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
