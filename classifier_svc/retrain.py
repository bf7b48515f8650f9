"""Learns from corrections: `python -m classifier_svc.retrain [--back | --every HOURS]`.

Trains a candidate with what helpdesk corrected, compares it with the model that answers now, and
promotes it only when it is better; the workers take it over by themselves. `--back` withdraws the
model that was promoted last. `--every` goes on for ever and tries when there is something new.
"""

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from classifier_svc.corrections import CORRECTIONS_FILE, Correction, Corrections
from classifier_svc.models import MODELS_FOLDER
from classifier_svc.settings import data_folder
from runtime.logs import start_logging

log = logging.getLogger("classifier_svc.retrain")

# One correction in so many is held back: it judges candidates and is never learnt.
HELD_BACK_EVERY: Final = 5
# Fewer judge nothing.
HELD_BACK_MIN: Final = 5
# How far validation may fall for corrections that are answered better.
VALIDATION_TOLERANCE: Final = 0.005
LOOK_SECONDS: Final = 60.0


def is_held_back(correction: Correction) -> bool:
    """Tell whether a correction judges; the same answer for a ticket for ever."""
    return correction.ticket_id % HELD_BACK_EVERY == 0


def retrain(data: Path) -> int:
    """Train, compare, promote or not; return 0 where the comparison could be made."""
    # Loaded only where they are used: the process that waits for its hour stays small.
    from classifier_svc import encoder, model, sentences
    from classifier_svc.models import Models
    from classifier_svc.sentences import Sentence
    from classifier_svc.train import Training, measure_model

    def labelled(corrections: Sequence[Correction]) -> list[Sentence]:
        # The topic is the ticket; the language is nobody's to guess.
        return [Sentence(c.text, c.category, "", f"ticket {c.ticket_id}") for c in corrections]

    corrections = Corrections(data / CORRECTIONS_FILE).read()
    held_back = labelled([c for c in corrections if is_held_back(c)])
    learnt = labelled([c for c in corrections if not is_held_back(c)])
    if len(held_back) < HELD_BACK_MIN or not learnt:
        print(f"{len(corrections)} corrections are too few to judge a model by")
        return 0
    space = encoder.load()
    if space is None:
        print("the encoder is needed to train", file=sys.stderr)
        return 1
    models = Models(data / MODELS_FOLDER, space)
    validation = sentences.read("validation")
    with tempfile.TemporaryDirectory(dir=data) as folder:
        candidate = Path(folder) / "candidate.npz"
        training = Training([*sentences.read("training"), *learnt], space)
        after = training.fit(candidate, validation, space)
        trained = model.load(space, candidate)
        after_held = measure_model(trained, held_back)
        before = measure_model(models.current, validation)
        before_held = measure_model(models.current, held_back)
        print(
            f"                          {models.current.version}  {trained.version}\n"
            f"validation ({before.rows:5})        {before.accuracy:12.3f}  {after.accuracy:12.3f}\n"
            f"held back  ({before_held.rows:5})        {before_held.accuracy:12.3f}"
            f"  {after_held.accuracy:12.3f}"
        )
        if (
            after_held.accuracy <= before_held.accuracy
            or after.accuracy < before.accuracy - VALIDATION_TOLERANCE
        ):
            print(f"not promoted: {trained.version} is no better")
            return 0
        models.promote(candidate, trained.version)
    print(f"promoted: {trained.version} answers from now on")
    return 0


def go_back(data: Path) -> int:
    """Withdraw the model that was promoted last; return 1 where there is none."""
    from classifier_svc.models import Models

    models = Models(data / MODELS_FOLDER, None)
    withdrawn = models.go_back()
    if withdrawn is None:
        print("no model was promoted: the one that came with the code answers", file=sys.stderr)
        return 1
    print(f"withdrawn: {withdrawn}; {Models(data / MODELS_FOLDER, None).current.version} answers")
    return 0


def keep_retraining(data: Path, hours: float) -> None:
    """Try once in so many hours, where corrections arrived since the last try; never return."""
    tried = data / "tried"
    while True:
        corrections = data / CORRECTIONS_FILE
        last = tried.stat().st_mtime if tried.exists() else 0.0
        due = time.time() - last > hours * 3600
        if due and corrections.exists() and corrections.stat().st_mtime > last:
            tried.touch()
            # A process of its own gives its memory back.
            subprocess.run([sys.executable, "-m", "classifier_svc.retrain"], check=False)
        time.sleep(LOOK_SECONDS)


def main() -> int:
    """Do what the arguments say; return the exit status."""
    start_logging()
    parser = argparse.ArgumentParser(prog="classifier_svc.retrain", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--back", action="store_true", help="withdraw the last promoted model")
    what.add_argument("--every", type=float, metavar="HOURS", help="go on for ever")
    arguments = parser.parse_args()
    data = data_folder(os.environ)
    if arguments.back:
        return go_back(data)
    if arguments.every:
        keep_retraining(data, arguments.every)
    return retrain(data)


if __name__ == "__main__":
    sys.exit(main())
