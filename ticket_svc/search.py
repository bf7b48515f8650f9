"""SQL over many tickets: pages, similar ones, counts, the export; searches are in `found.py`."""

# ruff: noqa: S608 - what is put together here are constants; every value is a parameter

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from contracts.rest import Counts, SimilarTicket, Ticket
from contracts.vocabulary import NO_CATEGORY
from ticket_svc.cursor import Value
from ticket_svc.database import Connection
from ticket_svc.queries import ListQuery, Sort
from ticket_svc.store import TICKET_COLUMNS, to_ticket

# What is typed beyond this costs time and finds nothing more.
SIMILAR_TEXT_CHARACTERS = 300
EXPORT_BATCH_ROWS = 1_000
# What a page is sorted by, worded as in its index, and where it starts: behind the cursor's ticket
# ($3 its value, $4 its id), or, without a cursor ($4 is 0), before all.
_ORDERS: dict[Sort, tuple[str, str]] = {
    "-opened_at": ("opened_at", "coalesce($3, 'infinity'::timestamptz)"),
    "opened_at": ("opened_at", "coalesce($3, '-infinity'::timestamptz)"),
    "-modified_at": ("modified_at", "coalesce($3, 'infinity'::timestamptz)"),
    "modified_at": ("modified_at", "coalesce($3, '-infinity'::timestamptz)"),
    "-affected": ("affected", f"coalesce($3, {2**63 - 1})"),
    "waiting_since": (
        "coalesce(waiting_since, 'infinity'::timestamptz)",
        "coalesce($3, CASE $4::bigint WHEN 0 THEN '-infinity' ELSE 'infinity' END::timestamptz)",
    ),
}


class Page(NamedTuple):
    """A part of the tickets in an order, as SQL; `bounds` are its parameters from $3 on."""

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
        return cls(
            statuses,
            categories,
            sorted_by,
            direction,
            f"({sorted_by}, id) {comparison} ({beginning}, $4)"
            " AND opened_at >= coalesce($5, '-infinity'::timestamptz)"
            " AND opened_at < coalesce($6, 'infinity'::timestamptz)",
            (start, start_id, query.opened_from, query.opened_to, limit),
            limit,
        )

    def order(self, value: str, ticket_id: str = "id") -> str:
        """Return the ORDER BY for columns of these names."""
        return f"ORDER BY {value} {self.direction}, {ticket_id} {self.direction}"


async def list_tickets(connection: Connection, page: Page) -> list[Ticket]:
    """Return the tickets of a page."""
    order = page.order(page.sorted_by)
    # One short index probe for each wanted pair, then the best of them: as fast with a million
    # tickets as with a hundred, whichever pairs are rare.
    rows = await connection.fetch(
        f"""
        SELECT page.*
          FROM unnest($1::text[]) AS wanted_status
         CROSS JOIN unnest($2::text[]) AS wanted_category
         CROSS JOIN LATERAL (
            SELECT {TICKET_COLUMNS} FROM ticket
             WHERE status = wanted_status AND coalesce(category, '{NO_CATEGORY}') = wanted_category
               AND {page.within}
            {order} LIMIT $7
         ) AS page
        {order} LIMIT $7
        """,
        page.statuses,
        page.categories,
        *page.bounds,
    )
    return [to_ticket(row) for row in rows]


async def list_similar(connection: Connection, text: str, limit: int) -> list[SimilarTicket]:
    """Return the open and active tickets whose words look most like the text's, best first.

    Duplicates are left to their originals.
    """
    rows = await connection.fetch(
        f"""
        SELECT {TICKET_COLUMNS}, word_similarity($1, description) AS score
          FROM ticket
         WHERE status <> 'closed' AND duplicate_of IS NULL AND $1 <% description
         ORDER BY $1 <<-> description
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
