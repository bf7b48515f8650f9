"""How often a sender may do something: token buckets, and how their figures are written.

Knows nothing of requests, and never waits: who finds no token is told when to come back. How many
senders it remembers is bounded, since anybody can come as many.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from math import ceil
from typing import NamedTuple

# About 200 bytes each; the 14 of web, all full of senders, are 26 MB.
BUCKETS_MAX = 10_000
FIGURE_MAX = 1_000_000
# Sums of floats are off by less than this: a shorter wait is a token that is there.
NO_TIME_SECONDS = 1e-6


class Rate(NamedTuple):
    """How many tokens a full bucket holds, and how many come back in a minute."""

    burst: int
    per_minute: int


# How often the log says of a sender, a route or a name what anybody can repeat.
SELDOM = Rate(burst=1, per_minute=1)


class Limited(Exception):
    """A sender has done so much of a `kind` that it has to wait `seconds`, a whole number.

    `is_shared` says that others count as the same sender.
    """

    def __init__(self, kind: str, wait_s: float, *, is_shared: bool = False) -> None:
        super().__init__(kind)
        self.kind = kind
        self.seconds = ceil(wait_s)
        self.is_shared = is_shared


class Buckets:
    """A bucket for each sender, full at first.

    Kept of each is when it will be full again (GCRA), and nothing once it is: a full bucket can be
    forgotten without a loss. Beyond `most` those that were used least recently are forgotten too.
    """

    def __init__(
        self, rate: Rate, most: int = BUCKETS_MAX, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst = rate.burst
        self._token_s = 60 / rate.per_minute
        self._most = most
        self._clock = clock
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def wait(self, sender: Hashable, tokens: int = 1) -> float:
        """Return in how many seconds a sender has so many tokens, 0 where it has them now.

        More tokens than a full bucket holds are there when it is full.
        """
        room_s = (self._burst - min(tokens, self._burst)) * self._token_s
        wait_s = self._full_at.get(sender, 0.0) - self._clock() - room_s
        if wait_s < NO_TIME_SECONDS:
            return 0.0
        self._full_at.move_to_end(sender)  # whoever does not wait is not forgotten
        return wait_s

    def take(self, sender: Hashable, tokens: int = 1) -> None:
        """Take tokens that are there."""
        now = self._clock()
        full_at = max(self._full_at.pop(sender, now), now)
        self._full_at[sender] = full_at + tokens * self._token_s
        while self._full_at and (
            len(self) > self._most or next(iter(self._full_at.values())) <= now
        ):
            self._full_at.popitem(last=False)

    def try_take(self, sender: Hashable) -> bool:
        """Take a token if one is there; return whether it was."""
        if self.wait(sender):
            return False
        self.take(sender)
        return True


def read_limits(
    text: str, defaults: Mapping[str, tuple[Rate, ...]], buckets: int
) -> dict[str, tuple[Rate, ...]]:
    """Return the rates of each kind that has a limit, one for each of its `buckets`.

    `off` is no limit at all; otherwise `text` says what is other than in `defaults`, such as
    `report=10:10/400:30 hint=off`. Raises ValueError with what is wrong.
    """
    if text == "off":
        return {}
    limits = dict(defaults)
    for item in text.replace(",", " ").split():
        kind, _, figures = item.partition("=")
        if kind not in defaults:
            raise ValueError(f"{kind!r} is none of {', '.join(defaults)}")
        parts = [] if figures == "off" else figures.split("/")
        if len(parts) not in (0, buckets):
            raise ValueError(f"{item!r} must be {kind}={'/'.join(['BURST:PER_MINUTE'] * buckets)}")
        limits[kind] = tuple(map(_read_rate, parts))
    return {kind: rates for kind, rates in limits.items() if rates}


def _read_rate(text: str) -> Rate:
    figures = text.split(":")
    if len(figures) != 2 or not all(
        part.isascii() and part.isdigit() and len(part) < 8 and 0 < int(part) <= FIGURE_MAX
        for part in figures
    ):
        raise ValueError(f"{text!r} must be BURST:PER_MINUTE, each from 1 to {FIGURE_MAX}")
    return Rate(*map(int, figures))
