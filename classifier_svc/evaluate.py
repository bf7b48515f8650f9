"""Measures scores against labelled sentences; numpy alone, so that tests can use it too."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier_svc.model import CATEGORIES
from classifier_svc.sentences import Sentence

CALIBRATION_BINS: Final = 10
SURE: Final = 0.9


@dataclass(frozen=True)
class Measured:
    """What was measured on `rows` sentences; shares are 0–1.

    `confusion[i, j]` counts sentences of category i that were given category j. `ece` is the
    expected calibration error: the mean gap between confidence and accuracy over ten bins. `sure`
    is the share answered with a confidence of at least 0.9, `sure_accuracy` how many of those
    are right.
    """

    rows: int
    accuracy: float
    macro_f1: float
    sure: float
    sure_accuracy: float
    by_language: dict[str, float]
    by_kind: dict[str, float]
    confusion: NDArray[np.int64]
    ece: float

    def report(self, title: str) -> str:
        """Return the figures as lines for a terminal."""
        languages, kinds = (
            ", ".join(f"{name} {share:.3f}" for name, share in shares.items())
            for shares in (self.by_language, self.by_kind)
        )
        table = "\n".join(
            f"  {category:20}" + "".join(f"{count:6}" for count in row)
            for category, row in zip(CATEGORIES, self.confusion, strict=True)
        )
        return (
            f"{title}: {self.rows} sentences\n"
            f"  accuracy {self.accuracy:.3f}, macro-F1 {self.macro_f1:.3f}, ECE {self.ece:.3f}\n"
            f"  sure of {self.sure:.3f}, of which right {self.sure_accuracy:.3f}\n"
            f"  accuracy by language: {languages}\n  by kind: {kinds}\n{table}"
        )


def measure(labelled: Sequence[Sentence], scores: NDArray[np.float64]) -> Measured:
    """Return how well `scores` (one row a sentence, one column a category) fit the labels."""
    truth = np.array([CATEGORIES.index(sentence.category) for sentence in labelled])
    given, confidence = scores.argmax(axis=1), scores.max(axis=1)
    right = given == truth
    confusion = np.zeros((len(CATEGORIES), len(CATEGORIES)), dtype=np.int64)
    np.add.at(confusion, (truth, given), 1)
    f1 = 2 * confusion.diagonal() / (confusion.sum(axis=0) + confusion.sum(axis=1))
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [abs(float(np.sum(right[bins == b] - confidence[bins == b]))) for b in np.unique(bins)]
    sure = confidence >= SURE
    language = np.array([sentence.language for sentence in labelled])
    kind = np.array([sentence.kind for sentence in labelled])
    return Measured(
        rows=len(labelled),
        accuracy=float(right.mean()),
        macro_f1=float(f1.mean()),
        sure=float(sure.mean()),
        sure_accuracy=float(right[sure].mean()) if sure.any() else 0.0,
        by_language={
            str(name): float(right[language == name].mean()) for name in np.unique(language)
        },
        by_kind={str(name): float(right[kind == name].mean()) for name in np.unique(kind)},
        confusion=confusion,
        ece=sum(gaps) / len(labelled),
    )
