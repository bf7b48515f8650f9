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
from classifier_svc.focus import Focus, Read, places, read, split_clauses
from classifier_svc.readers import readers_fingerprint
from classifier_svc.sentences import Sentence
from classifier_svc.words import normalise, split_words

# Inverse strength of the L2 penalty. This, the n-grams and the weight of spelling were compared on
# the folds and on validation; neighbouring settings differ by less than the noise of either.
C: Final = 3.0
FOLDS: Final = 5
# A feature of one sentence only is chance.
FEATURE_SEEN_MIN: Final = 2
# The meaning against the words.
VECTOR_WEIGHT: Final = 1.3
FOCUS_C: Final = 2.0
SUBJECT_C: Final = 1.0
COVERED_COSINE: Final = 0.6
MARKED_WEIGHT: Final = 1.0
UNMARKED_WEIGHT: Final = 0.15
WRAPPED_EVERY: Final = 3
# A model below any of these is not written.
ACCURACY_FLOOR: Final = 0.90
MACRO_F1_FLOOR: Final = 0.90
LANGUAGE_FLOOR: Final = 0.85


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


def fit_vectoriser(texts: Sequence[str]) -> tuple[list[str], NDArray[np.float64], float]:
    """Return the vocabulary, its inverse document frequencies (smoothed), and that of the unseen.

    idf = ln((1 + n) / (1 + df)) + 1, as in scikit-learn's TfidfTransformer.
    """
    document_frequency: Counter[str] = Counter()
    for text in texts:
        words = [normalise(word) for word in split_words(text)]
        document_frequency.update({name for name, _ in extract(words)})
    vocabulary = sorted(name for name, n in document_frequency.items() if n >= FEATURE_SEEN_MIN)
    n = len(texts)
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


class ClauseTraining:
    """Learns which clauses carry the wish, from marked texts and from courtesies.

    An unmarked text is believed to be to the point, but not much: some are not. Every third also
    comes with a greeting and a closing, which never are.
    """

    def __init__(self, training: Sequence[Sentence], space: Encoder) -> None:
        self.clauses = [split_clauses(sentence.text) for sentence in training]
        wrapped = self._wrap(training)
        texts = [*self.clauses, *(clauses for _, clauses, _ in wrapped)]
        marks = [
            *(_marks(s, clauses) for s, clauses in zip(training, self.clauses, strict=True)),
            *(marks for _, _, marks in wrapped),
        ]
        # A text and itself with a greeting stay on one side of each fold.
        owners = [*range(len(training)), *(owner for owner, _, _ in wrapped)]
        weights = [
            MARKED_WEIGHT if owner < len(training) and training[owner].core else UNMARKED_WEIGHT
            for owner in owners
        ]
        sizes = [len(text) for text in texts]
        self.vectors = space.encode([clause for text in texts for clause in text])
        self._x = np.concatenate(
            [self.vectors, np.concatenate([places(size) for size in sizes])], axis=1
        )
        self._y = np.concatenate(marks)
        self._weight = np.repeat(weights, sizes) * np.repeat([size > 1 for size in sizes], sizes)
        self._owner = np.repeat(owners, sizes)
        self._own = sum(map(len, self.clauses))

    def _wrap(self, training: Sequence[Sentence]) -> list[tuple[int, list[str], NDArray[np.int64]]]:
        courtesies = sentences.read_courtesies()
        found = []
        for owner in range(0, len(training), WRAPPED_EVERY):
            polite = courtesies.get(training[owner].language)
            if polite and not training[owner].core:
                first, last = polite[owner % len(polite)], polite[(owner * 7 + 3) % len(polite)]
                said = self.clauses[owner]
                marks = np.array([0, *[1] * len(said), 0])
                found.append((owner, [first, *said, last], marks))
        return found

    def fit(self) -> Focus:
        """Return what was learnt from all of it."""
        return self._fit(np.arange(len(self._y)))

    def fold(self) -> list[Read]:
        """Return what each training text comes to for a focus that never saw it."""
        carries = np.zeros(len(self._y), np.float32)
        for learn, judge in GroupKFold(FOLDS).split(self._x, self._y, self._owner):
            focus = self._fit(learn)
            evidence = self._x[judge] @ focus.weights + focus.bias
            carries[judge] = 1 / (1 + np.exp(-evidence))
        return read(self.clauses, self.vectors[: self._own], carries[: self._own])

    def _fit(self, rows: NDArray[np.int64]) -> Focus:
        regression = LogisticRegression(C=FOCUS_C, max_iter=2_000)
        regression.fit(self._x[rows], self._y[rows], sample_weight=self._weight[rows])
        return Focus(regression.coef_[0].astype(np.float32), float(regression.intercept_[0]))


def _marks(sentence: Sentence, clauses: list[str]) -> NDArray[np.int64]:
    """Return 1 for each clause of which more than half is marked, or for all without marks."""
    if not sentence.core:
        return np.ones(len(clauses), np.int64)
    text = sentence.text
    marked = np.zeros(len(text), bool)
    for core in sentence.core:
        start = text.index(core)
        marked[start : start + len(core)] = True
    marks, start = [], 0
    for clause in clauses:
        start = text.index(clause, start)
        marks.append(int(marked[start : start + len(clause)].mean() > 0.5))
        start += len(clause)
    return np.array(marks)


class Training:
    """The training sentences as numbers, ready to fit."""

    def __init__(self, training: Sequence[Sentence], space: Encoder) -> None:
        self.sentences = training
        clause_training = ClauseTraining(training, space)
        self.focus = clause_training.fit()
        self._reader = model.Reader(space, self.focus)
        found = clause_training.fold()
        self.vectors = np.stack([text.vector for text in found])
        cores = [text.core for text in found]
        self.vocabulary, idf, self.unknown_idf = fit_vectoriser(cores)
        self.idf = idf.astype(np.float32)
        vectoriser = Vectoriser(self.vocabulary, self.idf.astype(np.float64), self.unknown_idf)
        words = as_matrix(vectoriser, cores, len(self.vocabulary))
        self.x = hstack([words, csr_matrix(VECTOR_WEIGHT * self.vectors)]).tocsr()
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
            "vector": (VECTOR_WEIGHT * weights[features:]).astype(np.float32),
            "bias": regression.intercept_.astype(np.float32),
            "learnt": as_bytes(cover(self.vectors)),
            "subject": self._fit_subject(),
            "focus": self.focus.weights,
            "focus_bias": np.float64(self.focus.bias),
            "accuracy": np.float64(0),
        }
        # Measured is what stands in the file, with all that storing it took away.
        _write(path, stored)
        measured = measure_model(model.load(space, path), validation)
        _write(path, stored | {"accuracy": np.float64(measured.accuracy)})
        return measured

    def _fit_subject(self) -> NDArray[np.float32]:
        """Return the weights and the bias that tell a campus from all other subjects."""
        other = np.stack([text.vector for text in self._reader.read(sentences.read_other())])
        regression = LogisticRegression(C=SUBJECT_C, class_weight="balanced", max_iter=2_000)
        regression.fit(
            np.concatenate([self.vectors, other]), [1] * len(self.vectors) + [0] * len(other)
        )
        return np.append(regression.coef_[0], regression.intercept_).astype(np.float32)


def cover(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the vectors that are not near one before them: the rest would only take memory."""
    kept = np.zeros_like(vectors)
    n = 0
    for vector in vectors:
        if not n or (kept[:n] @ vector).max() < COVERED_COSINE:
            kept[n] = vector
            n += 1
    return kept[:n]


def as_bytes(vectors: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return directions in one byte a number; lengths are lost."""
    return np.asarray(np.round(vectors * 127 / np.abs(vectors).max()), dtype=np.int8)


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
