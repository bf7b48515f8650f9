"""How many tickets opened in the last hours or days are not closed, and when they were opened."""

from bisect import bisect_right
from datetime import datetime
from zoneinfo import ZoneInfo

from analytics_svc import charts, periods, store
from analytics_svc.database import Connection, Pool
from analytics_svc.periods import Grain
from analytics_svc.reports import reading
from analytics_svc.store import Built
from contracts.messages import UnclosedBucket, UnclosedReport, UnclosedRequest


async def count(
    connection: Connection, built: Built, request: UnclosedRequest
) -> list[UnclosedBucket]:
    """Return the buckets of (now − `last` `unit`, now]; they hold each ticket exactly once."""
    zone = ZoneInfo(built.timezone)
    grain = periods.grain_of(request.last, request.unit)
    since = built.now - periods.length_of(request.last, request.unit)
    pieces = periods.cut(since, built.now, zone, grain)
    starts = periods.bucket_starts(since, built.now, zone, grain)
    opened, open_, active = ([0] * len(starts) for _ in range(3))
    for row in await store.list_opened(connection, pieces):
        is_instant = isinstance(row.start, datetime)
        start = row.start if is_instant else periods.start_of_day(row.start, zone)
        index = bisect_right(starts, start) - 1
        opened[index] += row.opened
        open_[index] += row.open
        active[index] += row.active
    return [
        UnclosedBucket(start=start, opened=opened[i], open=open_[i], active=active[i])
        for i, start in enumerate(starts)
    ]


async def report(pool: Pool, request: UnclosedRequest) -> UnclosedReport:
    """Answer the request; raises RpcError `unavailable`."""
    async with reading(pool) as (connection, built):
        buckets = await count(connection, built, request)
    grain = periods.grain_of(request.last, request.unit)
    zone = ZoneInfo(built.timezone)
    bars = tuple((_clock(b.start, zone, grain), b.open, b.active) for b in buckets)
    return UnclosedReport(
        count=sum(bucket.open + bucket.active for bucket in buckets),
        opened=sum(bucket.opened for bucket in buckets),
        since=buckets[0].start,
        as_of=built.now,
        timezone=built.timezone,
        buckets=buckets,
        svg=await charts.draw(charts.unclosed, request.language, grain, bars),
    )


def _clock(start: datetime, zone: ZoneInfo, grain: Grain) -> datetime:
    """Return the campus clock at the turn before `start`: the first bucket starts anywhere."""
    local = start.astimezone(zone).replace(minute=0, second=0, microsecond=0, tzinfo=None)
    if grain is Grain.HOUR:
        return local
    return local.replace(hour=0, day=local.day if grain is Grain.DAY else 1)
