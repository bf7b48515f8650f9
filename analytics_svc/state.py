"""What the read model knows of a ticket: its columns, from an event or a line of the export."""

from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from analytics_svc.periods import day_of
from contracts.rest import Ticket
from contracts.text import cut
from contracts.vocabulary import NO_CATEGORY, Status

# Of a title, which is shown in a line.
TITLE_CHARACTERS = 200


class TicketState(NamedTuple):
    """The columns of `ticket_state`, in their order and without the generation."""

    id: int
    version: int
    opened_at: datetime
    opened_day: date
    closed_at: datetime | None
    status: str
    category: str
    title: str | None


def state_of(ticket: Ticket, zone: ZoneInfo) -> TicketState:
    """Return the state to keep; what people wrote is not kept beyond the closing."""
    return TicketState(
        ticket.id,
        ticket.version,
        ticket.opened_at,
        day_of(ticket.opened_at, zone),
        ticket.closed_at,
        ticket.status,
        ticket.category or NO_CATEGORY,
        None if ticket.status is Status.CLOSED else cut(ticket.title, TITLE_CHARACTERS),
    )
