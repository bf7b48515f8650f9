"""How many tickets are being worked on, by category."""

from collections.abc import Mapping
from functools import partial
from zoneinfo import ZoneInfo

from analytics_svc import charts, queries
from analytics_svc.charts import CategoryBar
from analytics_svc.database import Connection
from analytics_svc.periods import day_of
from analytics_svc.reports import categories_of, old_ticket, read
from analytics_svc.store import Built
from contracts.list_address import list_address
from contracts.reports import ActiveCategory, ActiveReport, ActiveRequest, OldTicket
from contracts.vocabulary import NO_CATEGORY, Category, Status
from runtime.postgres import Database


async def count(
    connection: Connection, built: Built, request: ActiveRequest
) -> dict[str, tuple[int, OldTicket | None]]:
    """Return the active tickets of every category asked for, and the oldest of them.

    Raises Replaced.
    """
    wanted = categories_of(request)
    active, states = await queries.count_active(connection, built.generation, wanted)
    oldest = {category: old_ticket(state) for category, state in states.items()}
    return {category: (active.get(category, 0), oldest.get(category)) for category in wanted}


async def report(pool: Database, request: ActiveRequest) -> ActiveReport:
    """Answer the request; raises RpcError `unavailable`."""
    built, counts = await read(pool, partial(count, request=request))
    svg = ""
    if request.chart:
        # Those without a category are a passing state: no bar where there are none.
        shown = {name: row for name, row in counts.items() if row[0] or name != NO_CATEGORY}
        bars = _bars(shown or counts, ZoneInfo(built.timezone))
        svg = await charts.draw(charts.active, request.language, bars)
    uncategorised, oldest_uncategorised = counts.get(NO_CATEGORY, (0, None))
    return ActiveReport(
        categories=[
            ActiveCategory(category=Category(category), active=n, oldest=oldest)
            for category, (n, oldest) in counts.items()
            if category != NO_CATEGORY
        ],
        uncategorised=uncategorised,
        oldest_uncategorised=oldest_uncategorised,
        as_of=built.now,
        timezone=built.timezone,
        svg=svg,
    )


def _bars(
    counts: Mapping[str, tuple[int, OldTicket | None]], zone: ZoneInfo
) -> tuple[CategoryBar, ...]:
    return tuple(
        CategoryBar(
            None if category == NO_CATEGORY else Category(category),
            n,
            day_of(oldest.opened_at, zone) if oldest else None,
            list_address([Status.ACTIVE], category=category),
        )
        for category, (n, oldest) in counts.items()
    )
