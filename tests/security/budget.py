"""What a step may cost where it is measured: 50 ms of a machine on which nothing else is done.

Machines that others share become slower by half from one second to the next. What a step took is
therefore held against a piece of work that is always the same.
"""

import statistics
import time

STEP_MAX_SECONDS = 0.05
# What the piece takes where the figures of `docs/` were measured, undisturbed.
CALM_SECONDS = 0.0052


def in_calm(step_s: float) -> float:
    """Return what a step that has just taken so many seconds of CPU takes undisturbed, at most."""
    if step_s < STEP_MAX_SECONDS:
        return step_s
    slowness = statistics.median(_piece() for _ in range(5)) / CALM_SECONDS
    return step_s / max(1.0, slowness)


def _piece() -> float:
    started, total = time.thread_time(), 0
    for n in range(100_000):
        total += n * n
    return time.thread_time() - started
