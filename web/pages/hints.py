"""What helps a reporter while typing: the category it will get, and tickets like it.

Only hints: a part that fails or is slow is left out, and nothing is ever blocked by them.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from aiohttp import web

from contracts.messages import Classification
from contracts.rest import SimilarTicket
from contracts.vocabulary import Role
from runtime.abandoned import while_awaited
from web.browser import find_affected
from web.classify import find_category
from web.keys import RENDERER, RPC, TICKET_API
from web.render import Page, html_response
from web.role import require_role
from web.ticket_api import ApiError, TicketApi, Unavailable

# A word or two say too little to compare; a beginning says enough.
TEXT_MIN_CHARACTERS = 8
TEXT_MAX_CHARACTERS = 1_000


@dataclass(frozen=True, kw_only=True)
class HintsPage(Page):
    guess: Classification | None = None
    similar: tuple[SimilarTicket, ...] = ()
    affected: tuple[int, ...] = ()
    now: datetime


async def show(request: web.Request) -> web.Response:
    """Return the fragment under the text that is being typed.

    Browsers abandon it with the next letters; then nobody works on it any more.
    """
    role = require_role(request)
    text = request.query.get("text", "").strip()[:TEXT_MAX_CHARACTERS]
    page = HintsPage(role=role, affected=tuple(find_affected(request)), now=datetime.now(UTC))
    if len(text) >= TEXT_MIN_CHARACTERS:
        page = await while_awaited(request, _load(request, page, role, text))
    return html_response(request, request.app[RENDERER].page("hints.html", page))


async def _load(request: web.Request, page: HintsPage, role: Role, text: str) -> HintsPage:
    guess, similar = await asyncio.gather(
        find_category(request.app[RPC], text),
        _find_similar(request.app[TICKET_API], role, text),
    )
    return replace(page, guess=guess, similar=similar)


async def _find_similar(api: TicketApi, role: Role, text: str) -> tuple[SimilarTicket, ...]:
    try:
        return tuple(await api.similar(role, text))
    except (ApiError, Unavailable):
        return ()
