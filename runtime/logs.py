"""How every process of ours writes its log: one line an entry, with the time, to standard error.

Anybody can make a service say something again and again, such as that a message cannot be
understood; the file would then hold nothing else. So each place in the code has a limit.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable

from runtime.limits import Buckets, Rate

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
ENTRIES = Rate(burst=100, per_minute=60)


def start_logging() -> None:
    """Log from here on; called once, by a process's `main`."""
    logging.basicConfig(level=logging.INFO, format=FORMAT)
    for handler in logging.getLogger().handlers:
        handler.addFilter(Bounded())


class Bounded(logging.Filter):
    """Leaves entries out of which one place in the code writes too many, and says how many."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._buckets = Buckets(ENTRIES, clock=clock)
        self._left_out: Counter[tuple[str, int]] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether an entry is written; the first after others that were not counts them."""
        place = record.pathname, record.lineno
        if not self._buckets.try_take(place):
            self._left_out[place] += 1
            return False
        if left_out := self._left_out.pop(place, 0):
            record.msg = f"{record.getMessage()} ({left_out:,} more like it were left out)"
            record.args = ()
        return True
