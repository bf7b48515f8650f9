"""The model at run time, on numpy and the encoder alone, from an `.npz` file.

Never trains, and reads no pickle.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from classifier_svc.encoder import Encoder
from classifier_svc.features import Vectoriser
from classifier_svc.focus import Focus, Read, read, split_clauses
from classifier_svc.readers import readers_fingerprint
from classifier_svc.words import FUNCTION_WORDS, normalise
from contracts.messages import Classification
from contracts.vocabulary import Category

PATH: Final = Path(__file__).parent / "model.npz"
# Columns of the weights.
CATEGORIES: Final = tuple(Category)
BECAUSE_MAX_WORDS: Final = 5
# A word that moved the decision by less than this share of the strongest one decided nothing.
BECAUSE_MIN_SHARE: Final = 0.2
# The cosine to the nearest sentence that it learnt from: up to the first, nothing like the text was
# ever seen; from the second on it is at home. Of validation one in a hundred is below 0.35.
KNOWN_COSINE: Final = (0.25, 0.38)
# The same for the probability that it is about a campus at all. Of validation 5 in 100 are below
# 0.63, of other subjects 5 in 100 above 0.67.
CAMPUS_PROBABILITY: Final = (0.25, 0.65)
# What is left of the evidence for a text unlike any seen, and for one that is at home: strangers'
# tickets are harder than the training says. The second was fitted to validation.
STRANGE_EVIDENCE: Final = 0.1
FAMILIAR_EVIDENCE: Final = 0.8


@dataclass(frozen=True)
class Weights:
    """What training found: a multinomial logistic regression, one column a category.

    Evidence comes from words, (features, 3), and from the encoder's vector, (512, 3). `learnt`
    holds the vectors of the training sentences, (n, 512), and `subject`, (513,), is a logistic
    regression of its own with the bias last: is a vector about a campus at all?
    """

    words: NDArray[np.float32]
    vector: NDArray[np.float32]
    bias: NDArray[np.float32]
    learnt: NDArray[np.float32]
    subject: NDArray[np.float32]


class Model:
    """Says which team has to act; immutable but for the encoder's memory of the last texts.

    Without an encoder the words alone decide, a little worse in every language.
    """

    def __init__(
        self,
        vectoriser: Vectoriser,
        weights: Weights,
        reader: "Reader | None",
        version: str,
        accuracy: float,
    ) -> None:
        self._vectoriser = vectoriser
        self._weights = weights
        self._reader = reader
        self.version = version
        self.accuracy = accuracy

    def classify(self, texts: Sequence[str]) -> list[Classification]:
        """Return for each text the team, how sure that is, and the words that decided.

        Any string will do; only its first 1 000 characters are read. The scores of each sum to 1;
        a text unlike any seen gets nearly equal ones.
        """
        if not texts:
            return []
        vectors = None
        if self._reader is not None:
            found = self._reader.read(texts)
            vectors = np.stack([text.vector for text in found])
            texts = [text.core for text in found]
        evidence = [self._evidence(text) for text in texts]
        scores = self._scores(evidence, vectors)
        return [
            Classification(
                category=CATEGORIES[best],
                confidence=float(row[best]),
                scores=dict(zip(CATEGORIES, map(float, row), strict=True)),
                because=_because(text, best),
                model=self.version,
            )
            for text, row, best in zip(
                evidence, scores, map(int, scores.argmax(axis=1)), strict=True
            )
        ]

    def _evidence(self, text: str) -> "Evidence":
        """Share what each feature says among the words that it came from."""
        vector = self._vectoriser.vector(text)
        says = self._weights.words[vector.ids] * vector.values[:, np.newaxis]
        touched = np.array([len(positions) for positions in vector.origins], dtype=np.int64)
        shares = np.repeat(says / touched[:, np.newaxis], touched, axis=0)
        pushes = np.zeros((len(vector.words), len(CATEGORIES)))
        np.add.at(pushes, list(chain.from_iterable(vector.origins)), shares)
        return Evidence(vector.words, pushes)

    def _scores(
        self, evidence: "Sequence[Evidence]", vectors: NDArray[np.float32] | None
    ) -> NDArray[np.float64]:
        """Return the probability of each category (softmax), one row a text."""
        logits = np.array([text.pushes.sum(axis=0) for text in evidence]) + self._weights.bias
        if vectors is not None:
            logits += vectors @ self._weights.vector
            familiar = self._familiarity(vectors) * [bool(text.words) for text in evidence]
            logits *= np.clip(FAMILIAR_EVIDENCE * familiar, STRANGE_EVIDENCE, None)[:, np.newaxis]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def _familiarity(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how much texts are like what was learnt: up to 0 for strange, 1 for at home."""
        nearest = (self._weights.learnt @ vectors.T).max(axis=0)
        subject = self._weights.subject
        about = 1 / (1 + np.exp(-(vectors @ subject[:-1] + subject[-1])))
        return _ramp(nearest, *KNOWN_COSINE) * _ramp(about, *CAMPUS_PROBABILITY)


class Evidence(NamedTuple):
    """What the words of a text say for each category: `pushes` is (words, 3)."""

    words: list[str]
    pushes: NDArray[np.float64]


def _because(text: Evidence, best: int) -> list[str]:
    """Return the words that pushed most towards `best`, against the mean of the others."""
    others = (text.pushes.sum(axis=1) - text.pushes[:, best]) / (len(CATEGORIES) - 1)
    spelling: dict[str, str] = {}
    push_of: defaultdict[str, float] = defaultdict(float)
    for word, push in zip(text.words, text.pushes[:, best] - others, strict=True):
        own = normalise(word)
        if own not in FUNCTION_WORDS:
            spelling.setdefault(own, word)
            push_of[own] += float(push)
    ranked = sorted(push_of, key=push_of.__getitem__, reverse=True)[:BECAUSE_MAX_WORDS]
    least = max(BECAUSE_MIN_SHARE * push_of[ranked[0]], 0.0) if ranked else 0.0
    return [spelling[word] for word in ranked if push_of[word] > least]


def _ramp(values: NDArray[np.float32], strange: float, familiar: float) -> NDArray[np.float32]:
    return np.asarray(np.clip((values - strange) / (familiar - strange), 0.0, 1.0))


class Reader:
    """Reads texts clause by clause: what counts of each, and where that lies."""

    def __init__(self, encoder: Encoder, focus: Focus) -> None:
        self._encoder = encoder
        self._focus = focus

    def read(self, texts: Sequence[str]) -> list[Read]:
        """Return what each text comes to."""
        clauses = [split_clauses(text) for text in texts]
        vectors = self._encoder.encode([clause for text in clauses for clause in text])
        return read(clauses, vectors, self._focus.carries(vectors, [len(c) for c in clauses]))


def load(encoder: Encoder | None, path: Path = PATH) -> Model:
    """Return a trained model.

    Raises OSError, ValueError, KeyError or BadZipFile where it can't be read, or was trained by
    code that reads a text in another way.
    """
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        if str(stored["readers_sha256"]) != readers_fingerprint():
            raise ValueError("trained by another version of the code: train again")
        vocabulary = stored["vocabulary"].tobytes().decode("utf-8").split("\n")
        idf = stored["idf"].astype(np.float64)
        learnt = stored["learnt"].astype(np.float32)
        focus = Focus(stored["focus"].astype(np.float32), float(stored["focus_bias"]))
        return Model(
            Vectoriser(vocabulary, idf, float(stored["unknown_idf"])),
            Weights(
                words=stored["words"].astype(np.float32),
                vector=stored["vector"].astype(np.float32),
                bias=stored["bias"].astype(np.float32),
                subject=stored["subject"].astype(np.float32),
                learnt=learnt / np.linalg.norm(learnt, axis=1, keepdims=True),
            ),
            Reader(encoder, focus) if encoder else None,
            str(stored["version"]),
            float(stored["accuracy"]),
        )
