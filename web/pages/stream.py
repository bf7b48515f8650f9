"""The stream of live updates."""

from aiohttp import web

from web.forms import read_number
from web.keys import LIVE
from web.role import require_role


async def show(request: web.Request) -> web.StreamResponse:
    """Stream which tickets change, of one ticket with `ticket`, after the event id `since`.

    The id that a browser sends when it comes back counts more than the one in the address.
    """
    require_role(request)
    since = request.headers.get("Last-Event-ID") or request.query.get("since")
    ticket_id = read_number(request.query.get("ticket")) or None
    return await request.app[LIVE].serve(request, read_number(since), ticket_id)
