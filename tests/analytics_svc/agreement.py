"""Asserts that the three reports say at an instant what a recount over the tickets says."""

from collections import Counter
from datetime import timedelta
from zoneinfo import ZoneInfo

from analytics_svc.database import Connection
from analytics_svc.histogram import MEDIAN_ERROR, seconds_in
from analytics_svc.periods import grain_of, length_of
from analytics_svc.reports import (
    active_by_category,
    resolution_time_by_month,
    unclosed_in_period,
)
from analytics_svc.store import Built
from contracts.reports import ActiveRequest, ResolutionRequest, UnclosedRequest
from contracts.rest import Ticket
from contracts.vocabulary import NO_CATEGORY, Category, Status
from tests.analytics_svc import naive

# Floats, near the edge of a bucket.
A_LITTLE = 1e-9


async def reports_agree(
    connection: Connection, built: Built, period: UnclosedRequest, tickets: list[Ticket]
) -> None:
    """Check all three for the category of the period, `tickets` being all that there are."""
    tickets = naive.of_category(tickets, period.category)
    numbers = await unclosed_in_period.count(connection, built, period)
    period_agrees(numbers, built, period, tickets)
    backlog_agrees(numbers, built, tickets)
    await resolution_agrees(connection, built, ResolutionRequest(category=period.category), tickets)
    await active_agrees(connection, built, ActiveRequest(category=period.category), tickets)


def period_agrees(
    numbers: unclosed_in_period.Numbers,
    built: Built,
    period: UnclosedRequest,
    tickets: list[Ticket],
) -> None:
    zone, grain = ZoneInfo(built.timezone), grain_of(period.last, period.unit).value
    since = built.now - length_of(period.last, period.unit)
    expected = naive.opened_in(tickets, since, built.now)

    buckets, before = numbers.buckets, numbers.before
    assert buckets[0].start == since
    assert sum(bucket.opened for bucket in buckets) == len(expected)
    assert sum(bucket.open + bucket.active for bucket in buckets) == sum(
        ticket.status is not Status.CLOSED for ticket in expected
    )
    keys = [naive.bucket(bucket.start, zone, grain) for bucket in buckets]
    assert keys == naive.buckets(since, built.now, zone, grain)
    # A ticket opened at the very end of the period is in its last bucket.
    inside = [
        t if t.opened_at < built.now
        else t.model_copy(update={"opened_at": t.opened_at - timedelta(microseconds=1)})
        for t in expected
    ]  # fmt: skip
    counted = Counter(
        {
            (key, status): n
            for key, bucket in zip(keys, buckets, strict=True)
            for status, n in (
                (Status.OPEN, bucket.open),
                (Status.ACTIVE, bucket.active),
                (Status.CLOSED, bucket.opened - bucket.open - bucket.active),
            )
        }
    )
    assert +counted == naive.in_buckets(inside, zone, grain)

    length = length_of(period.last, period.unit)
    expected = naive.opened_in(tickets, since - length, since)
    assert before.since == since - length
    assert (before.opened, before.count) == (len(expected), len(naive.unclosed(expected)))


def backlog_agrees(
    numbers: unclosed_in_period.Numbers, built: Built, tickets: list[Ticket]
) -> None:
    zone = ZoneInfo(built.timezone)
    expected = naive.unclosed(tickets)
    assert [ticket.id for ticket in numbers.oldest] == [ticket.id for ticket in expected[:10]]
    assert [ticket.title for ticket in numbers.oldest] == [ticket.title for ticket in expected[:10]]
    counted = Counter(
        {
            (band.days, status): n
            for band in numbers.ages
            for status, n in ((Status.OPEN, band.open), (Status.ACTIVE, band.active))
        }
    )
    assert +counted == Counter((naive.age_band(t, zone, built.now), t.status) for t in expected)
    for band in numbers.ages:
        inside = [
            ticket
            for ticket in expected
            if (band.since is None or band.since <= ticket.opened_at)
            and (band.until is None or ticket.opened_at < band.until)
        ]
        assert band.open + band.active == len(inside), "its bounds lead to its tickets"


async def resolution_agrees(
    connection: Connection, built: Built, request: ResolutionRequest, tickets: list[Ticket]
) -> None:
    zone = ZoneInfo(built.timezone)
    expected = naive.resolution(tickets, zone, built.now)
    for limit in (None, 1, 14):
        months = await resolution_time_by_month.count(
            connection, built, request.model_copy(update={"months": limit})
        )
        assert [
            (
                f"{month.month:%Y-%m}",
                month.closed,
                month.still_open,
                resolution_time_by_month.mean_seconds([month]),
            )
            for month in months.shown
        ] == expected[-limit if limit else 0 :]
        for month in months.shown:
            exact = naive.median_seconds(tickets, zone, f"{month.month:%Y-%m}")
            if exact is None:
                assert month.median_bucket is None
            else:
                assert month.median_bucket is not None
                error = abs(seconds_in(month.median_bucket) - exact)
                assert error <= max(1, exact * MEDIAN_ERROR * (1 + A_LITTLE))


async def active_agrees(
    connection: Connection, built: Built, request: ActiveRequest, tickets: list[Ticket]
) -> None:
    counts = await active_by_category.count(connection, built, request)
    named = {
        None if name == NO_CATEGORY else Category(name): shown for name, shown in counts.items()
    }
    expected, oldest = naive.active(tickets), naive.oldest_active(tickets)
    assert {category: n for category, (n, _) in named.items()} == {
        category: expected[category] for category in named
    }
    assert {category: old.id for category, (_, old) in named.items() if old} == oldest
