"""What stands around a ticket: what it is a duplicate of, its own duplicates, and similar tickets.

A ticket is read without them too: what cannot be had is left out.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from contracts.rest import SimilarTicket, Ticket
from contracts.vocabulary import Role, Status
from web.ticket_api import ApiError, TicketApi, Unavailable

FoundT = TypeVar("FoundT")


@dataclass(frozen=True, kw_only=True)
class Original:
    """The ticket where helpdesk goes on; of a closed one users learn only that and when."""

    id: int
    description: str = ""
    closed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Around:
    """`duplicates` and `similar` are helpdesk's; `similar` is None where it cannot be had."""

    original: Original | None = None
    duplicates: tuple[Ticket, ...] = ()
    similar: tuple[SimilarTicket, ...] | None = ()


async def find_around(api: TicketApi, role: Role, ticket: Ticket) -> Around:
    """Return what the role may see around a ticket, asked for at the same time."""
    if role is not Role.HELPDESK:
        return Around(original=await _find_original(api, role, ticket))
    original, duplicates, similar = await asyncio.gather(
        _find_original(api, role, ticket),
        _find(api.duplicates(role, ticket.id)),
        _find(api.similar_to(role, ticket.id)) if may_be_marked(ticket) else _nothing(),
    )
    return Around(
        original=original,
        duplicates=tuple(duplicates or ()),
        similar=None if similar is None else tuple(similar),
    )


def may_be_marked(ticket: Ticket) -> bool:
    """Tell whether helpdesk can mark a ticket as a duplicate."""
    return ticket.status is not Status.CLOSED and ticket.duplicate_of is None


async def _find_original(api: TicketApi, role: Role, ticket: Ticket) -> Original | None:
    if ticket.duplicate_of is None:
        return None
    try:
        found = await api.ticket(role, ticket.duplicate_of)
    except ApiError as error:
        return Original(id=ticket.duplicate_of, closed_at=error.problem.closed_at)
    except Unavailable:
        return Original(id=ticket.duplicate_of)
    return Original(id=found.id, description=found.description, closed_at=found.closed_at)


async def _find(question: Awaitable[list[FoundT]]) -> list[FoundT] | None:
    try:
        return await question
    except (ApiError, Unavailable):
        return None


async def _nothing() -> list[SimilarTicket]:
    return []
