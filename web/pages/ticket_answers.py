"""How everything that changes a ticket answers: with its page, or with the blocks that changed.

Changes nothing; text that is being typed is never replaced.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from aiohttp import web

from contracts.fields import ID_MAX
from contracts.rest import Reply as CannedReply
from contracts.vocabulary import Role
from web.browser import find_affected
from web.forms import html_bytes
from web.keys import TICKET_API
from web.pages.ticket_page import (
    LIVE_BLOCKS,
    TEMPLATE,
    Editor,
    Marking,
    Reply,
    TicketPage,
    load_page,
    make_closed_page,
)
from web.render import blocks_response, page_response, wants_fragment
from web.said import redirect, sentence
from web.ticket_api import ApiError, TicketApi, Unavailable

# All replies that there may be, with titles of usual letters.
OPTIONS_MAX_BYTES = 30_000
OPTION_BYTES = 45
# Where the focus goes after a change that takes away the button that was pressed.
FOCUS_AFTER = {
    "description": "editor",
    "theirs": "editor",
    "closed": "next",
    "affected": "affected",
    "affected again": "affected",
} | dict.fromkeys(("active", "duplicate", "no duplicate"), "title")


def read_ticket_id(request: web.Request) -> int:
    """Return the number in the address; raises HTTPNotFound for one that no ticket can have."""
    ticket_id = int(request.match_info["id"])
    if ticket_id > ID_MAX:
        raise web.HTTPNotFound
    return ticket_id


async def load_whole(request: web.Request, role: Role, ticket_id: int) -> TicketPage:
    """Return the page with what only this browser, or only a whole page, has."""
    page, canned = await asyncio.gather(
        load_page(request.app, role, ticket_id), _find_canned(request.app[TICKET_API], role)
    )
    return replace(page, canned=canned, is_affected=ticket_id in find_affected(request))


async def _find_canned(api: TicketApi, role: Role) -> tuple[CannedReply, ...]:
    if role is not Role.HELPDESK:
        return ()
    try:
        replies = await api.replies(role)
    except (ApiError, Unavailable):
        return ()
    sizes = accumulate(html_bytes(reply.title) + OPTION_BYTES for reply in replies)
    return tuple(
        reply for reply, size in zip(replies, sizes, strict=True) if size <= OPTIONS_MAX_BYTES
    )


def blocks(
    request: web.Request,
    page: TicketPage,
    names: Sequence[str],
    replaced: Sequence[str] = (),
    status: int = 200,
) -> web.Response:
    """Return blocks of the page for htmx."""
    return blocks_response(request, TEMPLATE, page, names, replaced=replaced, status=status)


async def done(
    request: web.Request,
    role: Role,
    ticket_id: int,
    said: str,
    replaced: Sequence[str] = (),
    *,
    is_affected: bool = False,
    query: str = "",
) -> web.Response:
    """Answer a change that was made; `replaced` are the forms that start afresh."""
    if not wants_fragment(request):
        return redirect(request, f"/tickets/{ticket_id}{query}", said)
    page = await load_whole(request, role, ticket_id)
    page = replace(
        page,
        said=sentence(said),
        focus=FOCUS_AFTER.get(said, ""),
        is_affected=page.is_affected or is_affected,
    )
    names = dict.fromkeys((*LIVE_BLOCKS, *replaced))
    return blocks(request, page, list(names), replaced)


async def again(
    request: web.Request,
    role: Role,
    ticket_id: int,
    status: int,
    names: Sequence[str],
    *,
    editor: Editor | None = None,
    reply: Reply | None = None,
    marking: Marking | None = None,
    alert: str = "",
) -> web.Response:
    """Answer a change that was not made, with the typed text."""
    page = await load_whole(request, role, ticket_id)
    page = replace(
        page,
        editor=editor or page.editor,
        reply=reply or page.reply,
        marking=marking or page.marking,
        alert=alert,
    )
    if wants_fragment(request):
        return blocks(request, page, names, () if alert else names, status)
    return page_response(request, TEMPLATE, page, status=status)


def closed_response(
    request: web.Request, role: Role, ticket_id: int, error: ApiError
) -> web.Response:
    """Answer a user who looks at a closed ticket: that it was closed, and when, is all."""
    page = make_closed_page(role, ticket_id, error)
    if wants_fragment(request):
        # A text that is being typed stays where it is; it can still be copied.
        return blocks_response(request, "closed.html", page, LIVE_BLOCKS)
    return page_response(request, "closed.html", page)
