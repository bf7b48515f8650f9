"""Trains the model: `python -m classifier_svc.train` writes `model.npz` and prints how good it is.

Needs scikit-learn, which the service itself never imports. The same text gives the same model.
"""

import hashlib
import os
import sys
from collections import Counter
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict

from classifier_svc import model, sentences
from classifier_svc.evaluate import Measured, measure
from classifier_svc.features import CONCEPT, Vectoriser, extract
from classifier_svc.sentences import Sentence
from classifier_svc.words import normalise, split_words

# Inverse strength of the L2 penalty. This, the n-grams and the weight of spelling were compared on
# the folds and on validation; neighbouring settings differ by less than the noise of either.
C: Final = 3.0
FOLDS: Final = 5
# A model below any of these is not written. Measured when they were set: accuracy and macro-F1
# 0.94, the lowest language 0.90 (of 30 sentences).
ACCURACY_FLOOR: Final = 0.90
MACRO_F1_FLOOR: Final = 0.90
LANGUAGE_FLOOR: Final = 0.85
# How far the stored float16 weights may move a probability.
ROUNDING_MAX: Final = 1e-3


def fit_vectoriser(training: list[Sentence]) -> tuple[list[str], NDArray[np.float64], float]:
    """Return the vocabulary, its inverse document frequencies (smoothed), and that of the unseen.

    idf = ln((1 + n) / (1 + df)) + 1, as in scikit-learn's TfidfTransformer.
    """
    document_frequency: Counter[str] = Counter()
    for sentence in training:
        words = [normalise(word) for word in split_words(sentence.text)]
        document_frequency.update({name for name, _ in extract(words)})
    vocabulary = sorted(document_frequency)
    n = len(training)
    df = np.array([document_frequency[name] for name in vocabulary])
    return vocabulary, np.log((1 + n) / (1 + df)) + 1, float(np.log(1 + n)) + 1


def as_matrix(vectoriser: Vectoriser, texts: list[str], width: int) -> csr_matrix:
    """Return one row a text, `width` features."""
    vectors = [vectoriser.vector(text) for text in texts]
    ends = np.cumsum([0] + [len(vector.ids) for vector in vectors])
    return csr_matrix(
        (
            np.concatenate([vector.values for vector in vectors]),
            np.concatenate([vector.ids for vector in vectors]),
            ends,
        ),
        shape=(len(texts), width),
    )


class HidingRegression(LogisticRegression):  # type: ignore[misc]
    """Learns each sentence three times: whole, by its spelling alone, by its concepts alone.

    A stranger's sentence may miss either; hiding one half keeps the other from leaning on it.
    """

    is_concept: NDArray[np.float64]

    def fit(self, X: csr_matrix, y: NDArray[np.int64]) -> "HidingRegression":
        """Fit on `X` and on both halves of it."""
        halves = [X, X.multiply(self.is_concept).tocsr(), X.multiply(1 - self.is_concept).tocsr()]
        super().fit(vstack(halves).tocsr(), np.tile(y, 3))
        return self


def main() -> int:
    """Train, measure, write; return 1 and write nothing where a floor is missed."""
    training, validation = sentences.read("training"), sentences.read("validation")
    vocabulary, idf, unknown_idf = fit_vectoriser(training)
    idf = idf.astype(np.float32).astype(np.float64)
    vectoriser = Vectoriser(vocabulary, idf, unknown_idf)
    HidingRegression.is_concept = np.array([name[0] == CONCEPT for name in vocabulary], float)
    x = as_matrix(vectoriser, [s.text for s in training], len(vocabulary))
    y = np.array([model.CATEGORIES.index(s.category) for s in training])
    regression = HidingRegression(C=C, max_iter=2_000)
    topics = [f"{s.category}/{s.topic}" for s in training]
    folded = cross_val_predict(
        regression, x, y, groups=topics, cv=GroupKFold(FOLDS), method="predict_proba"
    )
    print(measure(training, folded).report(f"{FOLDS}-fold over unseen topics of training"))

    regression.fit(x, y)
    weights = regression.coef_.T.astype(np.float16)
    fingerprint = sentences.training_fingerprint()
    version = hashlib.sha256(f"{fingerprint} {C}".encode()).hexdigest()[:12]
    trained = model.Model(
        vectoriser, weights.astype(np.float64), np.asarray(regression.intercept_), version
    )
    scores = np.array([trained.scores(vectoriser.vector(s.text)) for s in validation])
    exact = regression.predict_proba(
        as_matrix(vectoriser, [s.text for s in validation], len(vocabulary))
    )
    result = measure(validation, scores)
    print(result.report(f"validation, model {version}, {len(vocabulary)} features"))
    if (rounding := float(np.abs(scores - exact).max())) > ROUNDING_MAX:
        print(f"the stored weights move a score by {rounding:.5f}", file=sys.stderr)
        return 1
    if missed := _missed(result):
        print("not written, below the floor: " + ", ".join(missed), file=sys.stderr)
        return 1
    np.savez_compressed(
        model.PATH,
        vocabulary=np.frombuffer("\n".join(vocabulary).encode("utf-8"), dtype=np.uint8),
        idf=idf.astype(np.float32),
        unknown_idf=np.float64(unknown_idf),
        weights=weights,
        bias=np.asarray(regression.intercept_, dtype=np.float64),
        version=np.str_(version),
        training_sha256=np.str_(fingerprint),
        validation_accuracy=np.float64(result.accuracy),
        validation_macro_f1=np.float64(result.macro_f1),
    )
    print(f"wrote {model.PATH.name}: {model.PATH.stat().st_size / 1e6:.2f} MB")
    return 0


def _missed(result: Measured) -> list[str]:
    floors = {"accuracy": (result.accuracy, ACCURACY_FLOOR)}
    floors["macro-F1"] = (result.macro_f1, MACRO_F1_FLOOR)
    for language, accuracy in result.by_language.items():
        floors[language] = (accuracy, LANGUAGE_FLOOR)
    return [f"{name} {got:.3f} < {floor}" for name, (got, floor) in floors.items() if got < floor]


if __name__ == "__main__":
    sys.exit(main())
