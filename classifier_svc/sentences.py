"""The labelled sentences, written for this project: `training/` to learn, `validation/` to measure.

No sentence stands in both. Their fingerprint ties a model to the text it learnt from.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from classifier_svc.readers import readers_fingerprint
from contracts.vocabulary import Category

FOLDER: Final = Path(__file__).parent
SetName = Literal["training", "validation"]


class Sentence(NamedTuple):
    """One report and the right category.

    `language` is ISO 639-1, `topic` groups like with like, `kind` says what makes it hard. `core`
    holds the parts of the text that carry the wish, where somebody marked them.
    """

    text: str
    category: Category
    language: str
    topic: str
    kind: str = "plain"
    core: tuple[str, ...] = ()


def _files(name: SetName) -> list[Path]:
    return sorted((FOLDER / name).glob("*.jsonl"))


def read(name: SetName) -> list[Sentence]:
    """Return a whole set, in a stable order. Raises ValueError for a malformed line."""
    return [
        Sentence(
            **row | {"category": Category(row["category"]), "core": tuple(row.get("core", ()))}
        )
        for path in _files(name)
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())
    ]


def read_courtesies() -> dict[str, list[str]]:
    """Return clauses that never carry a wish, by language."""
    found: dict[str, list[str]] = json.loads((FOLDER / "training/courtesies.json").read_text())
    return found


def read_other() -> list[str]:
    """Return sentences that no helpdesk is for."""
    found: list[str] = json.loads((FOLDER / "training/other_subjects.json").read_text())
    return found


def fingerprint(labelled: Sequence[Sentence]) -> str:
    """Return the SHA-256 of all that makes a model: what it learns, and what reads a text."""
    digest = hashlib.sha256(f"{readers_fingerprint()} {read_courtesies()} {read_other()}".encode())
    for sentence in labelled:
        digest.update(repr(tuple(sentence)).encode())
    return digest.hexdigest()
