"""Trains the model: `python -m classifier_svc.train` writes `model.npz` and prints how good it is.

Needs scikit-learn, which the service itself never imports. The same text gives the same model.
"""

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack, vstack  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict

from classifier_svc import encoder, model, sentences
from classifier_svc.encoder import Encoder
from classifier_svc.evaluate import Measured, measure
from classifier_svc.features import CONCEPT, Vectoriser, extract
from classifier_svc.readers import readers_fingerprint
from classifier_svc.sentences import Sentence
from classifier_svc.words import normalise, split_words

# Inverse strength of the L2 penalty. This, the n-grams and the weight of spelling were compared on
# the folds and on validation; neighbouring settings differ by less than the noise of either.
C: Final = 3.0
FOLDS: Final = 5
ENCODED_AT_ONCE: Final = 64
# A model below any of these is not written.
ACCURACY_FLOOR: Final = 0.84
MACRO_F1_FLOOR: Final = 0.84
LANGUAGE_FLOOR: Final = 0.75


class HidingRegression(LogisticRegression):  # type: ignore[misc]
    """Learns each sentence three times: whole, without its concepts, and without its vector.

    A stranger's sentence may miss either, and the encoder may be missing altogether; hiding one
    keeps the others from leaning on it.
    """

    # 0, 1 or 2 for each column: spelling, concept or vector.
    part: NDArray[np.int64]

    def fit(self, X: csr_matrix, y: NDArray[np.int64]) -> "HidingRegression":
        """Fit on `X` and on what is left of it."""
        views = [X, *(X.multiply((self.part != hidden).astype(float)).tocsr() for hidden in (1, 2))]
        super().fit(vstack(views).tocsr(), np.tile(y, len(views)))
        return self


def fit_vectoriser(training: Sequence[Sentence]) -> tuple[list[str], NDArray[np.float64], float]:
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


def as_matrix(vectoriser: Vectoriser, texts: Sequence[str], width: int) -> csr_matrix:
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


def encode_all(space: Encoder, texts: Sequence[str]) -> NDArray[np.float32]:
    """Return where the texts lie, (n, 512)."""
    batches = [texts[n : n + ENCODED_AT_ONCE] for n in range(0, len(texts), ENCODED_AT_ONCE)]
    rows = [model.encode(space, batch) for batch in batches]
    return np.concatenate([row for row in rows if row is not None])


class Training:
    """The training sentences as numbers, ready to fit."""

    def __init__(self, training: Sequence[Sentence], space: Encoder) -> None:
        self.sentences = training
        self.vocabulary, idf, self.unknown_idf = fit_vectoriser(training)
        self.idf = idf.astype(np.float32)
        vectoriser = Vectoriser(self.vocabulary, self.idf.astype(np.float64), self.unknown_idf)
        texts = [sentence.text for sentence in training]
        self.vectors = encode_all(space, texts)
        words = as_matrix(vectoriser, texts, len(self.vocabulary))
        self.x = hstack([words, csr_matrix(self.vectors)]).tocsr()
        self.y = np.array([model.CATEGORIES.index(s.category) for s in training])
        HidingRegression.part = np.array(
            [int(name[0] == CONCEPT) for name in self.vocabulary] + [2] * self.vectors.shape[1]
        )

    def fold(self) -> NDArray[np.float64]:
        """Return the scores that each sentence gets from a model that never saw its topic."""
        topics = [f"{s.category}/{s.topic}" for s in self.sentences]
        return np.asarray(
            cross_val_predict(
                HidingRegression(C=C, max_iter=2_000),
                self.x,
                self.y,
                groups=topics,
                cv=GroupKFold(FOLDS),
                method="predict_proba",
            )
        )

    def fit(self, path: Path, validation: Sequence[Sentence], space: Encoder) -> Measured:
        """Write a model to `path` and return how good what stands there is on `validation`."""
        regression = HidingRegression(C=C, max_iter=2_000).fit(self.x, self.y)
        weights = regression.coef_.T
        features = len(self.vocabulary)
        fingerprint = sentences.fingerprint(self.sentences)
        stored: dict[str, Any] = {
            "version": np.str_(hashlib.sha256(f"{fingerprint} {C}".encode()).hexdigest()[:12]),
            "training_sha256": np.str_(fingerprint),
            "readers_sha256": np.str_(readers_fingerprint()),
            "encoder": np.str_(encoder.VERSION),
            "vocabulary": np.frombuffer("\n".join(self.vocabulary).encode("utf-8"), dtype=np.uint8),
            "idf": self.idf,
            "unknown_idf": np.float64(self.unknown_idf),
            "words": weights[:features].astype(np.float16),
            "vector": weights[features:].astype(np.float32),
            "bias": regression.intercept_.astype(np.float32),
            "learnt": np.round(self.vectors * 127 / np.abs(self.vectors).max()).astype(np.int8),
            "accuracy": np.float64(0),
        }
        # Measured is what stands in the file, with all that storing it took away.
        _write(path, stored)
        measured = measure_model(model.load(space, path), validation)
        _write(path, stored | {"accuracy": np.float64(measured.accuracy)})
        return measured


def measure_model(known: model.Model, labelled: Sequence[Sentence]) -> Measured:
    """Return how good a model is on labelled sentences."""
    answers = known.classify([sentence.text for sentence in labelled])
    scores = np.array([[answer.scores[c] for c in model.CATEGORIES] for answer in answers])
    return measure(labelled, scores)


def _write(path: Path, stored: dict[str, Any]) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, **stored)


def main() -> int:
    """Train, measure, write; return 1 and write nothing where a floor is missed."""
    space = encoder.load()
    if space is None:
        print("the encoder is needed to train", file=sys.stderr)
        return 1
    training = Training(sentences.read("training"), space)
    validation = sentences.read("validation")
    folded = measure(training.sentences, training.fold())
    print(folded.report(f"{FOLDS}-fold over unseen topics of training"))
    candidate = model.PATH.with_suffix(".new")
    try:
        measured = training.fit(candidate, validation, space)
        known = model.load(space, candidate)
        print(measured.report(f"validation, model {known.version}"))
        without = measure_model(model.load(None, candidate), validation)
        print(f"without the encoder: accuracy {without.accuracy:.3f}")
        if missed := _missed(measured):
            print("not written, below the floor: " + ", ".join(missed), file=sys.stderr)
            return 1
        candidate.replace(model.PATH)
    finally:
        candidate.unlink(missing_ok=True)
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
