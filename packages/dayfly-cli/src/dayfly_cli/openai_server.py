"""A server that speaks the OpenAI API with offline models.

Answers `/v1/models`, `/v1/embeddings` and `/v1/chat/completions`. Whatever model is asked for, the answer's
`model` field names what really answered. What these models cannot do is refused by name, in OpenAI's form
of an error.
"""

from __future__ import annotations

import base64
import secrets
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dayfly_cli.offline_models import CHAT_MODEL, EMBEDDING_MODEL, embed, summarize
from dayfly_cli.serving import serve

DIMENSIONS = 1536
_DIMENSIONS_MAX = 4096
_INPUTS_MAX = 2048
_SUMMARY_CHARS = 900
_CHARS_PER_TOKEN = 4
_CANNOT = ("stream", "tools", "functions", "audio", "logprobs")


@dataclass(frozen=True)
class OpenAIServer:
    """A running server: `base_url` ends in `/v1`, as OPENAI_API_BASE does."""

    base_url: str
    api_key: str = field(repr=False)


class _Refused(Exception):
    """Raised for a request that gets an error answer."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        }


@asynccontextmanager
async def openai_server(api_key: str | None = None) -> AsyncIterator[OpenAIServer]:
    """Serve the offline models for as long as the context is open.

    Args:
        api_key: the one key that is accepted; None = a new one.
    """
    key = api_key or f"sk-local-{secrets.token_urlsafe(24)}"
    async with serve(openai_app(key), "OpenAI-compatible server") as url:
        yield OpenAIServer(f"{url}/v1", key)


def openai_app(api_key: str) -> Starlette:
    """Return the application, accepting `api_key` alone."""

    async def refuse(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, _Refused)  # noqa: S101  # registered for this class below
        return JSONResponse(exc.body, exc.status)

    async def models(request: Request) -> Response:
        _check_key(request, api_key)
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "dayfly (offline)"}
            for name in (EMBEDDING_MODEL, CHAT_MODEL)
        ]
        return JSONResponse({"object": "list", "data": data})

    async def embeddings(request: Request) -> Response:
        _check_key(request, api_key)
        return JSONResponse(_embeddings(await _body(request)))

    async def chat(request: Request) -> Response:
        _check_key(request, api_key)
        return JSONResponse(_completion(await _body(request)))

    return Starlette(
        routes=[
            Route("/v1/models", models),
            Route("/v1/embeddings", embeddings, methods=["POST"]),
            Route("/v1/chat/completions", chat, methods=["POST"]),
        ],
        exception_handlers={_Refused: refuse},
    )


def _check_key(request: Request, api_key: str) -> None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secrets.compare_digest(given.encode(), api_key.encode()):
        raise _Refused(401, "Incorrect API key provided.", code="invalid_api_key")


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as exc:
        raise _Refused(400, "We could not parse the JSON body of your request.") from exc
    if not isinstance(body, dict):
        raise _Refused(400, "The JSON body of a request must be an object.")
    if not isinstance(body.get("model"), str):
        raise _Refused(400, "you must provide a model parameter", param="model")
    return body


def _embeddings(body: Mapping[str, Any]) -> dict[str, Any]:
    texts = _inputs(body.get("input"))
    dimensions = body.get("dimensions", DIMENSIONS)
    if not isinstance(dimensions, int) or not 1 <= dimensions <= _DIMENSIONS_MAX:
        raise _Refused(
            400, f"dimensions must be a whole number from 1 to {_DIMENSIONS_MAX}", param="dimensions"
        )
    encoding = body.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise _Refused(400, "encoding_format must be 'float' or 'base64'", param="encoding_format")
    data: list[dict[str, Any]] = []
    for index, text in enumerate(texts):
        vector = embed(text, dimensions)
        if encoding == "base64" and sys.byteorder == "big":
            vector.byteswap()
        value = base64.b64encode(vector.tobytes()).decode() if encoding == "base64" else vector.tolist()
        data.append({"object": "embedding", "index": index, "embedding": value})
    tokens = sum(map(_tokens, texts))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": EMBEDDING_MODEL, "usage": usage}


def _inputs(value: object) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise _Refused(
            400, "input must be a string or an array of strings (these models take no tokens)", param="input"
        )
    if len(texts) > _INPUTS_MAX:
        raise _Refused(400, f"input has more than {_INPUTS_MAX} texts", param="input")
    if not all(texts):
        raise _Refused(400, "input cannot be an empty string.", param="input")
    return texts


def _completion(body: Mapping[str, Any]) -> dict[str, Any]:
    for option in _CANNOT:
        if body.get(option):
            raise _Refused(400, f"the offline model {CHAT_MODEL} does not do '{option}'", param=option)
    if body.get("n", 1) != 1:
        raise _Refused(400, f"the offline model {CHAT_MODEL} gives one answer: n must be 1", param="n")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _Refused(400, "messages must be an array with at least one message", param="messages")
    text = _without_instruction(_text_of(messages))
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    chars = min(_SUMMARY_CHARS, limit * _CHARS_PER_TOKEN) if isinstance(limit, int) else _SUMMARY_CHARS
    answer = summarize(text, chars)
    used = {"prompt_tokens": _tokens(text), "completion_tokens": _tokens(answer)}
    message = {"role": "assistant", "content": answer, "refusal": None}
    return {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": CHAT_MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {**used, "total_tokens": sum(used.values())},
    }


def _text_of(messages: list[Any]) -> str:
    """Return what the last user message says: the text to summarise. System messages are instructions."""
    for message in reversed(messages):
        if not isinstance(message, dict) or message.get("role") != "user":
            continue
        content = message.get("content")
        if isinstance(content, list):
            parts = [part.get("text", "") for part in content if isinstance(part, dict)]
            content = "\n\n".join(part for part in parts if isinstance(part, str))
        if isinstance(content, str):
            return content
    raise _Refused(400, "no message with the role 'user' holds text", param="messages")


def _without_instruction(text: str) -> str:
    """Leave out an opening paragraph that ends in a colon, as in 'Summarise this document:'."""
    first, _, rest = text.strip().partition("\n")
    return rest if first.rstrip().endswith(":") and rest.strip() else text


def _tokens(text: str) -> int:
    return -(-len(text) // _CHARS_PER_TOKEN)
