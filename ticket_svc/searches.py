"""The rules of a search: what it may cost, which ticket comes first, what is marked.

Owns its connection; knows neither requests nor SQL. Whoever asks, each part of it has an end.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence

from contracts.fields import ID_MAX, find_ticket_number
from contracts.rest import Hit, Ticket, TicketPage
from contracts.vocabulary import Role, Status
from runtime.postgres import Database
from ticket_svc import found, known, store
from ticket_svc.database import Connection
from ticket_svc.errors import Invalid, bad_field
from ticket_svc.hits import Marker, Said
from ticket_svc.parts import count_fitting
from ticket_svc.queries import ListQuery
from ticket_svc.search import Page, next_cursor
from ticket_svc.wanted import Wanted

# A search for usual words takes a hundredth of this. The connection is free for others then, and
# web has not given up waiting yet.
SEARCH_SECONDS = 1.5
# What marks need beside the tickets; without them pages are whole.
SAID_SECONDS = 0.5
# Of the event loop, for one page; usual texts take a tenth of this. What is not marked then is
# shown unmarked.
MARK_CPU_SECONDS = 0.03
STEP_CPU_SECONDS = 0.005


async def list_tickets(
    pool: Database,
    role: Role,
    visible: Sequence[Status],
    query: ListQuery,
    statuses: Sequence[str],
    categories: Sequence[str],
) -> TicketPage:
    """Return what has the words; before all, whatever the filters, the ticket that is named.

    A text such as "57" or "#57" names a ticket, which then is on the first page only. Raises
    Invalid for words that cannot be searched for in time.
    """
    text = query.q or ""
    async with pool.acquire() as connection:
        named = await _find_named(connection, visible, text)
        first = [named] if named and not query.cursor else []
        page = Page.of(query, statuses, categories, more=2 if named else 1)
        try:
            async with asyncio.timeout(SEARCH_SECONDS) as deadline:
                wanted = await known.list_wanted(connection, role, text)
                tickets = await found.list_tickets(connection, page, wanted)
        except TimeoutError:
            if not deadline.expired():
                raise
            reason = "takes too long with these words: try longer ones"
            raise Invalid(bad_field("q", "too_broad", reason)) from None
        others = [ticket for ticket in tickets if named is None or ticket.id != named.id]
        shown = others[: query.limit - len(first)]
        items = first + shown
        said = await _list_said(connection, items, wanted)
    hits = await _list_hits(items, said, wanted)
    n = count_fitting(items, hits)
    shown = shown[: n - len(first)]
    return TicketPage(
        items=items[:n],
        hits=hits[:n],
        next=next_cursor(query, shown) if len(others) > len(shown) else None,
    )


async def _find_named(
    connection: Connection, visible: Sequence[Status], text: str
) -> Ticket | None:
    number = find_ticket_number(text) or 0
    named = await store.find_ticket(connection, number) if 0 < number <= ID_MAX else None
    return named if named and named.status in visible else None


async def _list_said(
    connection: Connection, tickets: Sequence[Ticket], wanted: Sequence[Wanted]
) -> Mapping[int, Said]:
    ids = [ticket.id for ticket in tickets if ticket.messages]
    if not ids or not wanted:
        return {}
    try:
        async with asyncio.timeout(SAID_SECONDS) as deadline:
            return await found.list_said(connection, ids, wanted)
    except TimeoutError:
        if not deadline.expired():
            raise
        return {}


async def _list_hits(
    tickets: Sequence[Ticket], said: Mapping[int, Said], wanted: Sequence[Wanted]
) -> list[Hit]:
    marker = Marker(wanted)
    spent = paused = 0.0
    hits = []
    for ticket in tickets:
        if spent > MARK_CPU_SECONDS:
            marker = Marker(())
        started = time.thread_time()
        hits.append(marker.hit(ticket, said.get(ticket.id)))
        spent += time.thread_time() - started
        if spent - paused > STEP_CPU_SECONDS:
            paused = spent
            await asyncio.sleep(0)  # others come in between
    return hits
