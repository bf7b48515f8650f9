"""The list of tickets, and the form that reports a problem."""

from uuid import uuid4

from aiohttp import web

from contracts.rest import Ticket
from contracts.vocabulary import Role
from web.classify import find_category
from web.forms import key_of, read_form
from web.keys import RENDERER, RPC, TICKET_API
from web.pages.tickets_page import (
    TEMPLATE,
    Filters,
    ReportForm,
    load_page,
    make_page,
    read_filters,
)
from web.pages.unsent import require_short
from web.refusals import say_text
from web.render import (
    blocks_response,
    html_response,
    page_response,
    partial,
    wants_fragment,
)
from web.role import require_role
from web.said import find_said, forget_said, redirect, set_said
from web.ticket_api import ApiError

KEY_REUSED = "idempotency_key_reused"


async def show(request: web.Request) -> web.Response:
    """Show the list; htmx gets the list alone, or the rows that follow a cursor."""
    role = require_role(request)
    filters = read_filters(request.query)
    is_whole = not wants_fragment(request)
    said = find_said(request) if is_whole else ""
    page = await load_page(request, role, filters, ReportForm(str(uuid4())), said)
    status = 422 if page.alert else 200
    if is_whole:
        response = page_response(request, TEMPLATE, page, status=status)
        if said:
            forget_said(request, response)
        return response
    if filters.cursor:
        more = request.app[RENDERER].block(TEMPLATE, "more", page)
        html = partial("rows", page.rows, "beforeend") + partial("more", more, "outerHTML")
        return html_response(request, html, status)
    response = blocks_response(request, TEMPLATE, page, ["list"], status=status)
    response.headers["HX-Push-Url"] = filters.address
    return response


async def report(request: web.Request) -> web.Response:
    """Open a ticket and go to it; the same form and text again lead to the same ticket."""
    role = require_role(request)
    form = await read_form(request)
    text, key = form.get("text", ""), form.get("key", "")
    try:
        ticket = await _open(request, role, text, key)
    except ApiError as error:
        if error.problem.status != 422:
            raise
        why = say_text(error.problem)
        require_short(request, why, text)
        return await _invalid(request, role, ReportForm(key, text, why))
    location = f"/tickets/{ticket.id}"
    if wants_fragment(request):
        response = web.Response(headers={"HX-Redirect": location})
        set_said(request, response, "reported")
        return response
    return redirect(request, location, "reported")


async def _open(request: web.Request, role: Role, text: str, key: str) -> Ticket:
    found = await find_category(request.app[RPC], text)
    category = found.category if found else None
    try:
        return await request.app[TICKET_API].open_ticket(role, text, category, key_of(key, text))
    except ApiError as error:
        # The form was sent before, and the classifier says something else now than it did then.
        if error.problem.code == KEY_REUSED and error.problem.ticket:
            return error.problem.ticket
        raise


async def _invalid(request: web.Request, role: Role, form: ReportForm) -> web.Response:
    if wants_fragment(request):
        page = make_page(request, role, Filters(), form)
        return blocks_response(request, TEMPLATE, page, ["report"], replaced=["report"], status=422)
    page = await load_page(request, role, Filters(), form)
    return page_response(request, TEMPLATE, page, status=422)
