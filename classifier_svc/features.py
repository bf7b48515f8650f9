"""Turns a text's words into the numbers that the model weighs; training and service share this.

Each feature remembers the words it came from, so that a decision can be explained.
It knows no category and learns nothing.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier_svc.concepts import PATTERNS
from classifier_svc.words import FUNCTION_WORDS, normalise, padded, split_words

NGRAM_CHARACTERS: Final = (3, 4, 5)
# What a feature's first character says; everything else is a piece of a word.
CONCEPT: Final = "@"
WORD: Final = "="
# Spelling against concepts. More than 1 because the concepts were collected with the training
# sentences in view, so they look a little better there than on a stranger's words.
SPELLING_WEIGHT: Final = 1.5

# An object that the writer rules out counts for nothing ("not the Wi-Fi this time, the sockets";
# "the door is ok, it's the porter"): tie-break 5 of the labelling rules.
_ARTICLE: Final = (
    r"(?:the|my|our|a|an|about|il|lo|la|i|gli|le|l|un|una|el|los|las|mi|"
    r"der|die|das|den|dem|am|mein|meine|les|mon|ma)"
)
_RULED_OUT: Final = re.compile(
    rf" (?:not|isn t|nothing wrong with|no problem with|complaining about)(?: {_ARTICLE})+ (\w+)"
    rf"| (?:non e|non sono|no es|no son|nicht|n est pas|pas|nichts gegen)(?: {_ARTICLE})+ (\w+)"
    r"| (\w+) (?:(?:is|are|works?) (?:fine|ok|okay|perfectly|good)|va bene|va bien|va perfecto"
    r"|ist ok|ist gut) "
)

# What follows is why, and the team of the cause has to act: tie-break 2. It counts as if said
# this many times.
CAUSE_TIMES: Final = 3
_CAUSE: Final = re.compile(
    r" (?:because|cause|since the|perche|siccome|porque|ya que|weil|wegen|parce qu?e?|car) "
)


@dataclass(frozen=True)
class Vector:
    """A text as sparse numbers: `values[k]` of feature `ids[k]`, and the words it came from.

    `words` is the text's own spelling; `origins[k]` holds positions in it, one for each touch.
    """

    words: list[str]
    ids: NDArray[np.int64]
    values: NDArray[np.float64]
    origins: list[list[int]]


def extract(words: list[str]) -> Iterator[tuple[str, range]]:
    """Yield each feature of normalised words with the positions of the words it touches."""
    text = padded(words)
    starts = list(accumulate((len(word) + 1 for word in words), initial=1))[:-1]

    def touched(start: int, end: int) -> range:
        return range(bisect_right(starts, start) - 1, bisect_right(starts, end - 1))

    out = {
        position
        for match in _RULED_OUT.finditer(text)
        for position in touched(*match.span(match.lastindex or 0))
    }
    cause = _CAUSE.search(text)
    first_of_cause = touched(cause.end(), cause.end() + 1).start if cause else len(words)
    for position, word in enumerate(words):
        if position in out or word in FUNCTION_WORDS:
            continue
        here = range(position, position + 1)
        yield WORD + word, here
        edged = f" {word} "
        for size in NGRAM_CHARACTERS:
            for start in range(len(edged) - size + 1):
                yield edged[start : start + size], here
    for concept, pattern in PATTERNS:
        start = text.find(pattern)
        if start >= 0:
            first = start + (pattern[0] == " ")
            span = touched(first, start + len(pattern.rstrip()))
            if out.isdisjoint(span):
                for _ in range(CAUSE_TIMES if span.start >= first_of_cause else 1):
                    yield CONCEPT + concept, span


class Vectoriser:
    """Weighs features by TF-IDF, concepts and spelling each at a fixed length of their own."""

    def __init__(self, vocabulary: list[str], idf: NDArray[np.float64], unknown_idf: float) -> None:
        self._ids = {name: index for index, name in enumerate(vocabulary)}
        self._idf = idf
        self._unknown_idf = unknown_idf

    def vector(self, text: str) -> Vector:
        """Return the text as numbers. Features never seen shorten the others, and weigh nothing."""
        words = split_words(text)
        found: defaultdict[str, list[int]] = defaultdict(list)
        counts: defaultdict[str, int] = defaultdict(int)
        for name, span in extract([normalise(word) for word in words]):
            found[name].extend(span)
            counts[name] += 1
        names = list(found)
        ids = np.array([self._ids.get(name, -1) for name in names], dtype=np.int64)
        counted = np.array([counts[name] for name in names], dtype=np.float64)
        values = (1 + np.log(counted)) * np.where(ids < 0, self._unknown_idf, self._idf[ids])
        concept = np.array([name[0] == CONCEPT for name in names], dtype=bool)
        for block, weight in ((concept, 1.0), (~concept, SPELLING_WEIGHT)):
            values[block] *= weight / (np.linalg.norm(values[block]) or 1.0)
        known = np.flatnonzero(ids >= 0)
        return Vector(words, ids[known], values[known], [found[names[k]] for k in known])
