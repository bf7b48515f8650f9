"""Lets a home be moved or copied with all that it holds, though programs keep whole paths.

Reads and mends what an earlier run has kept; knows of no process and starts none.
"""

import re
from collections.abc import Mapping
from pathlib import Path

# RabbitMQ writes the whole path of its data into each queue's settings, and goes back to that path
# wherever the data lies by then. Its own working folder has one name in every home.
BROKER_DATA = "/proc/self/cwd/data"
# Which home it was, in what a run keeps of its names.
MADE_IN = "CAMPUS_MADE_IN"
CLASSIFIER_FOLDER = "classifier"
# A text, which Erlang may break into several, or the numbers of its signs.
_QUEUE_PATH = re.compile(rb'(data_dir\s*=>)\s*(?:"[^"]*"\s*|\[[\d,\s]*\])+')


def lead_queues_here(data: Path) -> None:
    """Mend the queues of an earlier run that named the folder in which it ran."""
    for file in data.glob("*/quorum/*/*/config"):
        kept = file.read_bytes()
        here = f'\\1 "{BROKER_DATA}/{file.parent.parent.relative_to(data)}"'.encode()
        if (mended := _QUEUE_PATH.sub(here, kept)) != kept:
            part = file.with_name("config.part")
            part.write_bytes(mended)
            part.replace(file)


def without_folders_of_another(home: Path, kept: Mapping[str, str]) -> dict[str, str]:
    """Return the names that a run kept, without a data folder that was in its home but not in ours.

    A folder elsewhere was somebody's wish, and stays. Runs that did not keep MADE_IN had `.local`.
    """
    folder = Path(kept.get("CLASSIFIER_DATA_DIR", ""))
    made_in = Path(kept.get(MADE_IN) or (folder.parent if folder.parent.name == ".local" else home))
    follows = made_in != home.absolute() and folder == made_in / CLASSIFIER_FOLDER
    return {n: v for n, v in kept.items() if not (follows and n == "CLASSIFIER_DATA_DIR")}
