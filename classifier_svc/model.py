"""The model at run time, on numpy alone, from the committed `model.npz`.

Never trains, and reads no pickle.
"""

from collections import defaultdict
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier_svc.features import Vector, Vectoriser
from classifier_svc.words import FUNCTION_WORDS, normalise
from contracts.messages import Classification
from contracts.vocabulary import Category

PATH: Final = Path(__file__).parent / "model.npz"
# Columns of the weights.
CATEGORIES: Final = tuple(Category)
BECAUSE_MAX_WORDS: Final = 5
# A word that moved the decision by less than this share of the strongest one decided nothing.
BECAUSE_MIN_SHARE: Final = 0.2


class Model:
    """A multinomial logistic regression over `features`; immutable, safe to share."""

    def __init__(
        self,
        vectoriser: Vectoriser,
        weights: NDArray[np.float64],
        bias: NDArray[np.float64],
        version: str,
    ) -> None:
        self._vectoriser = vectoriser
        self._weights = weights
        self._bias = bias
        self.version = version

    def classify(self, text: str) -> Classification:
        """Return the team that has to act on `text`, how sure that is, and the words that decided.

        Any string will do; only its first 1 000 characters are read. The scores sum to 1; a text
        without a known word gets what is left: nearly equal scores and no words.
        """
        vector = self._vectoriser.vector(text)
        scores = self.scores(vector)
        best = int(scores.argmax())
        return Classification(
            category=CATEGORIES[best],
            confidence=float(scores[best]),
            scores=dict(zip(CATEGORIES, map(float, scores), strict=True)),
            because=self._because(vector, best),
            model=self.version,
        )

    def scores(self, vector: Vector) -> NDArray[np.float64]:
        """Return the probability of each category (softmax), in the order of `CATEGORIES`."""
        logits = vector.values @ self._weights[vector.ids] + self._bias
        powers = np.exp(logits - logits.max())
        return np.asarray(powers / powers.sum())

    def _because(self, vector: Vector, best: int) -> list[str]:
        """Share each feature's push towards `best`, against the mean of the others, among words."""
        rows = self._weights[vector.ids]
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


def load(path: Path = PATH) -> Model:
    """Return the model that was trained last. Raises OSError or ValueError if it can't be read."""
    with np.load(path, allow_pickle=False) as stored:
        vocabulary = stored["vocabulary"].tobytes().decode("utf-8").split("\n")
        vectoriser = Vectoriser(
            vocabulary, stored["idf"].astype(np.float64), float(stored["unknown_idf"])
        )
        return Model(
            vectoriser,
            stored["weights"].astype(np.float64),
            stored["bias"].astype(np.float64),
            str(stored["version"]),
        )
