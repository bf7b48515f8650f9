"""Helpdesk's work on many tickets of the list at once."""

from dataclasses import replace
from uuid import uuid4

from aiohttp import web

from contracts.fields import ID_MAX
from web.bulk import DEEDS, TICKETS_MAX, do_to_each
from web.forms import read_fields, read_number
from web.i18n import gettext
from web.keys import TICKET_API
from web.limits import LIMITS
from web.pages.tickets_page import TEMPLATE, ReportForm, load_page, read_filters, read_rows
from web.render import blocks_response, page_response, wants_fragment
from web.role import require_helpdesk
from web.said import redirect, sentence
from web.settings import Kind

# As many rows as can be shown may be ticked; beside them stand `do` and `rows`.
FIELDS_MAX = 520


async def change(request: web.Request) -> web.Response:
    """Do one thing to the ticked tickets, and go back to the list that the address names."""
    role = require_helpdesk(request)
    fields = await read_fields(request, FIELDS_MAX)
    form = dict(fields)
    # Each once, in the order of the list.
    ticket_ids = list(
        dict.fromkeys(read_number(value) for name, value in fields if name == "ticket")
    )
    filters = replace(read_filters(request.query), rows=read_rows(form))
    if form.get("do") not in DEEDS or not all(0 < i <= ID_MAX for i in ticket_ids):
        raise web.HTTPBadRequest
    if not 0 < len(ticket_ids) <= TICKETS_MAX:
        alert = (
            gettext("At most %(most)s tickets can be changed at once.") % {"most": TICKETS_MAX}
            if ticket_ids
            else gettext("Nothing is ticked: tick the tickets to change first.")
        )
        page = await load_page(request, role, filters, ReportForm(str(uuid4())))
        page = replace(page, alert=alert)
        if wants_fragment(request):
            return blocks_response(request, TEMPLATE, page, (), status=422)
        return page_response(request, TEMPLATE, page, status=422)
    request.app[LIMITS].take(request, Kind.WORK, len(ticket_ids))
    outcome = await do_to_each(request.app[TICKET_API], role, ticket_ids, form["do"])
    if not wants_fragment(request):
        return redirect(request, filters.address, outcome.code)
    page = await load_page(request, role, filters, ReportForm(str(uuid4())), sentence(outcome.code))
    return blocks_response(request, TEMPLATE, page, ["list"])
