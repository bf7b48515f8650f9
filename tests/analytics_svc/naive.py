"""What the reports must say, counted the slow way over all tickets; shares no code with them."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from contracts.rest import Ticket
from contracts.vocabulary import Category, Status

Key = tuple[object, ...]


def newest(states: Iterable[Ticket]) -> list[Ticket]:
    """Return the newest state of each ticket."""
    found: dict[int, Ticket] = {}
    for state in states:
        if state.id not in found or found[state.id].version < state.version:
            found[state.id] = state
    return list(found.values())


def of_category(tickets: list[Ticket], category: str | None) -> list[Ticket]:
    """Return the tickets that a report on a category is about; "none": those without one."""
    if category is None:
        return tickets
    return [ticket for ticket in tickets if (ticket.category or "none") == category]


def opened_in(tickets: list[Ticket], since: datetime, as_of: datetime) -> list[Ticket]:
    return [ticket for ticket in tickets if since < ticket.opened_at <= as_of]


def bucket(instant: datetime, zone: ZoneInfo, grain: str) -> Key:
    """Return what all instants of one bucket share; an hour that comes twice is two buckets."""
    local = instant.astimezone(zone)
    day = (local.year, local.month, local.day)
    return {"hour": (*day, local.hour, local.utcoffset()), "day": day, "month": day[:2]}[grain]


def buckets(since: datetime, as_of: datetime, zone: ZoneInfo, grain: str) -> list[Key]:
    """Return every bucket of (since, as_of], by walking through it."""
    step = timedelta(minutes=15) if grain == "hour" else timedelta(hours=6)
    found: dict[Key, None] = {bucket(since, zone, grain): None}
    instant = since
    while (instant := instant + step) < as_of:
        found[bucket(instant, zone, grain)] = None
    found[bucket(as_of - timedelta(microseconds=1), zone, grain)] = None
    return list(found)


def in_buckets(tickets: list[Ticket], zone: ZoneInfo, grain: str) -> Counter[tuple[Key, Status]]:
    return Counter((bucket(t.opened_at, zone, grain), t.status) for t in tickets)


def resolution(
    tickets: list[Ticket], zone: ZoneInfo, as_of: datetime
) -> list[tuple[str, int, int, float | None]]:
    """Return (month, closed, still open, mean seconds) from the first ticket's month on."""
    now = as_of.astimezone(zone)
    months = {(now.year, now.month): (0, 0, Fraction(0))}
    for ticket in tickets:
        opened = ticket.opened_at.astimezone(zone)
        month = (opened.year, opened.month)
        if month > (now.year, now.month):
            continue
        closed, still_open, microseconds = months.get(month, (0, 0, Fraction(0)))
        if ticket.closed_at is None:
            months[month] = (closed, still_open + 1, microseconds)
        else:
            took = (ticket.closed_at - ticket.opened_at) // timedelta(microseconds=1)
            months[month] = (closed + 1, still_open, microseconds + took)
    rows = []
    year, month_number = min(months)
    while (year, month_number) <= (now.year, now.month):
        closed, still_open, microseconds = months.get((year, month_number), (0, 0, Fraction(0)))
        mean = float(microseconds / closed / 1_000_000) if closed else None
        rows.append((f"{year}-{month_number:02}", closed, still_open, mean))
        year, month_number = (year, month_number + 1) if month_number < 12 else (year + 1, 1)
    return rows


def median_seconds(tickets: list[Ticket], zone: ZoneInfo, month: str) -> float | None:
    """Return the middle one, of two the lesser, over the closed tickets of an opening month."""
    took = sorted(
        (ticket.closed_at - ticket.opened_at).total_seconds()
        for ticket in tickets
        if ticket.closed_at and f"{ticket.opened_at.astimezone(zone):%Y-%m}" == month
    )
    return took[(len(took) - 1) // 2] if took else None


def unclosed(tickets: list[Ticket]) -> list[Ticket]:
    """Return what is not closed, oldest first."""
    found = [ticket for ticket in tickets if ticket.status is not Status.CLOSED]
    return sorted(found, key=lambda ticket: (ticket.opened_at, ticket.id))


def age_band(ticket: Ticket, zone: ZoneInfo, as_of: datetime) -> int | None:
    """Return the band by its oldest age in campus days, None for the last."""
    opened, today = ticket.opened_at.astimezone(zone).date(), as_of.astimezone(zone).date()
    return next((days for days in (0, 3, 7, 30, 90) if (today - opened).days <= days), None)


def active(tickets: list[Ticket]) -> dict[Category | None, int]:
    counts = Counter(ticket.category for ticket in tickets if ticket.status is Status.ACTIVE)
    return {category: counts[category] for category in (*Category, None)}


def oldest_active(tickets: list[Ticket]) -> dict[Category | None, int]:
    """Return the id of the active ticket that was opened first, of each category that has any."""
    found: dict[Category | None, int] = {}
    for ticket in unclosed(tickets):
        if ticket.status is Status.ACTIVE:
            found.setdefault(ticket.category, ticket.id)
    return found
