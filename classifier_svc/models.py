"""Which model answers: the one that was promoted last, or the one that came with the code.

A promoted model is a file `<number>-<version>.npz` in a folder that all workers share; the highest
number answers. Going back renames it, so that nothing is lost.
"""

import logging
import time
import zipfile
from pathlib import Path
from typing import Final

from classifier_svc import model
from classifier_svc.encoder import Encoder
from classifier_svc.model import Model

log = logging.getLogger(__name__)

MODELS_FOLDER: Final = "models"
LOOK_SECONDS: Final = 1.0
WITHDRAWN: Final = ".withdrawn"


class Models:
    """The models of one folder, and the one that answers now."""

    def __init__(self, folder: Path, encoder: Encoder | None) -> None:
        self._folder = folder
        self._encoder = encoder
        self._promoted = self._list()
        self._current = self._load()
        self._looked_at = time.monotonic()

    @property
    def current(self) -> Model:
        """Return the model that answers; another promoted one is noticed within LOOK_SECONDS."""
        if time.monotonic() - self._looked_at > LOOK_SECONDS:
            self._looked_at = time.monotonic()
            if (promoted := self._list()) != self._promoted:
                self._promoted = promoted
                self._current = self._load()
                log.info("model %s answers from now on", self._current.version)
        return self._current

    def promote(self, candidate: Path, version: str) -> None:
        """Let a trained model answer from now on; it moves into the folder in one step."""
        self._folder.mkdir(parents=True, exist_ok=True)
        taken = [int(path.name.split("-")[0]) for path in self._folder.glob("[0-9]*-*")]
        candidate.replace(self._folder / f"{max(taken, default=0) + 1:04}-{version}.npz")

    def go_back(self) -> str | None:
        """Withdraw the model that was promoted last; return its version, None without one."""
        if not (promoted := self._list()):
            return None
        last = promoted[-1]
        last.rename(last.with_suffix(WITHDRAWN))
        return last.stem.split("-", 1)[1]

    def _list(self) -> list[Path]:
        return sorted(self._folder.glob("[0-9]*-*.npz"))

    def _load(self) -> Model:
        for path in reversed(self._promoted):
            try:
                return model.load(self._encoder, path)
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                log.error("model %s is passed over: %r", path.name, error)
        return model.load(self._encoder)
