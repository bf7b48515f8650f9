"""SQL that keeps the read model; takes a connection, never the pool. Knows no time zone.

What the reports read is in `queries.py`. Days are those of the campus because they come in with
each ticket.
"""

# ruff: noqa: S608 - what is put together here are constants; every value is a parameter

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from analytics_svc.database import LONG_SECONDS, Connection
from analytics_svc.histogram import LN_GROWTH
from analytics_svc.state import TicketState

# What the session of a rebuild calls itself. Nobody can be another role's user.
REBUILD_NAME = "analytics_svc rebuild"
# Another replica's rebuild takes minutes. A statement that waited for it could not be told from one
# that nobody will answer any more.
LOOK_SECONDS = 0.5

ROLLUPS = ("opened_quarter", "opened_day", "opened_month", "resolution_bucket")

# Keeps the planner from any other way than by the index. A table that looked empty when the
# statement was planned would be joined whole with each row otherwise: for minutes, once it is not.
_ONE_BY_ONE = "LIMIT 1"
_STATES = """
    unnest($2::bigint[], $3::bigint[], $4::timestamptz[], $5::date[], $6::timestamptz[],
           $7::text[], $8::text[], $9::text[])
    AS state (id, version, opened_at, opened_day, closed_at, status, category, title)
"""
# What tickets add to the rollups (`sign` 1), and what their states before no longer do (-1). Added
# up as finely as any rollup needs before it is spread to the scopes: few rows are left by then.
_CHANGE = """
    SELECT scope, day, date_trunc('month', day)::date AS month, start, opened, open, active,
           closed_microseconds
      FROM (SELECT category,
                   opened_day AS day,
                   date_bin('15 minutes', opened_at, 'epoch') AS start,
                   sum(sign) AS opened,
                   sum(sign * (status = 'open')::int) AS open,
                   sum(sign * (status = 'active')::int) AS active,
                   coalesce(sum(sign * extract(epoch FROM closed_at - opened_at)) * 1000000, 0)
                       AS closed_microseconds
              FROM signed
             GROUP BY category, day, start) AS fine
     CROSS JOIN LATERAL (VALUES ('all'), (category)) AS scopes (scope)
"""
_TOOK = f"""
    SELECT scope, month, bucket, closed
      FROM (SELECT category,
                   date_trunc('month', opened_day)::date AS month,
                   CASE WHEN closed_at - opened_at < interval '1 second' THEN 0
                        ELSE 1 + ceil(ln(extract(epoch FROM closed_at - opened_at)::float8)
                                      / {LN_GROWTH!r})
                   END::smallint AS bucket,
                   sum(sign) AS closed
              FROM signed
             WHERE closed_at IS NOT NULL
             GROUP BY category, month, bucket) AS fine
     CROSS JOIN LATERAL (VALUES ('all'), (category)) AS scopes (scope)
"""


def _roll_up(table: str, key: str, counts: Sequence[str], change: str = "change") -> str:
    """Return a statement that adds a change to a rollup.

    The sums are made before they are written: a difference alone may be below zero, which the
    table refuses.
    """
    changed = ", ".join(f"changed.{column}" for column in key.split(", "))
    return f"""
        INSERT INTO {table} (generation, scope, {key}, {", ".join(counts)})
        SELECT $1, changed.scope, {changed},
               {", ".join(f"changed.{count} + coalesce(kept.{count}, 0)" for count in counts)}
          FROM (SELECT scope, {key}, {", ".join(f"sum({count}) AS {count}" for count in counts)}
                  FROM {change}
                 GROUP BY scope, {key}) AS changed
          LEFT JOIN LATERAL (
            SELECT *
              FROM {table}
             WHERE generation = $1 AND (scope, {key}) = (changed.scope, {changed})
             {_ONE_BY_ONE}) AS kept ON true
        ON CONFLICT (generation, scope, {key}) DO UPDATE
           SET {", ".join(f"{count} = EXCLUDED.{count}" for count in counts)}
    """


_COUNTS = ("opened", "open", "active")
# Adds what is in `after` and takes away what is in `before`; tells how many, and which months'
# medians may have moved.
_ROLL_UP_ALL = f"""
    signed AS (
        SELECT 1 AS sign, * FROM after UNION ALL SELECT -1, * FROM before
    ), change AS ({_CHANGE}
    ), took AS ({_TOOK}
    ), quarters AS ({_roll_up("opened_quarter", "start", _COUNTS)}
    ), days AS ({_roll_up("opened_day", "day", _COUNTS)}
    ), months AS ({_roll_up("opened_month", "month", (*_COUNTS, "closed_microseconds"))}
    ), buckets AS ({_roll_up("resolution_bucket", "month, bucket", ["closed"], "took")}
    )
    SELECT (SELECT count(*) FROM after), (SELECT array_agg(DISTINCT month) FROM took)
"""
_APPLY = f"""
    WITH incoming AS (
        SELECT DISTINCT ON (id) * FROM {_STATES} ORDER BY id, version DESC
    ), before AS (
        SELECT seen.*
          FROM incoming
         CROSS JOIN LATERAL (
            SELECT *
              FROM ticket_state
             WHERE generation = $1 AND id = incoming.id
             {_ONE_BY_ONE}) AS seen
         WHERE seen.version < incoming.version
    ), after AS (
        INSERT INTO ticket_state
        SELECT $1, * FROM incoming
        ON CONFLICT (generation, id) DO UPDATE
           SET version = EXCLUDED.version, opened_at = EXCLUDED.opened_at,
               opened_day = EXCLUDED.opened_day, closed_at = EXCLUDED.closed_at,
               status = EXCLUDED.status, category = EXCLUDED.category, title = EXCLUDED.title
         WHERE ticket_state.version < EXCLUDED.version
        RETURNING *
    ), {_ROLL_UP_ALL}
"""
_ROLL_UP_NEW = f"""
    WITH after AS (
        SELECT * FROM ticket_state WHERE generation = $1 AND id >= $2 AND id <= $3
    ), before AS (
        SELECT * FROM after WHERE false
    ), {_ROLL_UP_ALL}
"""


class NotBuilt(Exception):
    """The read model has not been filled from the ticket service yet."""


@dataclass(frozen=True)
class Built:
    """The generation to read, the time zone of its days and months, and the database's clock."""

    generation: int
    timezone: str
    now: datetime


async def lock_for_writing(connection: Connection) -> None:
    """Wait until no one else writes; holds until the transaction ends.

    By a row of our own: every role of the database could hold an advisory lock.
    """
    await connection.execute("SELECT FROM writer FOR UPDATE")


async def fetch_built(connection: Connection) -> Built:
    """Return what there is to read; raises NotBuilt."""
    built = await find_built(connection)
    if built is None:
        raise NotBuilt("The reports are not built yet.")
    return built


async def find_built(connection: Connection) -> Built | None:
    """Return what there is to read, None where nothing was ever built."""
    row = await connection.fetchrow("SELECT generation, timezone, now() FROM projection")
    return Built(*row) if row else None


async def apply(connection: Connection, generation: int, states: Sequence[TicketState]) -> int:
    """Take in the states that are newer than those seen; return how many were.

    Only one writer a generation: rollups are read and written back.
    """
    if not states:
        return 0
    [(news, months)] = await connection.fetch(_APPLY, generation, *zip(*states, strict=True))
    await _set_medians(connection, generation, months)
    return int(news)


async def fill(connection: Connection, generation: int, states: Sequence[TicketState]) -> None:
    """Take in tickets by rising ids, all of them above those that are there; twice as fast."""
    rows = [(generation, *state) for state in states]
    await connection.copy_records_to_table("ticket_state", records=rows, timeout=LONG_SECONDS)
    first, last = states[0].id, states[-1].id
    [(_, months)] = await connection.fetch(
        _ROLL_UP_NEW, generation, first, last, timeout=LONG_SECONDS
    )
    await _set_medians(connection, generation, months)


async def _set_medians(
    connection: Connection, generation: int, months: Sequence[date] | None
) -> None:
    if not months:
        return
    await connection.execute(
        """
        UPDATE opened_month AS rollup
           SET median_bucket = (
               SELECT bucket
                 FROM (SELECT bucket, sum(closed) OVER (ORDER BY bucket) AS reached
                         FROM resolution_bucket
                        WHERE generation = $1 AND scope = rollup.scope AND month = rollup.month)
                   AS cumulated
                WHERE 2 * reached >= rollup.opened - rollup.open - rollup.active
                ORDER BY bucket
                LIMIT 1)
         WHERE generation = $1 AND month = ANY($2) AND opened > open + active
        """,
        generation,
        months,
    )


async def note_for_rebuild(connection: Connection, states: Sequence[TicketState]) -> None:
    """Note the states for a rebuild if one runs; none can start before the transaction ends.

    The caller has locked for writing.
    """
    if not await is_rebuilding(connection):
        return
    await connection.execute(
        f"INSERT INTO rebuild_journal SELECT * FROM {_STATES} WHERE $1",
        True,
        *zip(*states, strict=True),
    )


async def begin_rebuild(connection: Connection) -> None:
    """Wait until no other rebuild runs; from then on, what is taken in is noted too.

    Holds until the connection is closed, or breaks.
    """
    while True:
        async with connection.transaction():
            await lock_for_writing(connection)
            if not await is_rebuilding(connection):
                await connection.execute(
                    "SELECT set_config('application_name', $1, false)", REBUILD_NAME
                )
                return
        await asyncio.sleep(LOOK_SECONDS)


async def is_rebuilding(connection: Connection) -> bool:
    """Tell whether a session is a rebuild's, by its name.

    The name goes with the session, which a flag in a table would outlive; a pooler takes it off
    before it gives the session to another.
    """
    running: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $1"
        " AND datname = current_database() AND usename = current_user)",
        REBUILD_NAME,
    )
    return running


async def empty(connection: Connection, generation: int) -> None:
    """Empty a generation that is not read any more, and forget what was noted.

    Waits for statements that still read it. Later ones find that it is not the one to read: their
    locks come before their snapshot.
    """
    # In the order in which events lock them, or the two would wait for each other.
    await connection.execute("TRUNCATE rebuild_journal", timeout=LONG_SECONDS)
    await connection.execute(f"TRUNCATE ticket_state_{generation:d}", timeout=LONG_SECONDS)
    for table in ROLLUPS:
        await connection.execute(
            f"DELETE FROM {table} WHERE generation = $1", generation, timeout=LONG_SECONDS
        )


async def analyze(connection: Connection) -> None:
    """Let PostgreSQL look at what was just filled, or it plans for empty tables.

    Without names it would try every table of the server's, and log that it may not.
    """
    tables = ", ".join(("ticket_state", *ROLLUPS))
    await connection.execute(f"ANALYZE {tables}", timeout=LONG_SECONDS)


async def take_noted(connection: Connection, limit: int) -> list[TicketState]:
    """Return at most `limit` states that were noted, and forget them with the transaction."""
    rows = await connection.fetch(
        """
        DELETE FROM rebuild_journal
         WHERE ctid = ANY(ARRAY(SELECT ctid FROM rebuild_journal LIMIT $1))
        RETURNING *
        """,
        limit,
    )
    return [TicketState(*row) for row in rows]


async def show(connection: Connection, generation: int, timezone: str) -> None:
    """Make a generation the one that is read, from the end of the transaction on."""
    await connection.execute(
        """
        INSERT INTO projection (generation, timezone, built_at) VALUES ($1, $2, now())
        ON CONFLICT (single) DO UPDATE
           SET generation = EXCLUDED.generation, timezone = EXCLUDED.timezone,
               built_at = EXCLUDED.built_at
        """,
        generation,
        timezone,
    )
