"""Leads helpdesk from one ticket to the next that waits, without the list in between."""

import asyncio

from aiohttp import web

from contracts.rest import Ticket
from contracts.vocabulary import Role, Status
from web.forms import read_number
from web.keys import TICKET_API
from web.role import require_helpdesk
from web.said import redirect
from web.ticket_api import TicketApi

# Of each status; who works further down starts again with those that wait longest.
LOOKED_AT = 50


async def show(request: web.Request) -> web.Response:
    """Redirect to the ticket that waits longest; open ones come before active ones.

    From a ticket that waits itself it goes on to the one behind it, so that those who leave some
    unanswered come past all of them.
    """
    role = require_helpdesk(request)
    after = read_number(request.query.get("after"))
    found = await _find_waiting(request.app[TICKET_API], role)
    ids = [ticket.id for ticket in found]
    at = ids.index(after) if after in ids else -1
    following = next((i for i in ids[at + 1 :] + ids if i != after), None)
    if following is None:
        return redirect(request, "/tickets", "nothing waits")
    raise web.HTTPSeeOther(f"/tickets/{following}")


async def _find_waiting(api: TicketApi, role: Role) -> list[Ticket]:
    order = [("sort", "waiting_since"), ("limit", str(LOOKED_AT))]
    pages = await asyncio.gather(
        *(
            api.list_tickets(role, [("status", status), *order])
            for status in (Status.OPEN, Status.ACTIVE)
        )
    )
    return [ticket for page in pages for ticket in page.items if ticket.waiting_since]
