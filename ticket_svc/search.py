"""SQL over many tickets: pages, similar ones, counts, the export; searches are in `found.py`."""

# ruff: noqa: S608 - what is put together here are constants; every value is a parameter

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from contracts.rest import Counts, SimilarTicket, Ticket
from contracts.vocabulary import NO_CATEGORY
from ticket_svc.cursor import Cursor, Value
from ticket_svc.database import Connection
from ticket_svc.queries import ListQuery, Sort
from ticket_svc.store import TICKET_COLUMNS, to_ticket

# What is typed beyond this costs time and finds nothing more.
SIMILAR_TEXT_CHARACTERS = 300
# As the index has it, which holds no more of a dense text.
_BEGINNING = "left(description, 2000)"
# What the loop is held for: of the longest texts so many are 8 MB.
EXPORT_BATCH_ROWS = 200
# What a page is sorted by, worded as in its index, and where it starts: behind the cursor's ticket
# ($1 its value, $2 its id), or, without a cursor ($2 is 0), before all.
_ORDERS: dict[Sort, tuple[str, str]] = {
    "-opened_at": ("opened_at", "coalesce($1, 'infinity'::timestamptz)"),
    "opened_at": ("opened_at", "coalesce($1, '-infinity'::timestamptz)"),
    "-modified_at": ("modified_at", "coalesce($1, 'infinity'::timestamptz)"),
    "modified_at": ("modified_at", "coalesce($1, '-infinity'::timestamptz)"),
    "-affected": ("affected", f"coalesce($1, {2**63 - 1})"),
    "waiting_since": (
        "coalesce(waiting_since, 'infinity'::timestamptz)",
        "coalesce($1, CASE $2::bigint WHEN 0 THEN '-infinity' ELSE 'infinity' END::timestamptz)",
    ),
}


class Page(NamedTuple):
    """A part of the tickets in an order, as SQL; `bounds` are its parameters, $3 its LIMIT."""

    statuses: Sequence[str]
    categories: Sequence[str]
    sorted_by: str
    direction: str
    within: str
    bounds: tuple[Value, ...]
    limit: int

    @classmethod
    def of(
        cls, query: ListQuery, statuses: Sequence[str], categories: Sequence[str], more: int = 1
    ) -> "Page":
        """Return what a query wants, and `more` tickets, to tell whether another page follows.

        `statuses` and `categories` are the wanted ones, each at least one; NO_CATEGORY is one too.
        """
        descending = query.sort.startswith("-")
        comparison, direction = ("<", "DESC") if descending else (">", "ASC")
        sorted_by, beginning = _ORDERS[query.sort]
        start: Value
        if query.cursor:
            start, start_id = query.cursor.value, query.cursor.ticket_id
        elif sorted_by == "opened_at":
            # Said as a place to start, or PostgreSQL would read all that lies before the period.
            start, start_id = query.opened_to if descending else query.opened_from, 0
        else:
            start, start_id = None, 0
        limit = query.limit + more
        bounds: list[Value] = [start, start_id, limit]
        within = f"({sorted_by}, id) {comparison} ({beginning}, $2)"
        # Said only where it is asked for: a plan for any period would read the tickets by their
        # opening, whatever they are sorted by.
        for condition, end in ((">=", query.opened_from), ("<", query.opened_to)):
            if end:
                bounds.append(end)
                within += f" AND opened_at {condition} ${len(bounds)}"
        return cls(statuses, categories, sorted_by, direction, within, tuple(bounds), limit)

    @property
    def next_parameter(self) -> int:
        """Return the number of the first parameter after `bounds`."""
        return len(self.bounds) + 1

    def order(self, value: str, ticket_id: str = "id") -> str:
        """Return the ORDER BY for columns of these names."""
        return f"ORDER BY {value} {self.direction}, {ticket_id} {self.direction}"


def next_cursor(query: ListQuery, shown: Sequence[Ticket]) -> str:
    """Return the cursor behind what is shown of an order; behind nothing, the order's beginning."""
    if not shown:
        return Cursor(query.sort, None, 0).encode()
    value = getattr(shown[-1], query.sort.removeprefix("-"))
    return Cursor(query.sort, value, shown[-1].id).encode()


async def list_tickets(connection: Connection, page: Page) -> list[Ticket]:
    """Return the tickets of a page."""
    order = page.order(page.sorted_by)
    n = page.next_parameter
    # One short index probe for each wanted pair, then the best of them: as fast with a million
    # tickets as with a hundred, whichever pairs are rare.
    rows = await connection.fetch(
        f"""
        SELECT page.*
          FROM unnest(${n}::text[]) AS wanted_status
         CROSS JOIN unnest(${n + 1}::text[]) AS wanted_category
         CROSS JOIN LATERAL (
            SELECT {TICKET_COLUMNS} FROM ticket
             WHERE status = wanted_status AND coalesce(category, '{NO_CATEGORY}') = wanted_category
               AND {page.within}
            {order} LIMIT $3
         ) AS page
        {order} LIMIT $3
        """,
        *page.bounds,
        page.statuses,
        page.categories,
    )
    return [to_ticket(row) for row in rows]


async def list_similar(connection: Connection, text: str, limit: int) -> list[SimilarTicket]:
    """Return the open and active tickets whose words look most like the text's, best first.

    What they begin with is compared. Duplicates are left to their originals.
    """
    rows = await connection.fetch(
        f"""
        SELECT {TICKET_COLUMNS}, word_similarity($1, {_BEGINNING}) AS score
          FROM ticket
         WHERE status <> 'closed' AND duplicate_of IS NULL AND $1 <% {_BEGINNING}
         ORDER BY $1 <<-> {_BEGINNING}, id  -- of equals the index tells what it held before
         LIMIT $2
        """,
        text[:SIMILAR_TEXT_CHARACTERS],
        limit,
    )
    return [SimilarTicket(ticket=to_ticket(row), score=row["score"]) for row in rows]


async def fetch_counts(connection: Connection) -> Counts:
    """Return how many tickets stand at each status, without reading a ticket."""
    rows = await connection.fetch(
        "SELECT status, sum(n)::bigint AS n FROM ticket_count GROUP BY status"
    )
    return Counts(**{row["status"]: row["n"] for row in rows})


async def iterate_tickets(connection: Connection) -> AsyncIterator[list[Ticket]]:
    """Yield every ticket as of now, in batches, by id; memory stays small."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        cursor = await connection.cursor(f"SELECT {TICKET_COLUMNS} FROM ticket ORDER BY id")
        while rows := await cursor.fetch(EXPORT_BATCH_ROWS):
            yield [to_ticket(row) for row in rows]
