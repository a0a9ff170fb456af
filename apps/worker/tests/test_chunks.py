"""Chunks: exact overlap, nothing left out, ends where a reader would pause."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worker.chunks import split

texts = st.text(alphabet=st.sampled_from("abc .!?\n|é漢。 \t"), max_size=600) | st.text(max_size=400)
sizes = st.tuples(st.integers(1, 60), st.integers(0, 29)).filter(lambda pair: pair[1] < pair[0] / 2)


@given(texts, sizes)
def test_chunks_cover_every_character_and_neighbours_share_exactly_the_overlap(
    text: str, sizes: tuple[int, int]
) -> None:
    size, overlap = sizes
    chunks = split(text, size, overlap)
    assert all(chunk.text == text[chunk.start : chunk.end] for chunk in chunks)
    assert all(0 < len(chunk.text) <= size for chunk in chunks)
    assert [after.start for after in chunks[1:]] == [before.end - overlap for before in chunks[:-1]]
    rebuilt = "".join(chunk.text[overlap if index else 0 :] for index, chunk in enumerate(chunks))
    assert rebuilt == text


@given(texts, sizes)
def test_every_chunk_but_the_last_is_longer_than_half_the_size(text: str, sizes: tuple[int, int]) -> None:
    size, overlap = sizes
    assert all(len(chunk.text) > size // 2 for chunk in split(text, size, overlap)[:-1])


def test_a_text_within_the_size_is_one_chunk() -> None:
    assert [chunk.text for chunk in split("a" * 1000)] == ["a" * 1000]
    assert split("") == []


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("one two three.\n\nfour. five six seven", "one two three.\n\n"),
        ("one two three. four five six seven eig", "one two three. "),
        ("| one | two |\n| three four fivee | six |", "| one | two |\n"),
        ("one two three\nfour five six seven eight", "one two three\n"),
        ("one two three four five six seven eight", "one two three four "),
        ("onetwothreefourfivesixseveneightnineten", "onetwothreefourfives"),
    ],
    ids=["paragraph", "sentence", "table row", "line", "word", "no pause at all"],
)
def test_a_chunk_ends_at_the_best_pause_of_its_second_half(text: str, first: str) -> None:
    assert split(text, size=20, overlap=4)[0].text == first


def test_the_second_chunk_begins_with_the_end_of_the_first() -> None:
    text = " ".join(f"word{number}" for number in range(1000))
    chunks = split(text)
    assert len(chunks) > 5
    for before, after in pairwise(chunks):
        assert before.text[-100:] == after.text[:100]


def test_an_overlap_of_half_the_size_is_refused() -> None:
    with pytest.raises(ValueError, match="less than half of the size"):
        split("text", size=10, overlap=5)
