"""The labelled sentences, written for this project: `training/` to learn, `validation/` to measure.

No sentence stands in both. Their fingerprint ties a model to the text it learnt from.
"""

import hashlib
import json
from pathlib import Path
from typing import Final, Literal, NamedTuple

from classifier_svc import concepts, features, words
from contracts.vocabulary import Category

FOLDER: Final = Path(__file__).parent
SetName = Literal["training", "validation"]


class Sentence(NamedTuple):
    """One report and the right category; `language` is ISO 639-1, `topic` groups like with like."""

    text: str
    category: Category
    language: str
    topic: str


def _files(name: SetName) -> list[Path]:
    return sorted((FOLDER / name).glob("*.jsonl"))


def read(name: SetName) -> list[Sentence]:
    """Return a whole set, in a stable order. Raises ValueError for a malformed line."""
    return [
        Sentence(row["text"], Category(row["category"]), row["language"], row["topic"])
        for path in _files(name)
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())
    ]


def training_fingerprint() -> str:
    """Return the SHA-256 of all that makes a model: the training set, and what reads a text."""
    readers = [Path(module.__file__ or "") for module in (concepts, features, words)]
    digest = hashlib.sha256()
    for path in [*_files("training"), concepts.PATH, *readers]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
