import math

import httpx
import openai
import pytest
from dayfly_cli.offline_models import CHAT_MODEL, EMBEDDING_MODEL, embed, summarize
from dayfly_cli.openai_server import OpenAIServer, openai_server

HANDBOOK = """# Brakes

Every brake is checked before the bicycle leaves the workshop. The check takes ten minutes and is written down
on the job card. Coffee is in the kitchen.

| part | price |
|---|---|
| pads | 12 € |

Brake pads are changed when less than one millimetre is left. A bicycle whose brake was changed is ridden
thirty times to a stop before it leaves the workshop.
"""


@pytest.fixture
async def server():
    async with openai_server() as running:
        yield running


@pytest.fixture
async def client(server: OpenAIServer):
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key=server.api_key, max_retries=0) as sdk:
        yield sdk


def closeness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_embeddings_have_the_asked_dimensions_and_length_one(client: openai.AsyncOpenAI) -> None:
    answer = await client.embeddings.create(model="any", input=["brake pads", "a tyre"], dimensions=384)
    assert [len(item.embedding) for item in answer.data] == [384, 384]
    assert math.isclose(closeness(answer.data[0].embedding, answer.data[0].embedding), 1, rel_tol=1e-5)
    assert answer.usage.total_tokens > 0


async def test_embeddings_have_as_many_dimensions_as_openais_small_model_if_none_are_asked(
    client: openai.AsyncOpenAI,
) -> None:
    answer = await client.embeddings.create(model="text-embedding-3-small", input="brake pads")
    assert len(answer.data[0].embedding) == 1536
    assert answer.model == EMBEDDING_MODEL  # says what really answered


async def test_floats_and_base64_are_the_same_vector(
    server: OpenAIServer, client: openai.AsyncOpenAI
) -> None:
    coded = await client.embeddings.create(model="any", input="brake pads", dimensions=8)
    plain = await client.embeddings.create(
        model="any", input="brake pads", dimensions=8, encoding_format="float"
    )
    assert coded.data[0].embedding == pytest.approx(plain.data[0].embedding)


def test_texts_that_share_words_are_closer_than_others() -> None:
    question = list(embed("When are brake pads changed?", 1536))
    about, other = (
        list(embed(text, 1536))
        for text in ("Brake pads are changed at one millimetre.", "The kitchen has a coffee machine.")
    )
    assert closeness(question, about) > closeness(question, other) + 0.2


async def test_a_summary_is_made_of_the_texts_own_sentences_in_their_order(
    client: openai.AsyncOpenAI,
) -> None:
    answer = await client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[
            {"role": "system", "content": "Summarize the text."},
            {"role": "user", "content": f"<<<TEXT\n{HANDBOOK}\nTEXT>>>"},
        ],
        max_completion_tokens=60,
    )
    summary = answer.choices[0].message.content
    assert answer.model == CHAT_MODEL
    assert summary
    assert len(summary) <= 240
    flat = " ".join(HANDBOOK.split())
    sentences = [f"{sentence}." for sentence in summary.rstrip(".").split(". ")]
    places = [flat.index(sentence) for sentence in sentences]
    assert places == sorted(places)
    assert "Coffee" not in summary
    assert "|" not in summary


def test_a_summary_of_rows_alone_is_cut_to_the_limit() -> None:
    rows = "\n".join(f"| part {n} | {n} € |" for n in range(100))
    assert 0 < len(summarize(rows, 100)) <= 100


def test_a_summary_of_nothing_is_empty() -> None:
    assert summarize(" \n ", 100) == ""


async def test_the_same_question_gets_the_same_answer() -> None:
    assert summarize(HANDBOOK, 200) == summarize(HANDBOOK, 200)
    assert embed(HANDBOOK, 64) == embed(HANDBOOK, 64)


async def test_a_wrong_key_is_refused_as_openai_refuses_it(server: OpenAIServer) -> None:
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="sk-wrong", max_retries=0) as sdk:
        with pytest.raises(openai.AuthenticationError) as refused:
            await sdk.embeddings.create(model="any", input="text")
    assert refused.value.code == "invalid_api_key"


async def test_the_models_say_what_they_are(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == [EMBEDDING_MODEL, CHAT_MODEL]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("embeddings", {"model": "m", "input": [[1, 2]]}, "input"),
        ("embeddings", {"model": "m", "input": []}, "input"),
        ("embeddings", {"model": "m", "input": "x", "dimensions": 0}, "dimensions"),
        ("embeddings", {"input": "x"}, "model"),
        ("chat/completions", {"model": "m", "messages": []}, "messages"),
        ("chat/completions", {"model": "m", "messages": [{"role": "user", "content": "x"}], "n": 2}, "n"),
        (
            "chat/completions",
            {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True},
            "stream",
        ),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(server: OpenAIServer, path, body, param) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            f"{server.base_url}/{path}", json=body, headers={"Authorization": f"Bearer {server.api_key}"}
        )
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_it_stops_without_a_trace(refuses) -> None:
    async with openai_server() as server:
        assert not refuses(server.base_url)
    assert refuses(server.base_url)
