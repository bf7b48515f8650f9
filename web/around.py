"""What stands around a ticket: what it is a duplicate of, its own duplicates, and similar tickets.

A ticket is read without them too: what cannot be had is left out. Similar tickets take longer to
find than all the rest of a page, and are asked for apart.
"""

from dataclasses import dataclass
from datetime import datetime

from contracts.rest import SimilarTicket, Ticket
from contracts.vocabulary import Role, Status
from web.ticket_api import ApiError, TicketApi, Unavailable


@dataclass(frozen=True, kw_only=True)
class Original:
    """The ticket where helpdesk goes on; of a closed one users learn only that and when."""

    id: int
    description: str = ""
    closed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Around:
    """The original of a ticket, and for helpdesk its duplicates; at most one of both."""

    original: Original | None = None
    duplicates: tuple[Ticket, ...] = ()


async def find_around(api: TicketApi, role: Role, ticket: Ticket) -> Around:
    """Return what the role may see around a ticket."""
    if ticket.duplicate_of is not None:
        return Around(original=await _find_original(api, role, ticket.duplicate_of))
    if role is not Role.HELPDESK:
        return Around()
    try:
        return Around(duplicates=tuple(await api.duplicates(role, ticket.id)))
    except (ApiError, Unavailable):
        return Around()


async def find_similar(
    api: TicketApi, role: Role, ticket_id: int
) -> tuple[SimilarTicket, ...] | None:
    """Return the tickets that are most like one, None where that cannot be had."""
    try:
        return tuple(await api.similar_to(role, ticket_id))
    except (ApiError, Unavailable):
        return None


def may_be_marked(ticket: Ticket) -> bool:
    """Tell whether helpdesk can mark a ticket as a duplicate."""
    return ticket.status is not Status.CLOSED and ticket.duplicate_of is None


async def _find_original(api: TicketApi, role: Role, original_id: int) -> Original:
    try:
        found = await api.ticket(role, original_id)
    except ApiError as error:
        return Original(id=original_id, closed_at=error.problem.closed_at)
    except Unavailable:
        return Original(id=original_id)
    return Original(id=found.id, description=found.description, closed_at=found.closed_at)
