"""The model at run time, on numpy and the encoder alone, from an `.npz` file.

Never trains, and reads no pickle.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier_svc.encoder import Encoder
from classifier_svc.features import Vector, Vectoriser, said_without_what_is_ruled_out
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
# The cosine to the nearest sentence that it learnt from: below the first, nothing like the text
# was ever seen; from the second on it is at home. Of validation 1 in 100 is below 0.39; jokes,
# code and other subjects are mostly below 0.38.
STRANGE_COSINE: Final = 0.30
FAMILIAR_COSINE: Final = 0.45
# What is left of the evidence for a text unlike any seen.
STRANGE_EVIDENCE: Final = 0.1


@dataclass(frozen=True)
class Weights:
    """What training found: a multinomial logistic regression, one column a category.

    Evidence comes from words, (features, 3), and from the encoder's vector, (512, 3). `learnt`
    holds the vectors of the training sentences, (n, 512), to tell how familiar a text is.
    """

    words: NDArray[np.float32]
    vector: NDArray[np.float32]
    bias: NDArray[np.float32]
    learnt: NDArray[np.float32]


class Model:
    """Says which team has to act; immutable but for the encoder's memory of the last texts.

    Without an encoder the words alone decide, a little worse in every language.
    """

    def __init__(
        self,
        vectoriser: Vectoriser,
        weights: Weights,
        encoder: Encoder | None,
        version: str,
        accuracy: float,
    ) -> None:
        self._vectoriser = vectoriser
        self._weights = weights
        self._encoder = encoder
        self.version = version
        self.accuracy = accuracy

    def classify(self, texts: Sequence[str]) -> list[Classification]:
        """Return for each text the team, how sure that is, and the words that decided.

        Any string will do; only its first 1 000 characters are read. The scores of each sum to 1;
        a text unlike any seen gets nearly equal ones.
        """
        vectors = [self._vectoriser.vector(text) for text in texts]
        scores = self.scores(vectors, encode(self._encoder, texts))
        return [
            Classification(
                category=CATEGORIES[best],
                confidence=float(row[best]),
                scores=dict(zip(CATEGORIES, map(float, row), strict=True)),
                because=self._because(vector, best),
                model=self.version,
            )
            for vector, row, best in zip(
                vectors, scores, map(int, scores.argmax(axis=1)), strict=True
            )
        ]

    def scores(
        self, words: Sequence[Vector], vectors: NDArray[np.float32] | None
    ) -> NDArray[np.float64]:
        """Return the probability of each category (softmax), one row a text.

        `vectors` is what `encode` returns.
        """
        logits = np.array(
            [text.values @ self._weights.words[text.ids] + self._weights.bias for text in words]
        )
        if vectors is not None:
            logits += vectors @ self._weights.vector
            nearest = (vectors @ self._weights.learnt.T).max(axis=1)
            known = (nearest - STRANGE_COSINE) / (FAMILIAR_COSINE - STRANGE_COSINE)
            logits *= np.clip(known, STRANGE_EVIDENCE, 1.0)[:, np.newaxis]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def _because(self, vector: Vector, best: int) -> list[str]:
        """Share each feature's push towards `best`, against the mean of the others, among words."""
        rows = self._weights.words[vector.ids]
        others = (rows.sum(axis=1) - rows[:, best]) / (len(CATEGORIES) - 1)
        own = [normalise(word) for word in vector.words]
        pushes = vector.values * (rows[:, best] - others)
        spelling: dict[str, str] = {}
        push_of: defaultdict[str, float] = defaultdict(float)
        for push, positions in zip(pushes, vector.origins, strict=True):
            for position in positions:
                if own[position] not in FUNCTION_WORDS:
                    spelling.setdefault(own[position], vector.words[position])
                    push_of[own[position]] += float(push) / len(positions)
        ranked = sorted(push_of, key=push_of.__getitem__, reverse=True)[:BECAUSE_MAX_WORDS]
        least = max(BECAUSE_MIN_SHARE * push_of[ranked[0]], 0.0) if ranked else 0.0
        return [spelling[word] for word in ranked if push_of[word] > least]


def encode(encoder: Encoder | None, texts: Sequence[str]) -> NDArray[np.float32] | None:
    """Return where the texts lie, (n, 512), as the model wants them; None without an encoder."""
    if encoder is None:
        return None
    return encoder.encode([said_without_what_is_ruled_out(text) for text in texts])


def load(encoder: Encoder | None, path: Path = PATH) -> Model:
    """Return a trained model.

    Raises OSError, ValueError, KeyError or BadZipFile where it can't be read, or was trained by
    code that reads a text in another way.
    """
    with np.load(path, allow_pickle=False) as stored:
        if str(stored["readers_sha256"]) != readers_fingerprint():
            raise ValueError("trained by another version of the code: train again")
        vocabulary = stored["vocabulary"].tobytes().decode("utf-8").split("\n")
        idf = stored["idf"].astype(np.float64)
        learnt = stored["learnt"].astype(np.float32)
        return Model(
            Vectoriser(vocabulary, idf, float(stored["unknown_idf"])),
            Weights(
                words=stored["words"].astype(np.float32),
                vector=stored["vector"].astype(np.float32),
                bias=stored["bias"].astype(np.float32),
                learnt=learnt / np.linalg.norm(learnt, axis=1, keepdims=True),
            ),
            encoder,
            str(stored["version"]),
            float(stored["accuracy"]),
        )
