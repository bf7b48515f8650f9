"""The fingerprint of the code that reads a text: a model only fits the code it was trained with."""

import hashlib
from functools import cache
from pathlib import Path

from classifier_svc import concepts, features, focus, words


@cache
def readers_fingerprint() -> str:
    """Return a SHA-256."""
    digest = hashlib.sha256()
    modules = (concepts, features, focus, words)
    for path in [*(Path(module.__file__ or "") for module in modules), concepts.PATH]:
        digest.update(path.read_bytes())
    return digest.hexdigest()
