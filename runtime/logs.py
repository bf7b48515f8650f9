"""How every process of ours writes its log: one line an entry, with the time, to standard error."""

import logging

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def start_logging() -> None:
    """Log from here on; called once, by a process's `main`."""
    logging.basicConfig(level=logging.INFO, format=FORMAT)
