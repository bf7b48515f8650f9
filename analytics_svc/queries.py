"""SQL of the reports: reads rollups and short ends of indexes, so it costs the same at any size.

A scope is a category, NO_CATEGORY, or ALL.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from analytics_svc.database import Connection
from analytics_svc.periods import Pieces
from analytics_svc.state import TicketState
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


async def list_opened(
    connection: Connection,
    generation: int,
    scope: str,
    periods: Sequence[Pieces],
    starts: Sequence[datetime],
    start_days: Sequence[date],
) -> dict[int, Opened]:
    """Return the counts of periods by the part in which the tickets were opened.

    A part is the index of its start in `starts`, and belongs to one of the periods; parts in which
    none were opened are left out. `start_days` are the campus dates of the starts.
    """
    # Grouped for each period, which keeps the planner from joining periods with whole tables. The
    # columns of `period` are those of Pieces.
    rows = await connection.fetch(
        """
        SELECT counted.*
          FROM unnest($5::timestamptz[], $6::timestamptz[], $7::timestamptz[], $8::date[],
                      $9::date[], $10::date[], $11::date[], $12::timestamptz[],
                      $13::timestamptz[], $14::timestamptz[])
            AS period (since, quarters_from, days_from, first_day, first_month, end_month, end_day,
                       days_to, quarters_to, as_of)
         CROSS JOIN LATERAL (
            SELECT part - 1, sum(opened)::bigint, sum(open)::bigint, sum(active)::bigint
              FROM (SELECT width_bucket(month, $4::date[]) AS part, opened, open, active
                      FROM opened_month
                     WHERE generation = $1 AND scope = $2
                       AND month >= first_month AND month < end_month
                    UNION ALL
                    SELECT width_bucket(day, $4::date[]), opened, open, active
                      FROM opened_day
                     WHERE generation = $1 AND scope = $2
                       AND (day >= first_day AND day < first_month
                            OR day >= end_month AND day < end_day)
                    UNION ALL
                    SELECT width_bucket(start, $3::timestamptz[]), opened, open, active
                      FROM opened_quarter
                     WHERE generation = $1 AND scope = $2
                       AND (start >= quarters_from AND start < days_from
                            OR start >= days_to AND start < quarters_to)
                    UNION ALL
                    SELECT width_bucket(opened_at, $3::timestamptz[]), 1, (status = 'open')::int,
                           (status = 'active')::int
                      FROM ticket_state
                     WHERE generation = $1 AND ($2 = 'all' OR category = $2)
                       AND (opened_at > since AND opened_at < quarters_from
                            OR opened_at >= quarters_to AND opened_at <= as_of)
                   ) AS piece
             GROUP BY part) AS counted
        """,
        generation,
        scope,
        starts,
        start_days,
        *zip(*periods, strict=True),
    )
    return {part: Opened(*counts) for part, *counts in rows}


async def count_by_age(
    connection: Connection, generation: int, scope: str, since: Sequence[date]
) -> list[Unclosed]:
    """Return how many are not closed that were opened before, and from, each of these days.

    The first is before `since[0]`, the last from `since[-1]` on.
    """
    rows = await connection.fetch(
        """
        SELECT width_bucket(day, $3::date[]), sum(open)::bigint, sum(active)::bigint
          FROM opened_day
         WHERE generation = $1 AND scope = $2 AND day >= $4
         GROUP BY 1
        UNION ALL
        SELECT 0, coalesce(sum(open), 0)::bigint, coalesce(sum(active), 0)::bigint
          FROM opened_month
         WHERE generation = $1 AND scope = $2
        """,
        generation,
        scope,
        since,
        since[0],
    )
    counts = [Unclosed(0, 0)] * (len(since) + 1)
    for part, *numbers in rows:
        counts[part] = Unclosed(*numbers)
    # The months hold all; what is left of them is older than the days.
    everything, *younger = counts
    older = Unclosed(
        everything.open - sum(band.open for band in younger),
        everything.active - sum(band.active for band in younger),
    )
    return [older, *younger]


async def list_months(
    connection: Connection, generation: int, scope: str, last: date
) -> dict[date, OpenedMonth]:
    """Return the months up to `last` that had tickets, in their order."""
    rows = await connection.fetch(
        """
        SELECT month, opened, open, active, closed_microseconds, median_bucket
          FROM opened_month
         WHERE generation = $1 AND scope = $2 AND month <= $3 AND opened > 0
         ORDER BY month
        """,
        generation,
        scope,
        last,
    )
    return {
        month: OpenedMonth(month, opened, open_, active, int(microseconds), median_bucket)
        for month, opened, open_, active, microseconds, median_bucket in rows
    }


async def count_active(
    connection: Connection, generation: int, scopes: Sequence[str]
) -> dict[str, int]:
    """Return how many tickets are active in each scope that ever had a ticket."""
    rows = await connection.fetch(
        """
        SELECT scope, sum(active)::bigint AS active
          FROM opened_month
         WHERE generation = $1 AND scope = ANY($2)
         GROUP BY scope
        """,
        generation,
        scopes,
    )
    return {row["scope"]: row["active"] for row in rows}


async def list_oldest(
    connection: Connection,
    generation: int,
    categories: Sequence[str],
    statuses: Sequence[Status],
    each: int,
) -> list[TicketState]:
    """Return the `each` oldest of every category and status, oldest first; none is closed."""
    rows = await connection.fetch(
        """
        SELECT oldest.*
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
        """,
        generation,
        categories,
        statuses,
        each,
    )
    return [TicketState(*row) for row in rows]
