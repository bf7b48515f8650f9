"""Campus days and hours are cut where the campus clock says, also when it jumps."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics_svc.periods import (
    Grain,
    bucket_starts,
    cut,
    grain_of,
    month_after,
    start_of_day,
)
from contracts.vocabulary import PERIOD_MAX_DAYS, PeriodUnit

ROME = ZoneInfo("Europe/Rome")


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 29), 23), (date(2025, 10, 26), 25), (date(2026, 5, 11), 24)],
)
def test_a_day_has_as_many_hours_as_the_campus_clock_shows(day: date, hours: int) -> None:
    start, end = start_of_day(day, ROME), start_of_day(day + timedelta(days=1), ROME)
    assert end - start == timedelta(hours=hours)
    assert len(bucket_starts(start, end, ROME, Grain.HOUR)) == hours


def test_a_midnight_that_never_strikes_is_the_first_instant_of_its_day() -> None:
    santiago = ZoneInfo("America/Santiago")
    start = start_of_day(date(2025, 9, 7), santiago)
    assert start.astimezone(santiago).isoformat() == "2025-09-07T01:00:00-03:00"


def test_hours_follow_zones_beside_the_hour() -> None:
    since = datetime(2026, 5, 11, 10, 1, tzinfo=UTC)
    starts = bucket_starts(
        since, since + timedelta(hours=2), ZoneInfo("Asia/Kathmandu"), Grain.HOUR
    )
    assert [f"{start:%H:%M}" for start in starts] == ["10:01", "10:15", "11:15"]


@pytest.mark.parametrize(
    ("zone", "since", "hours"),
    [
        # By half an hour, on the hour and beside it.
        ("Australia/Lord_Howe", datetime(2026, 10, 3, 14, tzinfo=UTC), "01 03 04 05"),
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 13, tzinfo=UTC), "01 02 03 04"),
        ("Asia/Pyongyang", datetime(2018, 5, 4, 12, 30, tzinfo=UTC), "22 23 00 01"),
        # By an hour.
        ("Europe/Rome", datetime(2026, 3, 28, 23, tzinfo=UTC), "01 03 04 05"),
        ("Europe/Rome", datetime(2026, 10, 24, 22, tzinfo=UTC), "01 02 02 03"),
    ],
)
def test_hours_follow_a_clock_that_jumps(zone: str, since: datetime, hours: str) -> None:
    clock = ZoneInfo(zone)
    starts = bucket_starts(since, since + timedelta(hours=5), clock, Grain.HOUR)[1:5]
    assert [f"{start.astimezone(clock):%H%M}" for start in starts] == [
        f"{hour}00" for hour in hours.split()
    ]


@pytest.mark.parametrize(
    ("unit", "last", "grain"),
    [
        (PeriodUnit.HOURS, 72, Grain.HOUR),
        (PeriodUnit.HOURS, 73, Grain.DAY),
        (PeriodUnit.DAYS, 1, Grain.DAY),
        (PeriodUnit.DAYS, 92, Grain.DAY),
        (PeriodUnit.HOURS, 92 * 24 + 1, Grain.MONTH),
        (PeriodUnit.DAYS, 93, Grain.MONTH),
    ],
)
def test_bars_are_hours_days_or_months(unit: PeriodUnit, last: int, grain: Grain) -> None:
    assert grain_of(last, unit) is grain


def test_no_chart_has_more_bars_than_can_be_told_apart() -> None:
    as_of = datetime(2026, 5, 31, 23, 59, tzinfo=UTC)
    since = as_of - timedelta(days=PERIOD_MAX_DAYS)
    assert len(bucket_starts(since, as_of, ROME, Grain.MONTH)) <= 122


@pytest.mark.parametrize("grain", Grain)
@pytest.mark.parametrize("hours", [1, 25, 24 * 30])
def test_the_pieces_of_a_period_meet(grain: Grain, hours: int) -> None:
    as_of = datetime(2026, 3, 30, 22, 7, 3, tzinfo=UTC)
    pieces = cut(as_of - timedelta(hours=hours), as_of, ROME, grain)
    ends = (
        pieces.since,
        pieces.quarters_from,
        pieces.days_from,
        pieces.days_to,
        pieces.quarters_to,
        pieces.as_of,
    )
    assert list(ends) == sorted(ends)
    if pieces.first_day < pieces.end_day:
        assert start_of_day(pieces.first_day, ROME) == pieces.days_from
        assert start_of_day(pieces.end_day, ROME) == pieces.days_to
    else:
        assert pieces.days_from == pieces.days_to


def test_months_follow_one_another_over_years() -> None:
    assert month_after(date(2025, 12, 1)) == date(2026, 1, 1)
    assert month_after(date(2026, 1, 1)) == date(2026, 2, 1)
