"""How many tickets opened in the last hours or days are not closed, and when they were opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from urllib.parse import quote
from zoneinfo import ZoneInfo

from analytics_svc import charts, periods, queries
from analytics_svc.charts import AgeBar, OpenedBar
from analytics_svc.database import Connection
from analytics_svc.periods import Grain
from analytics_svc.reports import categories_of, old_ticket, read, scope_of
from analytics_svc.store import Built
from contracts.fields import format_instant
from contracts.list_address import TICK, UNCLOSED, list_address
from contracts.reports import (
    AgeBand,
    OldTicket,
    PeriodBefore,
    UnclosedBucket,
    UnclosedReport,
    UnclosedRequest,
)
from runtime.postgres import Database

OLDEST = 10
# Where bands of ages end, in campus days before today.
AGES = (0, 3, 7, 30, 90)
# Stand in a drawing for the bounds of the period, so that it can be used again later.
SINCE, AS_OF = "SINCE", "AS_OF"


@dataclass(frozen=True)
class Numbers:
    """The period in buckets, and the one before it, which is as long; they hold each ticket once.

    Beside them everything that is not closed, whenever it was opened: its ages, youngest band
    first, and the oldest.
    """

    buckets: list[UnclosedBucket]
    before: PeriodBefore
    ages: list[AgeBand]
    oldest: list[OldTicket]


def since_of(built: Built, request: UnclosedRequest) -> datetime:
    """Return the exact beginning of the period, which is not in it."""
    return built.now - periods.length_of(request.last, request.unit)


async def count(connection: Connection, built: Built, request: UnclosedRequest) -> Numbers:
    """Return the numbers of (now − `last` `unit`, now]; raises Replaced."""
    zone = ZoneInfo(built.timezone)
    grain = periods.grain_of(request.last, request.unit)
    since = since_of(built, request)
    since_before = since - (built.now - since)
    starts = periods.bucket_starts(since, built.now, zone, grain)
    # A ticket opened exactly at `since` belongs to the period before.
    parts = [since_before, since + TICK, *starts[1:]]
    today = periods.day_of(built.now, zone)
    age_days = [today - timedelta(days=age) for age in reversed(AGES)]
    counts = await queries.count_unclosed(
        connection,
        built.generation,
        scope_of(request),
        categories_of(request),
        [
            periods.cut(since_before, since, zone, Grain.MONTH),
            periods.cut(since, built.now, zone, grain),
        ],
        parts,
        [periods.day_of(start, zone) for start in parts],
        age_days,
        OLDEST,
    )
    before, *inside = (counts.opened.get(part, queries.Opened()) for part in range(len(parts)))
    return Numbers(
        [
            UnclosedBucket(start=start, opened=row.opened, open=row.open, active=row.active)
            for start, row in zip(starts, inside, strict=True)
        ],
        PeriodBefore(since=since_before, opened=before.opened, count=before.open + before.active),
        _age_bands(counts.by_age, [periods.start_of_day(day, zone) for day in age_days]),
        [old_ticket(state) for state in counts.oldest],
    )


def _age_bands(by_age: Sequence[queries.Unclosed], midnights: Sequence[datetime]) -> list[AgeBand]:
    """Return the bands, youngest first, of counts that come oldest first."""
    bounds = pairwise([None, *reversed(midnights), None])
    return [
        AgeBand(days=days, since=since, until=until, open=band.open, active=band.active)
        for days, (until, since), band in zip([*AGES, None], bounds, reversed(by_age), strict=True)
    ]


async def report(pool: Database, request: UnclosedRequest) -> UnclosedReport:
    """Answer the request; raises RpcError `unavailable`."""
    built, numbers = await read(pool, partial(count, request=request))
    buckets, ages = numbers.buckets, numbers.ages
    svg = ages_svg = ""
    if request.chart:
        grain = periods.grain_of(request.last, request.unit)
        bars = _opened_bars(buckets, request, ZoneInfo(built.timezone), grain)
        svg = await charts.draw(charts.unclosed, request.language, grain, bars)
        svg = _with_bounds(svg, buckets[0].start, built.now)
        ages_svg = await charts.draw(charts.ages, request.language, _age_bars(ages, request))
    return UnclosedReport(
        count=sum(bucket.open + bucket.active for bucket in buckets),
        opened=sum(bucket.opened for bucket in buckets),
        since=buckets[0].start,
        as_of=built.now,
        timezone=built.timezone,
        buckets=buckets,
        before=numbers.before,
        unclosed=sum(band.open + band.active for band in ages),
        ages=ages,
        oldest=numbers.oldest,
        svg=svg,
        ages_svg=ages_svg,
    )


def _opened_bars(
    buckets: Sequence[UnclosedBucket], request: UnclosedRequest, zone: ZoneInfo, grain: Grain
) -> tuple[OpenedBar, ...]:
    turns = [bucket.start for bucket in buckets[1:]]
    bounds: list[datetime | str] = [SINCE, *turns, AS_OF]
    return tuple(
        OpenedBar(
            _clock(bucket.start, zone, grain),
            bucket.open,
            bucket.active,
            *(
                list_address([status], category=request.category, since=since, until=until)
                for status in UNCLOSED
            ),
        )
        for bucket, (since, until) in zip(buckets, pairwise(bounds), strict=True)
    )


def _with_bounds(svg: str, since: datetime, as_of: datetime) -> str:
    pairs = ((SINCE, since), (AS_OF, as_of))
    for name, instant in pairs:
        svg = svg.replace(f"={name}", f"={quote(format_instant(instant + TICK))}")
    return svg


def _age_bars(ages: Sequence[AgeBand], request: UnclosedRequest) -> tuple[AgeBar, ...]:
    newest = [0, *(days + 1 for days in AGES)]
    return tuple(
        AgeBar(
            days_from,
            band.days,
            band.open,
            band.active,
            *(
                list_address(
                    [status], category=request.category, since=band.since, until=band.until
                )
                for status in UNCLOSED
            ),
        )
        for days_from, band in zip(newest, ages, strict=True)
    )


def _clock(start: datetime, zone: ZoneInfo, grain: Grain) -> datetime:
    """Return the campus clock at the turn before `start`: the first bucket starts anywhere."""
    local = start.astimezone(zone).replace(minute=0, second=0, microsecond=0, tzinfo=None)
    if grain is Grain.HOUR:
        return local
    return local.replace(hour=0, day=local.day if grain is Grain.DAY else 1)
