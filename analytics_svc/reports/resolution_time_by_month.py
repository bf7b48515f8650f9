"""How long tickets took from opening to closing, by the campus month of their opening."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from zoneinfo import ZoneInfo

from analytics_svc import charts, queries
from analytics_svc.charts import MonthBar
from analytics_svc.database import Connection
from analytics_svc.histogram import MEDIAN_ERROR, seconds_in
from analytics_svc.periods import month_after, month_of, parse_month, start_of_day
from analytics_svc.queries import OpenedMonth
from analytics_svc.reports import read, scope_of
from analytics_svc.store import Built
from contracts.list_address import list_address
from contracts.reports import MonthsBefore, ResolutionMonth, ResolutionReport, ResolutionRequest
from contracts.vocabulary import Status
from runtime.postgres import Database

MICROSECONDS = 1_000_000
# A month of which more than this share is not closed yet will change: the slow ones are missing.
PROVISIONAL_SHARE = 0.05


@dataclass(frozen=True)
class Months:
    """The months asked for, gaps too, and as many before them, none where there was no ticket."""

    shown: list[OpenedMonth]
    before: list[OpenedMonth]


async def count(connection: Connection, built: Built, request: ResolutionRequest) -> Months:
    """Return every month from the first ticket's to the current one that is asked for.

    At least one: what is asked for beyond the tickets is brought to the nearest month. Raises
    Replaced.
    """
    current = month_of(built.now, ZoneInfo(built.timezone))
    until = min(parse_month(request.until), current) if request.until else current
    rows = await queries.list_months(connection, built.generation, scope_of(request), current)
    first = min(rows, default=until)
    since = max(parse_month(request.since), first) if request.since else first
    since = min(since, until)
    months = []
    while since <= until:
        months.append(since)
        since = month_after(since)
    months = months[-request.months :] if request.months else months
    before = [month_after(month, -len(months)) for month in months]
    return Months(
        [rows.get(month) or OpenedMonth(month) for month in months],
        [rows.get(month) or OpenedMonth(month) for month in before] if first < months[0] else [],
    )


def mean_seconds(months: Sequence[OpenedMonth]) -> float | None:
    """Return the mean over the closed tickets of the months, None where there are none."""
    closed = sum(month.closed for month in months)
    if not closed:
        return None
    return sum(month.closed_microseconds for month in months) / (closed * MICROSECONDS)


def _row(month: OpenedMonth, built: Built) -> ResolutionMonth:
    is_current = month.month == month_of(built.now, ZoneInfo(built.timezone))
    return ResolutionMonth(
        month=f"{month.month:%Y-%m}",
        closed=month.closed,
        still_open=month.still_open,
        mean_seconds=mean_seconds([month]),
        median_seconds=None if month.median_bucket is None else seconds_in(month.median_bucket),
        provisional=is_current or month.still_open > PROVISIONAL_SHARE * month.opened,
    )


def _bars(
    rows: Sequence[ResolutionMonth], request: ResolutionRequest, zone: ZoneInfo
) -> tuple[MonthBar, ...]:
    months = [parse_month(row.month) for row in rows]
    turns = [start_of_day(month, zone) for month in (*months, month_after(months[-1]))]
    return tuple(
        MonthBar(
            month,
            row.mean_seconds,
            row.median_seconds,
            row.provisional,
            list_address([Status.CLOSED], category=request.category, since=since, until=until),
        )
        for month, row, (since, until) in zip(months, rows, pairwise(turns), strict=True)
    )


def _before(months: list[OpenedMonth]) -> MonthsBefore | None:
    if not months:
        return None
    return MonthsBefore(
        since=f"{months[0].month:%Y-%m}",
        until=f"{months[-1].month:%Y-%m}",
        closed=sum(month.closed for month in months),
        mean_seconds=mean_seconds(months),
    )


async def report(pool: Database, request: ResolutionRequest) -> ResolutionReport:
    """Answer the request; raises RpcError `unavailable`."""
    built, months = await read(pool, partial(count, request=request))
    rows = [_row(month, built) for month in months.shown]
    svg = ""
    if request.chart:
        bars = _bars(rows, request, ZoneInfo(built.timezone))
        svg = await charts.draw(charts.resolution, request.language, bars)
    return ResolutionReport(
        months=rows,
        closed=sum(row.closed for row in rows),
        still_open=sum(row.still_open for row in rows),
        mean_seconds=mean_seconds(months.shown),
        before=_before(months.before),
        median_error=MEDIAN_ERROR,
        as_of=built.now,
        timezone=built.timezone,
        svg=svg,
    )
