"""From which event a page starts that is rendered now.

Pages need this number only, so that it is a leaf: they know nothing of streams, which show pages.
"""

import time

from aiohttp import web


class EventClock:
    """Ids of the events that this process has heard: microseconds, and each one a new id."""

    def __init__(self) -> None:
        self._last_id = _now_us()

    @property
    def position(self) -> int:
        """Return the id after which a page that is rendered now has to hear everything."""
        return max(self._last_id, _now_us() - 1)

    def next_id(self) -> int:
        """Return the id of an event that has just come."""
        self._last_id = max(self._last_id + 1, _now_us())
        return self._last_id


def _now_us() -> int:
    return time.time_ns() // 1_000


EVENT_CLOCK = web.AppKey("event_clock", EventClock)
