"""Which clauses of a text carry the writer's wish: the rest is greeting, context or ruled out.

"The Wi-Fi is fine, thanks. Only the sockets are dead" is about sockets. Where clauses stand and
what they mean tells, in every language that the encoder knows.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from classifier_svc.words import TEXT_MAX_CHARACTERS

# More are one: encoding takes time for each.
CLAUSES_MAX: Final = 24
# Of the most telling clause's weight: what is below is left out of the words.
CORE_SHARE: Final = 0.35
PLACE_FEATURES: Final = 4
# A clause of so many characters says all that a clause can.
FULL_CLAUSE_CHARACTERS: Final = 60

_END: Final = re.compile(
    r"(?<=[.!?;:])\s+|\n+|\s+[-–—]+\s+|,\s+|\s+(?=(?:but|aber|sondern|ma|però|pero|sino|mais)\b)"
)
# "The Wi-Fi works", said beside something else, clears the Wi-Fi; "it works no more" does not.
_CLEARED: Final = re.compile(
    r"\b(?:works?(?: fine| well| again| though)?|(?:is|are) (?:fine|ok|okay|perfect|great)"
    r"|geht(?: ja| wieder| schon)?|funktioniert(?: ja| wieder| gut)?|ist (?:ok|okay|gut)"
    r"|(?:invece |però )?funziona(?: bene| benissimo| invece| però)?|va (?:bene|bien)"
    r"|(?:sí )?funciona(?: bien)?|sí"
    r"|(?:marche|fonctionne)(?: bien| très bien)?|est (?:ok|nickel))\W*$",
    re.IGNORECASE,
)
_DENIED: Final = re.compile(
    r"\b(?:not|never|no|nobody|nothing|hardly|only|non|mai|niente|solo|nunca|nadie|nada|sólo|ne|pas"
    r"|jamais|plus|rien|nicht|nie|kein\w*|nur|kaum|if|when)\b|n['’]t\b",
    re.IGNORECASE,
)
CLEARED_SHARE: Final = 0.02
_LETTER: Final = re.compile(r"\w")


def split_clauses(text: str) -> list[str]:
    """Return the clauses of the first 1 000 characters, the text itself where there is none."""
    text = text[:TEXT_MAX_CHARACTERS]
    found = [clause for part in _END.split(text) if _LETTER.search(clause := part.strip())]
    if len(found) > CLAUSES_MAX:
        found[CLAUSES_MAX - 1 :] = [" ".join(found[CLAUSES_MAX - 1 :])]
    return found or [text]


def places(n: int) -> NDArray[np.float32]:
    """Return where each of n clauses stands, (n, 4): place 0-1, first, last, how many."""
    index = np.arange(n)
    return np.stack(
        [
            index / max(n - 1, 1),
            index == 0,
            index == n - 1,
            np.full(n, min(n, 10) / 10),
        ],
        axis=1,
    ).astype(np.float32)


class Read(NamedTuple):
    """A text as read: its vector of length 1, and what of it counts."""

    vector: NDArray[np.float32]
    core: str


class Focus:
    """A logistic regression over a clause's vector and place: does it carry the wish?

    `weights` is (512 + 4,).
    """

    def __init__(self, weights: NDArray[np.float32], bias: float) -> None:
        self.weights = weights
        self.bias = bias

    def carries(self, vectors: NDArray[np.float32], sizes: Sequence[int]) -> NDArray[np.float32]:
        """Return a probability for each clause; `sizes` counts the clauses of each text."""
        where = np.concatenate([places(size) for size in sizes])
        evidence = np.concatenate([vectors, where], axis=1) @ self.weights + self.bias
        return np.asarray(1 / (1 + np.exp(-evidence)), np.float32)


def read(
    texts: Sequence[list[str]], vectors: NDArray[np.float32], carries: NDArray[np.float32]
) -> list[Read]:
    """Return what the clauses of each text come to; all clauses in one row after the other."""
    ends = np.cumsum([0, *map(len, texts)])
    return [
        _read(clauses, vectors[start:end], carries[start:end])
        for clauses, (start, end) in zip(texts, pairwise(ends), strict=True)
    ]


def _read(clauses: list[str], vectors: NDArray[np.float32], carries: NDArray[np.float32]) -> Read:
    if len(clauses) > 1:
        cleared = [bool(_CLEARED.search(c)) and not _DENIED.search(c) for c in clauses]
        carries = carries * np.where(cleared, CLEARED_SHARE, 1.0)
    share = carries / carries.max()
    length = [min(len(clause), FULL_CLAUSE_CHARACTERS) for clause in clauses]
    vector = (share**2 * length) @ vectors
    core = [clause for clause, counts in zip(clauses, share >= CORE_SHARE, strict=True) if counts]
    return Read(vector / (np.linalg.norm(vector) or 1.0), " ".join(core))
