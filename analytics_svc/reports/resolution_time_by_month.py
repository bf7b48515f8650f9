"""How long tickets took from opening to closing, by the campus month of their opening."""

from zoneinfo import ZoneInfo

from analytics_svc import charts, store
from analytics_svc.database import Connection, Pool
from analytics_svc.periods import month_after, month_of
from analytics_svc.reports import reading
from analytics_svc.store import Built, OpenedMonth
from contracts.messages import ResolutionMonth, ResolutionReport, ResolutionRequest

MICROSECONDS = 1_000_000


async def count(
    connection: Connection, built: Built, request: ResolutionRequest
) -> list[OpenedMonth]:
    """Return every month from the first ticket's to the current one, the latest `months`."""
    current = month_of(built.now, ZoneInfo(built.timezone))
    rows = {row.month: row for row in await store.list_months(connection, current)}
    months = [min(rows, default=current)]
    while months[-1] < current:
        months.append(month_after(months[-1]))
    latest = months[-request.months :] if request.months else months
    return [rows.get(month, OpenedMonth(month, 0, 0, 0)) for month in latest]


def mean_seconds(month: OpenedMonth) -> float | None:
    """Return the mean over the closed tickets only, None where there are none."""
    if not month.closed:
        return None
    return month.closed_microseconds / (month.closed * MICROSECONDS)


async def report(pool: Pool, request: ResolutionRequest) -> ResolutionReport:
    """Answer the request; raises RpcError `unavailable`."""
    async with reading(pool) as (connection, built):
        months = await count(connection, built, request)
    bars = tuple((month.month, mean_seconds(month)) for month in months)
    return ResolutionReport(
        months=[
            ResolutionMonth(
                month=f"{month.month:%Y-%m}",
                closed=month.closed,
                still_open=month.unclosed,
                mean_seconds=mean_seconds(month),
            )
            for month in months
        ],
        as_of=built.now,
        timezone=built.timezone,
        svg=await charts.draw(charts.resolution, request.language, bars),
    )
