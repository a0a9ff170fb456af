"""Models that need no download: embeddings by hashing, summaries by extraction.

Real results by simple means. An embedding places texts that share words, word pairs and letter groups close
to each other; it knows no synonyms. A summary is the text's own most telling sentences, in their order.
Both give the same answer for the same text, always.
"""

from __future__ import annotations

import math
import re
import zlib
from array import array
from collections import Counter
from itertools import pairwise

EMBEDDING_MODEL = "dayfly-hashed-embedding"
CHAT_MODEL = "dayfly-extractive-summary"

_WORD = re.compile(r"\w+", re.UNICODE)
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”»)]*\s+(?=[\"'“„«(]?[^\W_a-z])")
_LIST_MARK = re.compile(r"^\s*(?:[-*+•]|\d+[.)])\s+")
#: Lines that only mark where a text begins and ends: `<<<TEXT`, `TEXT>>>`, a fence.
_MARKER = re.compile(r"[^\w\s]{3,}[A-Z_ ]*|[A-Z_ ]*[^\w\s]{3,}")
_SENTENCE_MIN_CHARS = 25
_CONTENT_WORD_MIN_CHARS = 4
#: Weights of the three kinds of features: words say most.
_WORD_WEIGHT, _PAIR_WEIGHT, _TRIGRAM_WEIGHT = 1.0, 0.5, 0.2


def embed(text: str, dimensions: int) -> array[float]:
    """Return `text` as a vector of length 1 (all zero for a text without words).

    Args:
        text: any text.
        dimensions: the number of components, at least 1.
    """
    vector = array("f", bytes(4 * dimensions))
    words = _WORD.findall(text.lower())
    features: Counter[str] = Counter()
    for word in words:
        features[word] += 1
    _add(vector, features, _WORD_WEIGHT, dimensions)
    _add(vector, Counter(map(" ".join, pairwise(words))), _PAIR_WEIGHT, dimensions)
    trigrams: Counter[str] = Counter()
    for word, count in features.items():
        marked = f"<{word}>"
        for start in range(len(marked) - 2):
            trigrams[marked[start : start + 3]] += count
    _add(vector, trigrams, _TRIGRAM_WEIGHT, dimensions)
    length = math.sqrt(sum(component * component for component in vector))
    return array("f", (component / length for component in vector)) if length else vector


def summarize(text: str, limit_chars: int) -> str:
    """Return the most telling sentences of `text`, in their order, together at most `limit_chars` long.

    Headings and table rows are left out as long as there are sentences. A text with a single sentence
    longer than the limit is cut at a word. An empty text gives an empty summary.
    """
    sentences = _sentences(text)
    if not sentences:
        return _cut(" ".join(text.split()), limit_chars)
    weights = Counter(word for sentence in sentences for word in set(_content_words(sentence)))
    total = len(sentences)
    scores = [_score(sentence, weights, index, total) for index, sentence in enumerate(sentences)]
    chosen: list[int] = []
    room = limit_chars
    for index in sorted(range(total), key=lambda i: (-scores[i], i)):
        if len(sentences[index]) < room:
            chosen.append(index)
            room -= len(sentences[index]) + 1
    if not chosen:
        return _cut(sentences[max(range(total), key=lambda i: (scores[i], -i))], limit_chars)
    return " ".join(sentences[index] for index in sorted(chosen))


def _add(vector: array[float], features: Counter[str], weight: float, dimensions: int) -> None:
    for feature, count in features.items():
        mixed = zlib.crc32(feature.encode())
        # The lowest bit is the sign: features that fall together cancel out as often as they add up.
        place = (mixed >> 1) % dimensions
        vector[place] += (1 if mixed & 1 else -1) * weight * (1.0 + math.log(count))


def _sentences(text: str) -> list[str]:
    found: dict[str, None] = {}
    text = "\n".join("" if _MARKER.fullmatch(line.strip()) else line for line in text.splitlines())
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*+•|#]|\d+[.)]\s))", text):
        plain = _LIST_MARK.sub("", paragraph.strip())
        if not plain or plain[0] in "#|<":
            continue
        for sentence in _SENTENCE_END.split(" ".join(plain.split())):
            if len(sentence) >= _SENTENCE_MIN_CHARS:
                found.setdefault(sentence)
    return list(found)


def _content_words(sentence: str) -> list[str]:
    return [word for word in _WORD.findall(sentence.lower()) if len(word) >= _CONTENT_WORD_MIN_CHARS]


def _score(sentence: str, weights: Counter[str], index: int, total: int) -> float:
    words = _content_words(sentence)
    if not words:
        return 0.0
    telling = sum(math.log1p(weights[word]) for word in words) / math.sqrt(len(words) + 4)
    # What opens a text tells more of it than what follows; a whole sentence more than a fragment.
    opening = 1.0 + 0.5 * (1.0 - index / total)
    whole = 1.0 if sentence.rstrip("\"'”»)")[-1:] in ".!?…" else 0.6
    return telling * opening * whole


def _cut(text: str, limit_chars: int) -> str:
    if len(text) <= limit_chars:
        return text
    return text[: max(0, limit_chars - 1)].rsplit(" ", 1)[0] + "…"
