"""The rules of duplicates: helpdesk says that two tickets are about one problem, and takes it back.

Both tickets stay and no message moves. A duplicate points to a ticket that is none itself, so that
one step always leads to where helpdesk goes on.
"""

from contracts.rest import Ticket, Tickets
from contracts.vocabulary import Role, Status
from runtime.postgres import Database
from ticket_svc import store
from ticket_svc.errors import (
    DuplicateChain,
    Forbidden,
    Invalid,
    NotFound,
    bad_field,
    unknown_ticket,
)
from ticket_svc.tickets import VISIBLE, closed_to, fetch_visible


async def mark_duplicate(pool: Database, role: Role, ticket_id: int, original_id: int) -> Ticket:
    """Point a ticket to its original; a mark that is there already is no error and no change.

    Raises NotFound, Forbidden, TicketClosed, DuplicateChain, and Invalid for an original that is
    the ticket itself or does not exist.
    """
    _require_helpdesk(role)
    if ticket_id == original_id:
        raise Invalid(bad_field("ticket", "same_ticket", "must be another ticket"))
    async with pool.acquire() as connection, connection.transaction():
        # Both, so that no chain comes from two marks at once.
        locked = await store.lock_tickets(connection, ticket_id, original_id)
        ticket = _require_unclosed(role, ticket_id, locked)
        if (original := locked.get(original_id)) is None:
            raise Invalid(unknown_ticket("ticket", original_id))
        if ticket.duplicate_of == original_id:
            return ticket
        if original.duplicate_of:
            raise DuplicateChain(
                bad_field(
                    "ticket",
                    "is_duplicate",
                    "ticket {ticket} is a duplicate of {of} itself",
                    ticket=original_id,
                    of=original.duplicate_of,
                )
            )
        if own := await store.list_duplicates(connection, ticket_id):
            raise DuplicateChain(
                bad_field(
                    "ticket",
                    "has_duplicates",
                    "ticket {ticket} has duplicates itself, such as {duplicate}",
                    ticket=ticket_id,
                    duplicate=own[0].id,
                )
            )
        return await store.update_duplicate_of(connection, role, ticket, original_id)


async def unmark_duplicate(pool: Database, role: Role, ticket_id: int) -> Ticket:
    """Take the mark away; none is no error and no change.

    Raises NotFound, Forbidden and TicketClosed.
    """
    _require_helpdesk(role)
    async with pool.acquire() as connection, connection.transaction():
        ticket = _require_unclosed(role, ticket_id, await store.lock_tickets(connection, ticket_id))
        if ticket.duplicate_of is None:
            return ticket
        return await store.update_duplicate_of(connection, role, ticket, None)


async def list_duplicates(pool: Database, role: Role, ticket_id: int) -> Tickets:
    """Return the duplicates of a ticket that the role may see, oldest first.

    Raises NotFound and ClosedToUsers.
    """
    async with pool.acquire() as connection:
        await fetch_visible(connection, role, ticket_id)
        duplicates = await store.list_duplicates(connection, ticket_id)
    return Tickets(items=[ticket for ticket in duplicates if ticket.status in VISIBLE[role]])


def _require_helpdesk(role: Role) -> None:
    if role is not Role.HELPDESK:
        raise Forbidden(
            bad_field("duplicate_of", "duplicate_for_helpdesk", "only helpdesk marks duplicates")
        )


def _require_unclosed(role: Role, ticket_id: int, locked: dict[int, Ticket]) -> Ticket:
    if (ticket := locked.get(ticket_id)) is None:
        raise NotFound(unknown_ticket("id", ticket_id))
    if ticket.status is Status.CLOSED:
        raise closed_to(role, ticket)
    return ticket
