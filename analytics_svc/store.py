"""All SQL of the read model; takes a connection, never the pool. Knows no time zone.

Days and months are those of the campus because their dates come in with each ticket.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from analytics_svc.database import Connection
from analytics_svc.periods import Pieces
from contracts.rest import Ticket

# One writer at a time in the whole database; the number is the text "campus".
WRITER_LOCK = int.from_bytes(b"campus")


class NotBuilt(Exception):
    """The read model has not been filled from the ticket service yet."""


@dataclass(frozen=True)
class Opened:
    """Tickets opened on a campus date, or from an instant on."""

    start: date | datetime
    opened: int
    open: int
    active: int


@dataclass(frozen=True)
class OpenedMonth:
    """Tickets opened in one campus month; `closed_microseconds` is the sum over the closed ones."""

    month: date
    closed: int
    closed_microseconds: int
    unclosed: int


@dataclass(frozen=True)
class Built:
    """The time zone whose days and months the rollups hold, and the database's clock."""

    timezone: str
    now: datetime


async def lock_for_writing(connection: Connection) -> None:
    """Wait until no one else writes; holds until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", WRITER_LOCK)


async def fetch_built(connection: Connection) -> Built:
    """Return what the read model was built with; raises NotBuilt."""
    row = await connection.fetchrow("SELECT timezone, now() FROM projection")
    if row is None:
        raise NotBuilt("The reports are not built yet.")
    return Built(*row)


async def find_timezone(connection: Connection) -> str | None:
    """Return the time zone of the read model, None where it was never built."""
    timezone: str | None = await connection.fetchval("SELECT timezone FROM projection")
    return timezone


async def reset(connection: Connection, timezone: str) -> None:
    """Empty the read model; others see the old one until the transaction commits.

    DELETE, since TRUNCATE would make readers wait or see nothing.
    """
    await connection.execute(
        """
        DELETE FROM ticket_state;
        DELETE FROM opened_day;
        DELETE FROM opened_quarter;
        DELETE FROM opened_month;
        DELETE FROM active_category;
        DELETE FROM projection;
        """
    )
    await connection.execute(
        "INSERT INTO projection (timezone, built_at) VALUES ($1, now())", timezone
    )


async def apply(
    connection: Connection, tickets: Sequence[Ticket], opened_days: Sequence[date]
) -> int:
    """Take in the states that are newer than those seen; return how many were.

    `opened_days` are the campus dates of the openings. Needs `lock_for_writing` in the same
    transaction: rollups are read and written back.
    """
    news: int = await connection.fetchval(
        """
        WITH incoming AS (
            SELECT DISTINCT ON (id) *
              FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::date[],
                          $5::timestamptz[], $6::text[], $7::text[])
                AS event (id, version, opened_at, opened_day, closed_at, status, category)
             ORDER BY id, version DESC
        ), before AS (
            SELECT seen.*
              FROM ticket_state AS seen JOIN incoming USING (id)
             WHERE seen.version < incoming.version
        ), after AS (
            INSERT INTO ticket_state
                   (id, version, opened_at, opened_day, closed_at, status, category)
            SELECT id, version, opened_at, opened_day, closed_at, status, category
              FROM incoming
            ON CONFLICT (id) DO UPDATE
               SET version = EXCLUDED.version, opened_at = EXCLUDED.opened_at,
                   opened_day = EXCLUDED.opened_day, closed_at = EXCLUDED.closed_at,
                   status = EXCLUDED.status, category = EXCLUDED.category
             WHERE ticket_state.version < EXCLUDED.version
            RETURNING *
        ), change AS (
            SELECT opened_day AS day,
                   date_trunc('month', opened_day)::date AS month,
                   date_bin('15 minutes', opened_at, 'epoch') AS quarter,
                   category,
                   sign,
                   sign * (status = 'open')::int AS open,
                   sign * (status = 'active')::int AS active,
                   sign * (status = 'closed')::int AS closed,
                   sign * extract(epoch FROM closed_at - opened_at) * 1000000 AS microseconds
              FROM (SELECT 1 AS sign, * FROM after
                    UNION ALL
                    SELECT -1, * FROM before) AS signed
        ), days AS (
            INSERT INTO opened_day (day, opened, open, active)
            SELECT day, sum(opened), sum(open), sum(active)
              FROM (SELECT day, sign, open, active FROM change
                    UNION ALL
                    SELECT day, opened, open, active FROM opened_day
                     WHERE day IN (SELECT day FROM change)) AS part (day, opened, open, active)
             GROUP BY day
            ON CONFLICT (day) DO UPDATE
               SET opened = EXCLUDED.opened, open = EXCLUDED.open, active = EXCLUDED.active
        ), quarters AS (
            INSERT INTO opened_quarter (start, opened, open, active)
            SELECT start, sum(opened), sum(open), sum(active)
              FROM (SELECT quarter, sign, open, active FROM change
                    UNION ALL
                    SELECT start, opened, open, active FROM opened_quarter
                     WHERE start IN (SELECT quarter FROM change))
                AS part (start, opened, open, active)
             GROUP BY start
            ON CONFLICT (start) DO UPDATE
               SET opened = EXCLUDED.opened, open = EXCLUDED.open, active = EXCLUDED.active
        ), months AS (
            INSERT INTO opened_month (month, closed, closed_microseconds, unclosed)
            SELECT month, sum(closed), coalesce(sum(microseconds), 0), sum(unclosed)
              FROM (SELECT month, closed, microseconds, open + active FROM change
                    UNION ALL
                    SELECT month, closed, closed_microseconds, unclosed FROM opened_month
                     WHERE month IN (SELECT month FROM change))
                AS part (month, closed, microseconds, unclosed)
             GROUP BY month
            ON CONFLICT (month) DO UPDATE
               SET closed = EXCLUDED.closed, closed_microseconds = EXCLUDED.closed_microseconds,
                   unclosed = EXCLUDED.unclosed
        ), categories AS (
            INSERT INTO active_category (category, active)
            SELECT category, sum(active)
              FROM (SELECT category, active FROM change
                    UNION ALL
                    SELECT category, active FROM active_category) AS part (category, active)
             GROUP BY category
            ON CONFLICT (category) DO UPDATE SET active = EXCLUDED.active
        )
        SELECT count(*) FROM after
        """,
        [ticket.id for ticket in tickets],
        [ticket.version for ticket in tickets],
        [ticket.opened_at for ticket in tickets],
        opened_days,
        [ticket.closed_at for ticket in tickets],
        [ticket.status for ticket in tickets],
        [ticket.category for ticket in tickets],
    )
    return news


async def list_opened(connection: Connection, pieces: Pieces) -> list[Opened]:
    """Return the counts of a period by day, quarter and piece of a quarter at either end.

    Each instant is in one of them, and each of them in one bucket of the report.
    """
    rows = await connection.fetch(
        """
        SELECT day, NULL::timestamptz AS start, opened, open, active
          FROM opened_day
         WHERE day >= $4 AND day < $5
        UNION ALL
        SELECT NULL, start, opened, open, active
          FROM opened_quarter
         WHERE start >= $2 AND start < $3 OR start >= $6 AND start < $7
        UNION ALL
        SELECT NULL, min(opened_at), count(*), count(*) FILTER (WHERE status = 'open'),
               count(*) FILTER (WHERE status = 'active')
          FROM ticket_state
         WHERE opened_at > $1 AND opened_at < $2
        HAVING count(*) > 0
        UNION ALL
        SELECT NULL, min(opened_at), count(*), count(*) FILTER (WHERE status = 'open'),
               count(*) FILTER (WHERE status = 'active')
          FROM ticket_state
         WHERE opened_at >= $7 AND opened_at <= $8
        HAVING count(*) > 0
        """,
        pieces.since,
        pieces.quarters_from,
        pieces.days_from,
        pieces.first_day,
        pieces.end_day,
        pieces.days_to,
        pieces.quarters_to,
        pieces.as_of,
    )
    return [Opened(row["day"] or row["start"], *row[2:]) for row in rows]


async def list_months(connection: Connection, last: date) -> list[OpenedMonth]:
    """Return the months up to `last` that had tickets."""
    rows = await connection.fetch(
        """
        SELECT month, closed, closed_microseconds, unclosed
          FROM opened_month
         WHERE month <= $1 AND closed + unclosed > 0
        """,
        last,
    )
    return [OpenedMonth(row[0], row[1], int(row[2]), row[3]) for row in rows]


async def count_active(connection: Connection) -> dict[str | None, int]:
    """Return how many tickets are active in each category that ever had one; None: without."""
    rows = await connection.fetch("SELECT category, active FROM active_category")
    return {row["category"]: row["active"] for row in rows}
