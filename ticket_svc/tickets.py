"""The rules: who may do what to a ticket, and when.

Owns connections and transactions; knows neither requests nor SQL. Every refusal is a `Refused`.
"""

from collections.abc import AsyncGenerator, Sequence
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel

from contracts.rest import (
    Counts,
    EditTicket,
    History,
    Message,
    Messages,
    OpenTicket,
    SendMessage,
    Ticket,
    TicketPage,
)
from contracts.vocabulary import EVERY_CATEGORY, MESSAGES_MAX, Category, Role, Status
from runtime.postgres import Database
from ticket_svc import search, searches, store
from ticket_svc.database import Connection, patient_transaction
from ticket_svc.errors import (
    ClosedToUsers,
    Forbidden,
    Invalid,
    KeyReused,
    Stale,
    ThreadFull,
    TicketClosed,
    WrongStep,
    bad_field,
)
from ticket_svc.parts import count_fitting
from ticket_svc.queries import HistoryQuery, ListQuery, ThreadQuery

ItemT = TypeVar("ItemT", bound=BaseModel)

VISIBLE = {
    Role.USER: (Status.OPEN, Status.ACTIVE),
    Role.HELPDESK: tuple(Status),
}


async def open_ticket(pool: Database, role: Role, report: OpenTicket, key: UUID | None) -> Ticket:
    """Open a ticket; the same key again answers the same ticket, as it stands now.

    Raises KeyReused where the key came with another report.
    """
    request_hash = _hash("ticket", report.model_dump_json()) if key else None
    async with pool.acquire() as connection:
        ticket = await store.insert_ticket(
            connection, role, report.description, report.category, key, request_hash
        )
        if ticket is not None:
            return ticket
        assert key is not None
        ticket, known_hash = await store.fetch_ticket_of_key(connection, key)
    _require_visible(role, ticket)
    if known_hash != request_hash:
        raise KeyReused(_KEY_ERROR, ticket=ticket)
    return ticket


async def get_ticket(pool: Database, role: Role, ticket_id: int) -> Ticket:
    """Return a ticket; raises NotFound, and ClosedToUsers."""
    async with pool.acquire() as connection:
        return await fetch_visible(connection, role, ticket_id)


async def list_tickets(pool: Database, role: Role, query: ListQuery) -> TicketPage:
    """Return a page of what the role may see; raises Forbidden for a status that it may not."""
    statuses = query.status or VISIBLE[role]
    if not set(statuses) <= set(VISIBLE[role]):
        raise Forbidden(
            bad_field("status", "closed_for_helpdesk", "closed tickets are for helpdesk")
        )
    if query.cursor and query.cursor.sort != query.sort:
        raise Invalid(
            bad_field("cursor", "other_sort", "belongs to sort={sort}", sort=query.cursor.sort)
        )
    categories: Sequence[str] = query.category or EVERY_CATEGORY
    filters = (query, sorted(set(statuses)), sorted(set(categories)))
    if query.q is not None:
        return await searches.list_tickets(pool, role, VISIBLE[role], *filters)
    async with pool.acquire() as connection:
        tickets = await search.list_tickets(connection, search.Page.of(*filters))
    items = tickets[: query.limit]
    items = items[: count_fitting(items)]
    more = len(tickets) > len(items)
    return TicketPage(items=items, next=search.next_cursor(query, items) if more else None)


async def count_tickets(pool: Database) -> Counts:
    """Return how many tickets stand at each status."""
    async with pool.acquire() as connection:
        return await search.fetch_counts(connection)


async def export_tickets(pool: Database, role: Role) -> AsyncGenerator[list[Ticket], None]:
    """Yield every ticket in batches; raises Forbidden before the first for a user."""
    if role is not Role.HELPDESK:
        raise Forbidden
    async with pool.acquire() as connection:
        async for batch in search.iterate_tickets(connection):
            yield batch


async def edit_ticket(
    pool: Database, role: Role, ticket_id: int, edit: EditTicket, versions: frozenset[int] | None
) -> Ticket:
    """Edit the fields that are given; each that really changes is a version of its own.

    `versions` are those that the edit may replace, None for any. Raises NotFound, Forbidden,
    TicketClosed, Stale, and Invalid for an edit of nothing.
    """
    given = edit.model_dump(exclude_unset=True)
    if not given:
        raise Invalid(bad_field("body", "nothing_given", "must hold description or category"))
    if empty := [name for name, value in given.items() if value is None]:
        raise Invalid(*(bad_field(name, "null", "must not be null") for name in empty))
    if edit.category and role is not Role.HELPDESK:
        raise Forbidden(
            bad_field("category", "category_for_helpdesk", "only helpdesk corrects a category")
        )
    async with pool.acquire() as connection, connection.transaction():
        ticket = await store.fetch_ticket(connection, ticket_id, lock=True)
        if ticket.status is Status.CLOSED:
            raise closed_to(role, ticket)
        if versions is not None and ticket.version not in versions:
            raise Stale(ticket=ticket)
        if edit.description not in (None, ticket.description):
            ticket = await store.update_description(connection, role, ticket, edit.description)
        if edit.category not in (None, ticket.category):
            ticket = await store.correct_category(connection, role, ticket, edit.category)
    return ticket


async def move_ticket(pool: Database, role: Role, ticket_id: int, status: Status) -> Ticket:
    """Move a ticket one step forward; a step already made is no error and no change.

    Raises NotFound, Forbidden and WrongStep.
    """
    if role is not Role.HELPDESK:
        raise Forbidden(bad_field("status", "status_for_helpdesk", "only helpdesk moves a ticket"))
    async with pool.acquire() as connection:
        if status.step_before:
            moved = await store.update_status(
                connection, role, ticket_id, status.step_before, status
            )
            if moved:
                return moved
        ticket = await store.fetch_ticket(connection, ticket_id)
    if ticket.status is not status:
        raise WrongStep(
            bad_field(
                "status",
                "wrong_step",
                "must not become {after} from {before}",
                before=ticket.status,
                after=status,
            ),
            ticket=ticket,
        )
    return ticket


async def count_affected(pool: Database, role: Role, ticket_id: int, browser: UUID) -> Ticket:
    """Count a browser whose reader has the problem too; once more is no error and no change.

    Raises NotFound and TicketClosed.
    """
    async with pool.acquire() as connection:
        counted = await store.insert_affected(connection, role, ticket_id, browser)
        if counted is not None:
            return counted
        ticket = await store.fetch_ticket(connection, ticket_id)
    if ticket.status is Status.CLOSED:
        raise closed_to(role, ticket)
    return ticket


async def categorise_ticket(pool: Database, ticket_id: int, category: Category) -> None:
    """Take the classifier's late answer, unless somebody was faster; raises NotFound."""
    async with patient_transaction(pool) as connection:
        if await store.assign_category(connection, ticket_id, category) is None:
            await store.fetch_ticket(connection, ticket_id)


async def send_message(
    pool: Database, role: Role, ticket_id: int, message: SendMessage, key: UUID | None
) -> Message:
    """Put a message under a ticket; the same key again answers the same message.

    Raises NotFound, TicketClosed, ThreadFull, and KeyReused where the key came with another one.
    """
    request_hash = _hash("message", str(ticket_id), role, message.body) if key else None
    async with pool.acquire() as connection:
        sent = await store.insert_message(
            connection, role, ticket_id, message.body, key, request_hash
        )
        if sent is not None:
            return sent
        if key and (known := await store.find_message_of_key(connection, key)):
            sent, known_hash = known
            if known_hash != request_hash:
                raise KeyReused(_KEY_ERROR)
            return sent
        ticket = await store.fetch_ticket(connection, ticket_id)
    if ticket.status is Status.CLOSED:
        raise closed_to(role, ticket)
    raise ThreadFull(
        bad_field(
            "body",
            "thread_full",
            "does not fit: a ticket holds at most {max} messages",
            max=MESSAGES_MAX[role],
        )
    )


async def list_messages(pool: Database, role: Role, ticket_id: int, query: ThreadQuery) -> Messages:
    """Return a ticket's thread, oldest first; raises NotFound and ClosedToUsers."""
    async with pool.acquire() as connection:
        await fetch_visible(connection, role, ticket_id)
        found = await store.list_messages(connection, ticket_id, query.before, query.limit + 1)
    items = _last_part(found, query.limit)
    if len(items) < len(found):
        return Messages(items=items, earlier=items[0].id)
    return Messages(items=items, earlier=None) if _is_part(query) else Messages(items=items)


async def list_history(pool: Database, role: Role, ticket_id: int, query: HistoryQuery) -> History:
    """Return what happened to a ticket, oldest first; raises NotFound and ClosedToUsers."""
    async with pool.acquire() as connection:
        await fetch_visible(connection, role, ticket_id)
        found = await store.list_history(connection, ticket_id, query.before, query.limit + 1)
    items = _last_part(found, query.limit)
    if len(items) < len(found):
        return History(items=items, earlier=items[0].version)
    return History(items=items, earlier=None) if _is_part(query) else History(items=items)


def _last_part(found: list[ItemT], limit: int) -> list[ItemT]:
    last = found[-limit:]
    return last[len(last) - count_fitting(last[::-1]) :]


def _is_part(query: ThreadQuery | HistoryQuery) -> bool:
    """Tell whether a part was asked for; who wants the whole, and gets it, gets `items` alone."""
    return "limit" in query.model_fields_set


_KEY_ERROR = bad_field("Idempotency-Key", "key_reused", "was used for another request")


def _hash(*request: str) -> bytes:
    return sha256("\n".join(request).encode()).digest()


async def fetch_visible(connection: Connection, role: Role, ticket_id: int) -> Ticket:
    """Return a ticket that the role may see; raises NotFound and ClosedToUsers."""
    ticket = await store.fetch_ticket(connection, ticket_id)
    _require_visible(role, ticket)
    return ticket


def _require_visible(role: Role, ticket: Ticket) -> None:
    if ticket.status not in VISIBLE[role]:
        raise ClosedToUsers(closed_at=ticket.closed_at)


def closed_to(role: Role, ticket: Ticket) -> TicketClosed:
    """Return the refusal to change a closed ticket."""
    # The text of a closed ticket is not for users.
    return TicketClosed(
        ticket=ticket if role is Role.HELPDESK else None, closed_at=ticket.closed_at
    )
