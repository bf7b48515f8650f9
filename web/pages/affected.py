""" "I have this too": counts a browser at a ticket, once."""

from aiohttp import web

from web.browser import BROWSER, find_affected, remember_affected
from web.forms import read_form
from web.keys import TICKET_API
from web.pages.ticket_answers import done, read_ticket_id
from web.render import wants_fragment
from web.role import require_role
from web.said import set_said

# Where the button stands beside a text that is being typed, the answer leads to the ticket.
ELSEWHERE = "hints"


async def count(request: web.Request) -> web.Response:
    """Count the browser; pressed again, it says so and counts nothing.

    That holds for a browser whose key is another one by now, too. One that has no key of ours gets
    it with the page, and is asked to press again.
    """
    role, ticket_id = require_role(request), read_ticket_id(request)
    await read_form(request)
    key = request[BROWSER]
    if key is None:
        said = "not known"
    elif ticket_id in find_affected(request):
        said = "affected again"
    else:
        await request.app[TICKET_API].count_affected(role, ticket_id, key)
        said = "affected"
    if wants_fragment(request) and ELSEWHERE in request.query:
        response = web.Response(headers={"HX-Redirect": f"/tickets/{ticket_id}"})
        set_said(request, response, said)
    else:
        is_affected = key is not None
        response = await done(request, role, ticket_id, said, ["affected"], is_affected=is_affected)
    if key:
        remember_affected(request, response, ticket_id)
    return response
