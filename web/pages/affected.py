""" "I have this too": counts a browser at a ticket, once."""

from aiohttp import web

from web.browser import find_affected, read_key, remember_affected
from web.forms import read_form
from web.keys import TICKET_API
from web.pages.ticket_answers import done, read_ticket_id
from web.render import wants_fragment
from web.role import require_role
from web.said import set_said

# Where the button stands beside a text that is being typed, the answer leads to the ticket.
ELSEWHERE = "hints"


async def count(request: web.Request) -> web.Response:
    """Count the browser; pressed again, it says so and counts nothing."""
    role, ticket_id = require_role(request), read_ticket_id(request)
    form = await read_form(request)
    key = read_key(request, form.get("key", ""))
    await request.app[TICKET_API].count_affected(role, ticket_id, key)
    said = "affected again" if ticket_id in find_affected(request) else "affected"
    if wants_fragment(request) and ELSEWHERE in request.query:
        response = web.Response(headers={"HX-Redirect": f"/tickets/{ticket_id}"})
        set_said(request, response, said)
    else:
        response = await done(request, role, ticket_id, said, ["affected"], is_affected=True)
    remember_affected(request, response, key, ticket_id)
    return response
