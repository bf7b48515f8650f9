"""Where the list of some tickets is; one way to write it, for pages and for charts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode

from contracts.fields import format_instant
from contracts.vocabulary import Status

UNCLOSED = (Status.OPEN, Status.ACTIVE)
# A period is (since, as_of] and a list takes [from, to): instants have whole microseconds, so both
# bounds of the list are one later.
TICK = timedelta(microseconds=1)


def list_address(
    statuses: Sequence[Status],
    *,
    category: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
) -> str:
    """Return the address of the tickets in one of `statuses`, opened in [`since`, `until`).

    `category` may be "none"; a bound that is a text stands in the address as it is.
    """
    pairs = [("status", status.value) for status in statuses]
    if category:
        pairs.append(("category", category))
    for name, bound in (("opened_from", since), ("opened_to", until)):
        if bound:
            pairs.append((name, bound if isinstance(bound, str) else format_instant(bound)))
    return f"/tickets?{urlencode(pairs)}"
