"""SQL of searches: typed words → written words → tickets, and the messages that hold them.

A common word fills its page from the first tickets of the order, a rare one is looked up in the
index; neither is left to what the planner guesses. `docs/search.md` says why, with figures.
"""

# ruff: noqa: S608 - what is put together here are constants; every value is a parameter

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import product

from contracts.rest import Ticket
from contracts.vocabulary import NO_CATEGORY
from ticket_svc.database import Connection
from ticket_svc.hits import Said
from ticket_svc.search import Page
from ticket_svc.store import TICKET_COLUMNS, to_ticket
from ticket_svc.wanted import (
    MANY_TICKETS,
    WRITTEN_MAX,
    Known,
    Wanted,
    holding,
    list_swapped,
    may_be_typo,
    parts_of,
)

# First a glance: 50 hits are often among so many. Where some are, a longer walk finds the rest
# sooner than the index, which has thousands to sort.
SHORT_WALK_TICKETS = 2_000
LONG_WALK_TICKETS = 20_000
ENOUGH_TO_WALK_ON = 7
NEAR_WORDS_MAX = 50
_FIRST_WORD_PARAMETER = 8


async def list_wanted(connection: Connection, text: str) -> list[Wanted]:
    """Return each different word of a text with what it stands for."""
    typed: list[str] = await connection.fetchval("SELECT text_words($1)", text)
    wanted = []
    for word in dict.fromkeys(part for one in typed for part in parts_of(one)):
        written = await _list_written(connection, word)
        near = await _list_near(connection, word) if may_be_typo(word, written) else []
        wanted.append(Wanted.of(word, written, near))
    return wanted


async def _list_written(connection: Connection, word: str) -> list[Known]:
    rows = await connection.fetch(
        "SELECT text, uses FROM word WHERE text LIKE $1 LIMIT $2", holding(word), WRITTEN_MAX + 1
    )
    return [Known(*row) for row in rows]


async def _list_near(connection: Connection, word: str) -> list[Known]:
    # A swap leaves too few trigrams of a short word to be seen as similar.
    rows = await connection.fetch(
        """
        (SELECT text, uses FROM word
          WHERE text % $1 AND text NOT LIKE $2
          ORDER BY similarity(text, $1) DESC, text LIMIT $3)
        UNION
        SELECT text, uses FROM word WHERE text = ANY($4::text[])
        """,
        word,
        holding(word),
        NEAR_WORDS_MAX,
        list_swapped(word),
    )
    return [Known(*row) for row in rows]


async def list_tickets(
    connection: Connection, page: Page, wanted: Sequence[Wanted]
) -> list[Ticket]:
    """Return the tickets of a page that have every word; without a word there are none."""
    if not wanted or not all(word.meant for word in wanted):
        return []
    if min(word.tickets for word in wanted) >= MANY_TICKETS:
        found, is_whole = await _walk(connection, page, wanted, SHORT_WALK_TICKETS)
        if not is_whole and len(found) >= ENOUGH_TO_WALK_ON:
            found, is_whole = await _walk(connection, page, wanted, LONG_WALK_TICKETS)
        if is_whole:
            return found
    return await _look_up(connection, page, wanted)


async def _walk(
    connection: Connection, page: Page, wanted: Sequence[Wanted], tickets: int
) -> tuple[list[Ticket], bool]:
    """Look the first tickets of the order through; return what is found, and whether it is all."""
    pairs = list(product(page.statuses, page.categories))
    order = page.order("sort_value")
    branches = " UNION ALL ".join(
        f"""
        (SELECT id, {page.sorted_by} AS sort_value FROM ticket
          WHERE status = ($1::text[])[{n}]
            AND coalesce(category, '{NO_CATEGORY}') = ($2::text[])[{n}] AND {page.within}
         {page.order(page.sorted_by)} LIMIT {tickets})
        """
        for n in range(1, len(pairs) + 1)
    )
    has_all = " AND ".join(
        f"words LIKE ANY (${n}::text[])" for n, _ in enumerate(wanted, _FIRST_WORD_PARAMETER)
    )
    # OFFSET 0 keeps the planner from reading whole tables instead of the first tickets.
    rows = await connection.fetch(
        f"""
        SELECT ticket.*, has_all, place
          FROM (SELECT id AS walked_id, sort_value AS walked_at,
                       row_number() OVER ({order}) AS place
                  FROM ({branches}) AS branch {order} LIMIT {tickets}) AS walked
         CROSS JOIN LATERAL (SELECT {has_all} AS has_all FROM ticket_text
                              WHERE ticket_id = walked_id OFFSET 0) AS looked
         CROSS JOIN LATERAL (SELECT {TICKET_COLUMNS} FROM ticket
                              WHERE id = walked_id OFFSET 0) AS ticket
         WHERE has_all OR place = {tickets}
        {page.order("walked_at", "walked_id")} LIMIT $7
        """,
        [status for status, _ in pairs],
        [category for _, category in pairs],
        *page.bounds,
        *(word.patterns for word in wanted),
    )
    found = [to_ticket(row) for row in rows if row["has_all"]]
    is_end_reached = not rows or rows[-1]["place"] < tickets
    return found, is_end_reached or len(found) == page.limit


async def _look_up(connection: Connection, page: Page, wanted: Sequence[Wanted]) -> list[Ticket]:
    """Find all tickets with the words, and sort them; read no more of them than the page needs."""
    conditions = " AND ".join(
        f"words LIKE ANY (${n}::text[])"
        if word.is_broad
        else f"string_to_array(words, ' ') && ${n}::text[]"
        for n, word in enumerate(wanted, _FIRST_WORD_PARAMETER)
    )
    # By anything else they are sorted when all of them are read.
    found_order = page.order("first_at", "ticket_id")
    by_opening = page.sorted_by == "opened_at"
    order = found_order if by_opening else page.order(page.sorted_by)
    rows = await connection.fetch(
        f"""
        WITH found AS MATERIALIZED (
            SELECT ticket_id, opened_at AS first_at FROM ticket_text WHERE {conditions}
        )
        SELECT ticket.*
          FROM (SELECT * FROM found {found_order} OFFSET 0) AS sorted
         CROSS JOIN LATERAL (
            SELECT {TICKET_COLUMNS} FROM ticket
             WHERE id = ticket_id AND status = ANY($1::text[])
               AND coalesce(category, '{NO_CATEGORY}') = ANY($2::text[]) AND {page.within}
            OFFSET 0
         ) AS ticket
        {order} LIMIT $7
        """,
        page.statuses,
        page.categories,
        *page.bounds,
        *(word.patterns if word.is_broad else word.meant for word in wanted),
    )
    return [to_ticket(row) for row in rows]


async def list_said(
    connection: Connection, ticket_ids: Sequence[int], wanted: Sequence[Wanted]
) -> Mapping[int, list[Said]]:
    """Return the messages under some tickets that may hold a word, oldest first, by ticket."""
    rows = await connection.fetch(
        """
        SELECT ticket_id, id, number, author, body
          FROM (SELECT ticket_id, id, author, body,
                       row_number() OVER (PARTITION BY ticket_id ORDER BY id) AS number
                  FROM message WHERE ticket_id = ANY($1::bigint[])) AS message
         WHERE fold_text(body) LIKE ANY ($2::text[])
         ORDER BY id
        """,
        ticket_ids,
        [pattern for word in wanted for pattern in word.text_patterns],
    )
    said: defaultdict[int, list[Said]] = defaultdict(list)
    for row in rows:
        said[row["ticket_id"]].append(Said(row["id"], row["number"], row["author"], row["body"]))
    return said
