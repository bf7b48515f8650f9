"""The stream of live updates, and what pages tell each other through it."""

import re

from aiohttp import web

from contracts.fields import ID_MAX
from web.forms import read_form, read_number
from web.i18n import current_language
from web.live import LIVE
from web.pages.report_question import read_question
from web.presence import PRESENCE
from web.reports import ANALYSES
from web.role import require_helpdesk, require_role
from web.streams import Place
from web.topics import LIST, ReportTopic, TicketTopic, Topic
from web.variant import Variant

PAGE_ID = re.compile(r"[0-9a-f]{16}")


async def show(request: web.Request) -> web.StreamResponse:
    """Stream what happens to the list, to one `ticket` or to one `report`, after the id `after`.

    The id that a browser sends when it comes back counts more than the one in the address. Of a
    ticket a page says which version it has `seen`, and gets what changed since.
    """
    variant = Variant(require_role(request, is_page=False), current_language())
    query = request.query
    last_id = request.headers.get("Last-Event-ID")
    place = Place(
        # An open page of the version before says `since`.
        position=read_number(last_id or query.get("after") or query.get("since")),
        seen=read_number(query.get("seen")),
        page=_read_page(query.get("page", "")),
        is_back=bool(last_id),
    )
    return request.app[LIVE].serve(request, _read_topic(request), variant, place)


async def tell_typing(request: web.Request) -> web.Response:
    """Tell who has the ticket open that somebody types in a page of it."""
    role = require_role(request)
    page = _read_page((await read_form(request)).get("page", ""))
    if not page:
        raise web.HTTPBadRequest
    topic = _read_ticket(request.match_info["id"])
    await request.app[PRESENCE].tell_typing(topic.ticket_id, page, role)
    return web.Response(status=204)


def _read_topic(request: web.Request) -> Topic:
    query = request.query
    if "report" in query:
        require_helpdesk(request)
        return _read_report(request)
    if "ticket" not in query:
        return LIST
    return _read_ticket(query["ticket"])


def _read_ticket(text: str) -> TicketTopic:
    ticket_id = read_number(text)
    if not 0 < ticket_id <= ID_MAX:
        raise web.HTTPNotFound
    return TicketTopic(ticket_id)


def _read_page(text: str) -> str:
    return text if PAGE_ID.fullmatch(text) else ""


def _read_report(request: web.Request) -> ReportTopic:
    analysis = request.query["report"]
    if analysis not in ANALYSES:
        raise web.HTTPNotFound
    question = read_question(request.query, analysis)
    if question.errors(analysis):
        raise web.HTTPBadRequest
    return ReportTopic(analysis, question)
