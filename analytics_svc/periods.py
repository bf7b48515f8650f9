"""Campus days, months and clock hours as instants; the only place that knows time zones.

Instants are kept in UTC: two datetimes of one zone compare by their wall clocks, which go wrong
when daylight saving ends.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from contracts.vocabulary import PeriodUnit

# Every campus clock has been a multiple of it away from UTC since 1972, so that clock hours and
# days begin where quarters do.
QUARTER = timedelta(minutes=15)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# More bars than these cannot be told apart on a phone.
HOURLY_MAX_HOURS = 72
DAILY_MAX_DAYS = 92


class Grain(StrEnum):
    """What one bar of the report on a period stands for."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Pieces(NamedTuple):
    """A period (`since`, `as_of`] cut where the rollups are, so that each instant is in one piece.

    (`since`, `quarters_from`) by ticket, [`quarters_from`, `days_from`) by quarter,
    [`first_day`, `first_month`) by campus day, [`first_month`, `end_month`) by month,
    [`end_month`, `end_day`) by day, [`days_to`, `quarters_to`) by quarter,
    [`quarters_to`, `as_of`] by ticket.
    """

    since: datetime
    quarters_from: datetime
    days_from: datetime
    first_day: date
    first_month: date
    end_month: date
    end_day: date
    days_to: datetime
    quarters_to: datetime
    as_of: datetime


def length_of(last: int, unit: PeriodUnit) -> timedelta:
    """Return the exact length of a period; a day is 24 hours."""
    return timedelta(hours=last) if unit is PeriodUnit.HOURS else timedelta(days=last)


def grain_of(last: int, unit: PeriodUnit) -> Grain:
    """Return hours up to 72 of them, then days up to 92, then months: at most 123 bars."""
    if unit is PeriodUnit.HOURS and last <= HOURLY_MAX_HOURS:
        return Grain.HOUR
    return Grain.DAY if length_of(last, unit) <= timedelta(days=DAILY_MAX_DAYS) else Grain.MONTH


def day_of(instant: datetime, zone: ZoneInfo) -> date:
    """Return the campus date."""
    return instant.astimezone(zone).date()


def month_of(instant: datetime, zone: ZoneInfo) -> date:
    """Return the first date of the campus month."""
    return day_of(instant, zone).replace(day=1)


def month_after(month: date, months: int = 1) -> date:
    """Return the first date of the month `months` later; negative goes back."""
    years, index = divmod(month.month - 1 + months, 12)
    return date(month.year + years, index + 1, 1)


def parse_month(text: str) -> date:
    """Return the first date of a month such as "2026-05"."""
    return date.fromisoformat(f"{text}-01")


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """Return the day's first instant, also where its midnight comes twice or never."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def cut(since: datetime, as_of: datetime, zone: ZoneInfo, grain: Grain) -> Pieces:
    """Cut a period of at least an hour into the longest pieces that are no longer than `grain`."""
    quarters_from = _quarter_of(since) + QUARTER
    quarters_to = _quarter_of(as_of)
    first_day = day_of(quarters_from, zone)
    if start_of_day(first_day, zone) < quarters_from:
        first_day += DAY
    end_day = day_of(quarters_to, zone)
    days_from, days_to = start_of_day(first_day, zone), start_of_day(end_day, zone)
    if grain is Grain.HOUR or days_from >= days_to:
        end_day, days_from, days_to = first_day, quarters_to, quarters_to
    first_month = first_day if first_day.day == 1 else month_after(first_day.replace(day=1))
    end_month = end_day.replace(day=1)
    if grain is not Grain.MONTH or first_month >= end_month:
        first_month = end_month = end_day
    return Pieces(
        since,
        quarters_from,
        days_from,
        first_day,
        first_month,
        end_month,
        end_day,
        days_to,
        quarters_to,
        as_of,
    )


def bucket_starts(since: datetime, as_of: datetime, zone: ZoneInfo, grain: Grain) -> list[datetime]:
    """Return where the buckets of a period start: at `since`, then at each turn of the grain."""
    starts = [since]
    for turn in _turns(since, zone, grain):
        if turn >= as_of:
            return starts
        if turn > starts[-1]:  # a date that the campus skipped has no bucket
            starts.append(turn)
    return starts


def _turns(after: datetime, zone: ZoneInfo, grain: Grain) -> Iterator[datetime]:
    if grain is Grain.HOUR:
        turn = _quarter_of(after)
        while True:
            turn = _next_hour(turn, zone)
            yield turn
    elif grain is Grain.DAY:
        day = day_of(after, zone)
        while True:
            day += DAY
            yield start_of_day(day, zone)
    else:
        month = month_of(after, zone)
        while True:
            month = month_after(month)
            yield start_of_day(month, zone)


def _next_hour(quarter: datetime, zone: ZoneInfo) -> datetime:
    """Return the first full hour of the campus clock after a quarter."""
    local = quarter.astimezone(zone)
    if local.minute == 0 and (quarter + HOUR).astimezone(zone).minute == 0:
        return quarter + HOUR
    # By quarters: the first hour may begin soon, and a clock that jumps half an hour moves them.
    quarter += QUARTER
    while quarter.astimezone(zone).minute:
        quarter += QUARTER
    return quarter


def _quarter_of(instant: datetime) -> datetime:
    return instant - (instant - EPOCH) % QUARTER
