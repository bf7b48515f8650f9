"""SQL of the reports: reads rollups and short ends of indexes, so it costs the same at any size.

All numbers of a report come from one statement, so they are of one instant and cost one round trip.
It reads the generation that was looked up; Replaced where that is not the one to read any more.

A scope is a category, NO_CATEGORY, or ALL.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

import asyncpg

from analytics_svc.database import Connection
from analytics_svc.periods import Pieces
from analytics_svc.state import TicketState
from contracts.list_address import UNCLOSED
from contracts.vocabulary import Status

ALL = "all"


class Opened(NamedTuple):
    """Tickets opened in one part of a period."""

    opened: int = 0
    open: int = 0
    active: int = 0


@dataclass(frozen=True)
class OpenedMonth:
    """Tickets opened in one campus month; the sum and the median are over the closed ones."""

    month: date
    opened: int = 0
    open: int = 0
    active: int = 0
    closed_microseconds: int = 0
    median_bucket: int | None = None

    @property
    def still_open(self) -> int:
        """Return how many are not closed."""
        return self.open + self.active

    @property
    def closed(self) -> int:
        """Return how many are closed."""
        return self.opened - self.still_open


class Unclosed(NamedTuple):
    """Tickets that are not closed."""

    open: int
    active: int


class UnclosedNumbers(NamedTuple):
    """What the report on a period is made of.

    `opened` by the part of a period, parts in which none were opened left out; of what is not
    closed, how many `by_age`, oldest first, and the `oldest`, oldest first.
    """

    opened: dict[int, Opened]
    by_age: list[Unclosed]
    oldest: list[TicketState]


class ActiveNumbers(NamedTuple):
    """How many tickets are active in each category that ever had a ticket, and the oldest."""

    active: dict[str, int]
    oldest: dict[str, TicketState]


class Replaced(Exception):
    """A rebuild has ended since the generation was looked up."""


def _statement(*parts: str) -> str:
    """Return a statement whose columns are the rows of each part, without a row where $1 is old."""
    columns = ", ".join(f"ARRAY({part})" for part in parts)
    return f"SELECT {columns} FROM projection WHERE generation = $1"  # noqa: S608 - of constants


async def _fetch(
    connection: Connection, statement: str, generation: int, *arguments: object
) -> asyncpg.Record:
    """Return the rows of each part of a statement; raises Replaced."""
    parts = await connection.fetchrow(statement, generation, *arguments)
    if parts is None:
        raise Replaced
    return parts


# The oldest $4 of every category of $2 and status of $3, which is not closed; $5 in all.
_OLDEST = """
    SELECT ROW(oldest.*)
      FROM unnest($2::text[]) AS wanted_category
     CROSS JOIN unnest($3::text[]) AS wanted_status
     CROSS JOIN LATERAL (
        SELECT id, version, opened_at, opened_day, closed_at, status, category, title
          FROM ticket_state
         WHERE generation = $1 AND category = wanted_category AND status = wanted_status
           AND status <> 'closed'
         ORDER BY opened_at, id
         LIMIT $4) AS oldest
     ORDER BY opened_at, id
     LIMIT $5
"""
# Grouped for each period, which keeps the planner from joining periods with whole tables. The
# columns of `period` are those of Pieces.
_OPENED = """
    SELECT counted.counts
      FROM unnest($9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::date[],
                  $13::date[], $14::date[], $15::date[], $16::timestamptz[],
                  $17::timestamptz[], $18::timestamptz[])
        AS period (since, quarters_from, days_from, first_day, first_month, end_month, end_day,
                   days_to, quarters_to, as_of)
     CROSS JOIN LATERAL (
        SELECT ROW(part - 1, sum(opened)::bigint, sum(open)::bigint, sum(active)::bigint) AS counts
          FROM (SELECT width_bucket(month, $8::date[]) AS part, opened, open, active
                  FROM opened_month
                 WHERE generation = $1 AND scope = $6
                   AND month >= first_month AND month < end_month
                UNION ALL
                SELECT width_bucket(day, $8::date[]), opened, open, active
                  FROM opened_day
                 WHERE generation = $1 AND scope = $6
                   AND (day >= first_day AND day < first_month
                        OR day >= end_month AND day < end_day)
                UNION ALL
                SELECT width_bucket(start, $7::timestamptz[]), opened, open, active
                  FROM opened_quarter
                 WHERE generation = $1 AND scope = $6
                   AND (start >= quarters_from AND start < days_from
                        OR start >= days_to AND start < quarters_to)
                UNION ALL
                SELECT width_bucket(opened_at, $7::timestamptz[]), 1, (status = 'open')::int,
                       (status = 'active')::int
                  FROM ticket_state
                 WHERE generation = $1 AND ($6 = 'all' OR category = $6)
                   AND (opened_at > since AND opened_at < quarters_from
                        OR opened_at >= quarters_to AND opened_at <= as_of)
               ) AS piece
         GROUP BY part) AS counted
"""
# The months hold all, whenever it was opened: part 0.
_BY_AGE = """
    SELECT ROW(width_bucket(day, $19::date[]), sum(open)::bigint, sum(active)::bigint)
      FROM opened_day
     WHERE generation = $1 AND scope = $6 AND day >= ($19::date[])[1]
     GROUP BY width_bucket(day, $19::date[])
    UNION ALL
    SELECT ROW(0, coalesce(sum(open), 0)::bigint, coalesce(sum(active), 0)::bigint)
      FROM opened_month
     WHERE generation = $1 AND scope = $6
"""
# $6 is the scope, $7 where parts start, $8 their days, $9 to $18 the periods, $19 the days of ages.
_UNCLOSED = _statement(_OPENED, _BY_AGE, _OLDEST)


async def count_unclosed(
    connection: Connection,
    generation: int,
    scope: str,
    categories: Sequence[str],
    periods: Sequence[Pieces],
    starts: Sequence[datetime],
    start_days: Sequence[date],
    age_days: Sequence[date],
    oldest: int,
) -> UnclosedNumbers:
    """Return the numbers of the report on a period; raises Replaced.

    A part is the index of its start in `starts`, and belongs to one of the periods; `start_days`
    are the campus dates of the starts. The first age is before `age_days[0]`, the last from
    `age_days[-1]` on. `categories` are those of the scope.
    """
    opened, by_age, states = await _fetch(
        connection,
        _UNCLOSED,
        generation,
        categories,
        UNCLOSED,
        oldest,
        oldest,
        scope,
        starts,
        start_days,
        *zip(*periods, strict=True),
        age_days,
    )
    counts = [Unclosed(0, 0)] * (len(age_days) + 1)
    for part, *numbers in by_age:
        counts[part] = Unclosed(*numbers)
    # What is left of all is older than the days.
    everything, *younger = counts
    older = Unclosed(
        everything.open - sum(band.open for band in younger),
        everything.active - sum(band.active for band in younger),
    )
    return UnclosedNumbers(
        {part: Opened(*numbers) for part, *numbers in opened},
        [older, *younger],
        [TicketState(*state) for state in states],
    )


_MONTHS = _statement(
    """
    SELECT ROW(month, opened, open, active, closed_microseconds, median_bucket)
      FROM opened_month
     WHERE generation = $1 AND scope = $2 AND month <= $3 AND opened > 0
     ORDER BY month
    """
)


async def list_months(
    connection: Connection, generation: int, scope: str, last: date
) -> dict[date, OpenedMonth]:
    """Return the months up to `last` that had tickets, in their order; raises Replaced."""
    [months] = await _fetch(connection, _MONTHS, generation, scope, last)
    return {
        month: OpenedMonth(month, opened, open_, active, int(microseconds), median_bucket)
        for month, opened, open_, active, microseconds, median_bucket in months
    }


_ACTIVE = _statement(
    """
    SELECT ROW(scope, sum(active)::bigint)
      FROM opened_month
     WHERE generation = $1 AND scope = ANY($2)
     GROUP BY scope
    """,
    _OLDEST,
)


async def count_active(
    connection: Connection, generation: int, categories: Sequence[str]
) -> ActiveNumbers:
    """Return the numbers of the report on what is active; raises Replaced."""
    counts, states = await _fetch(
        connection, _ACTIVE, generation, categories, [Status.ACTIVE], 1, len(categories)
    )
    oldest = (TicketState(*state) for state in states)
    return ActiveNumbers(dict(counts), {state.category: state for state in oldest})
