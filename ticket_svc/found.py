"""SQL of searches: written words → tickets, and the messages that hold them.

A common word fills its page from the first tickets of the order, a rare one is looked up in the
index; neither is left to what the planner guesses. `docs/search.md` says why, with figures.
"""

# ruff: noqa: S608 - what is put together here are constants and names of the vocabulary; every other
# value is a parameter

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from contracts.rest import Ticket
from contracts.vocabulary import NO_CATEGORY, Status
from ticket_svc.database import Connection
from ticket_svc.hits import Said
from ticket_svc.search import Page
from ticket_svc.store import TICKET_COLUMNS, to_ticket
from ticket_svc.wanted import MANY_TICKETS, Wanted

# First a glance: 50 hits are often among so many. Where some are, a longer walk finds the rest
# sooner than the index, which has thousands to sort.
SHORT_WALK_TICKETS = 2_000
LONG_WALK_TICKETS = 20_000
ENOUGH_TO_WALK_ON = 7
# Of tickets that are not closed there are fewer, and `visible_word` finds all with a word sooner.
VISIBLE_WALK_TICKETS = 500
# Where tickets with a word are looked up, by its patterns or the written words.
_WITH_PATTERN = """
    SELECT DISTINCT ticket_id, opened_at AS first_at FROM ticket_text
     WHERE words LIKE ANY ({}::text[])"""
_WITH_WORD = "SELECT ticket_id, opened_at AS first_at FROM tickets_with_word({}::text[])"
_VISIBLE_WITH_WORD = """
    SELECT ticket_id, opened_at AS first_at
      FROM (SELECT DISTINCT ticket_id FROM visible_word WHERE text = ANY ({}::text[])
            OFFSET 0) AS visible
     CROSS JOIN LATERAL (SELECT opened_at FROM ticket WHERE id = ticket_id OFFSET 0) AS ticket"""


async def list_tickets(
    connection: Connection, page: Page, wanted: Sequence[Wanted]
) -> list[Ticket]:
    """Return the tickets of a page that have every word; without a word there are none."""
    if not wanted or not all(word.meant for word in wanted):
        return []
    if min(word.tickets for word in wanted) >= MANY_TICKETS:
        is_short = _are_visible(page) and not all(word.is_broad for word in wanted)
        tickets = VISIBLE_WALK_TICKETS if is_short else SHORT_WALK_TICKETS
        found, is_whole = await _walk(connection, page, wanted, tickets)
        if not is_whole and not is_short and len(found) >= ENOUGH_TO_WALK_ON:
            found, is_whole = await _walk(connection, page, wanted, LONG_WALK_TICKETS)
        if is_whole:
            return found
    return await _look_up(connection, page, wanted)


def _are_visible(page: Page) -> bool:
    return Status.CLOSED not in page.statuses


def _has_all(wanted: Iterable[Wanted], first_parameter: int) -> str:
    """Return the condition that the rows of a ticket have every word, in whichever of its texts."""
    return " AND ".join(
        f"bool_or(words LIKE ANY (${n}::text[]))" for n, _ in enumerate(wanted, first_parameter)
    )


async def _walk(
    connection: Connection, page: Page, wanted: Sequence[Wanted], tickets: int
) -> tuple[list[Ticket], bool]:
    """Look the first tickets of the order through; return what is found, and whether it is all."""
    order = page.order("sort_value")
    # Of a pair that it does not know the planner takes any index, and reads and sorts all of it.
    branches = " UNION ALL ".join(
        f"""
        (SELECT id, {page.sorted_by} AS sort_value FROM ticket
          WHERE status = '{status}' AND coalesce(category, '{NO_CATEGORY}') = '{category}'
            AND {page.within}
         {page.order(page.sorted_by)} LIMIT {tickets})
        """
        for status, category in product(page.statuses, page.categories)
    )
    # OFFSET 0 keeps the planner from reading whole tables instead of the first tickets.
    rows = await connection.fetch(
        f"""
        SELECT ticket.*, has_all, place
          FROM (SELECT id AS walked_id, sort_value AS walked_at,
                       row_number() OVER ({order}) AS place
                  FROM ({branches}) AS branch {order} LIMIT {tickets}) AS walked
         CROSS JOIN LATERAL (SELECT {_has_all(wanted, page.next_parameter)} AS has_all
                               FROM ticket_text WHERE ticket_id = walked_id OFFSET 0) AS looked
         CROSS JOIN LATERAL (SELECT {TICKET_COLUMNS} FROM ticket
                              WHERE id = walked_id OFFSET 0) AS ticket
         WHERE has_all OR place = {tickets}
        {page.order("walked_at", "walked_id")} LIMIT $3
        """,
        *page.bounds,
        *(word.patterns for word in wanted),
    )
    found = [to_ticket(row) for row in rows if row["has_all"]]
    is_end_reached = not rows or rows[-1]["place"] < tickets
    return found, is_end_reached or len(found) == page.limit


async def _look_up(connection: Connection, page: Page, wanted: Sequence[Wanted]) -> list[Ticket]:
    """Find all tickets with the rarest word, and sort them; read no more of them than the page
    needs, and of these the other words.
    """
    # How many tickets have a common word nobody counts, and long ones are in fewer.
    n = page.next_parameter
    rarest, *others = sorted(wanted, key=lambda one: (one.is_broad, one.tickets, -len(one.word)))
    if rarest.is_broad:
        with_rarest = _WITH_PATTERN
    else:
        with_rarest = _VISIBLE_WITH_WORD if _are_visible(page) else _WITH_WORD
    other_words = f"""
         CROSS JOIN LATERAL (
            SELECT {_has_all(others, n + 3)} AS has_others FROM ticket_text
             WHERE ticket_text.ticket_id = sorted.ticket_id
            OFFSET 0
         ) AS looked
         WHERE has_others"""
    # By anything else they are sorted when all of them are read.
    found_order = page.order("first_at", "ticket_id")
    by_opening = page.sorted_by == "opened_at"
    order = found_order if by_opening else page.order(page.sorted_by)
    rows = await connection.fetch(
        f"""
        WITH found AS MATERIALIZED ({with_rarest.format(f"${n + 2}")})
        SELECT ticket.*
          FROM (SELECT * FROM found {found_order} OFFSET 0) AS sorted
         CROSS JOIN LATERAL (
            SELECT {TICKET_COLUMNS} FROM ticket
             WHERE id = sorted.ticket_id AND status = ANY(${n}::text[])
               AND coalesce(category, '{NO_CATEGORY}') = ANY(${n + 1}::text[]) AND {page.within}
            OFFSET 0
         ) AS ticket
        {other_words if others else ""}
        {order} LIMIT $3
        """,
        *page.bounds,
        page.statuses,
        page.categories,
        rarest.patterns if rarest.is_broad else rarest.meant,
        *(word.patterns for word in others),
    )
    return [to_ticket(row) for row in rows]


async def list_said(
    connection: Connection, ticket_ids: Sequence[int], wanted: Sequence[Wanted]
) -> Mapping[int, Said]:
    """Return the messages that have more of the words than all before them and the description,
    and no fewer than all after them, by ticket.
    """
    number_of_words = " + ".join(
        f"(words LIKE ANY (${n}::text[]))::int" for n, _ in enumerate(wanted, start=2)
    )
    rows = await connection.fetch(
        f"""
        SELECT message.ticket_id, id, author, body,
               (SELECT count(*) FROM message AS earlier
                 WHERE earlier.ticket_id = message.ticket_id AND earlier.id <= message.id) AS number
          FROM (SELECT DISTINCT ON (ticket_id) message_id FROM ticket_text
                 WHERE ticket_id = ANY($1::bigint[])
                 ORDER BY ticket_id, {number_of_words} DESC, message_id) AS best
          JOIN message ON id = message_id
        """,
        ticket_ids,
        *(word.patterns for word in wanted),
    )
    return {
        row["ticket_id"]: Said(row["id"], row["number"], row["author"], row["body"]) for row in rows
    }
