"""Moves the times of the demo's tickets to where their stories put them; touches no other ticket.

The one thing that REST cannot do, so it is SQL on the operator's own machine: one transaction, no
version, event or count changes. The read model of the reports has to be rebuilt afterwards.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import asyncpg
from tqdm import tqdm  # type: ignore[import-untyped]

from contracts.vocabulary import Action
from demo.stories import Story

# Generic only in the eyes of a type checker.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# Whole seconds are the mark of a ticket that was moved: the database's clock has microseconds.
MOVED = "opened_at = date_trunc('second', opened_at)"
HISTORY = """
UPDATE history SET at = moved.at
  FROM unnest($1::bigint[], $2::integer[], $3::timestamptz[]) AS moved (ticket_id, version, at)
 WHERE (history.ticket_id, history.version) = (moved.ticket_id, moved.version)
"""
# All else follows from the history.
MESSAGES = """
WITH sent AS (
    SELECT ticket_id, at, row_number() OVER (PARTITION BY ticket_id ORDER BY version) AS n
      FROM history WHERE ticket_id = ANY($1::bigint[]) AND action = 'message_sent'
), numbered AS (
    SELECT id, ticket_id, row_number() OVER (PARTITION BY ticket_id ORDER BY id) AS n
      FROM message WHERE ticket_id = ANY($1::bigint[])
)
UPDATE message SET sent_at = sent.at
  FROM sent JOIN numbered USING (ticket_id, n) WHERE message.id = numbered.id
"""
TICKETS = """
WITH life AS (
    SELECT ticket_id, min(at) AS opened_at, max(at) AS modified_at,
           min(at) FILTER (WHERE action = 'closed') AS closed_at
      FROM history WHERE ticket_id = ANY($1::bigint[]) GROUP BY ticket_id
), waiting AS (
    SELECT ticket_id, min(at) AS waiting_since FROM history AS said
     WHERE ticket_id = ANY($1::bigint[])
       AND (action = 'opened' OR action = 'message_sent' AND role = 'user')
       AND NOT EXISTS (
        SELECT FROM history AS later
         WHERE later.ticket_id = said.ticket_id AND later.version > said.version
           AND (action IN ('activated', 'closed') OR action = 'message_sent' AND role = 'helpdesk'))
     GROUP BY ticket_id
)
UPDATE ticket
   SET opened_at = life.opened_at, modified_at = life.modified_at, closed_at = life.closed_at,
       waiting_since = waiting.waiting_since
  FROM life LEFT JOIN waiting USING (ticket_id) WHERE ticket.id = life.ticket_id
"""


async def connect(database_url: str) -> Connection:
    """Return a connection to the tickets."""
    return await asyncpg.connect(database_url, server_settings={"search_path": "tickets"})


async def list_moved(connection: Connection, stories: Iterable[Story]) -> set[UUID]:
    """Return the keys of the stories that an earlier run has finished."""
    rows = await connection.fetch(
        f"SELECT idempotency_key FROM ticket WHERE idempotency_key = ANY($1) AND {MOVED}",  # noqa: S608
        [story.key for story in stories],
    )
    return {row["idempotency_key"] for row in rows}


async def move(connection: Connection, stories: Mapping[UUID, Story]) -> int:
    """Give the stories' tickets their times, and return how many were moved."""
    async with connection.transaction():
        rows = await connection.fetch(
            f"""
            SELECT idempotency_key, ticket_id, history.version, at, action
              FROM ticket JOIN history ON ticket_id = ticket.id
             WHERE idempotency_key = ANY($1) AND NOT {MOVED}
             ORDER BY ticket_id, history.version
               FOR UPDATE OF ticket
            """,  # noqa: S608
            list(stories),
        )
        lives: defaultdict[UUID, list[asyncpg.Record]] = defaultdict(list)
        for row in rows:
            lives[row["idempotency_key"]].append(row)
        at = [at for key, life in lives.items() for at in _times(stories[key], life)]
        tickets = list({row["ticket_id"]: None for row in rows})
        versions = [row["version"] for row in rows]
        statements = {
            HISTORY: ([row["ticket_id"] for row in rows], versions, at),
            MESSAGES: (tickets,),
            TICKETS: (tickets,),
        }
        for statement, parameters in tqdm(
            statements.items(), desc="times", leave=False, disable=None
        ):
            await connection.execute(statement, *parameters)
    return len(tickets)


def _times(story: Story, life: list[asyncpg.Record]) -> Iterator[datetime]:
    """Yield when each item of a ticket's history happened.

    What no story tells (the classifier's late answer, a correction) came a second after the item
    before; nothing moves forward.
    """
    told = defaultdict(list, {Action.OPENED: [story.opened_at]})
    for step in story.steps:
        told[step.action].append(step.at)
    at = story.opened_at
    for row in life:
        planned = told[row["action"]]
        next_at = planned.pop(0) if planned else at
        if row["version"] > 1:
            next_at = max(next_at, at + timedelta(seconds=1))
        at = min(next_at, row["at"])
        yield at
