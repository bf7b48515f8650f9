"""Finds words of five languages that mean the same, so that a sentence in one teaches the others.

`concepts.json` maps a concept to its patterns: lower case, each matching the beginning of a word;
`*` in front: anywhere in a word (compounds); `$` at the end: the word ends there; a space goes on
to the next word. A concept carries no category: what it speaks for is learnt from the sentences.
"""

import json
from pathlib import Path
from typing import Final

from classifier_svc.words import normalise

PATH: Final = Path(__file__).parent / "concepts.json"


def read_patterns(path: Path = PATH) -> list[tuple[str, str]]:
    """Return (concept, pattern) pairs, each pattern to be looked up in a `words.padded` text.

    A space at either end of a pattern stands for a word's boundary.
    """
    concepts: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    pairs = []
    for concept, patterns in concepts.items():
        for pattern in patterns:
            core = " ".join(map(normalise, pattern.strip("*$").split()))
            left = "" if pattern.startswith("*") else " "
            right = " " if pattern.endswith("$") else ""
            pairs.append((concept, f"{left}{core}{right}"))
    return pairs


PATTERNS: Final = read_patterns()
