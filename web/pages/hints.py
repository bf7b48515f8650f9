"""What helps a reporter while typing: the category it will get, and tickets like it.

Only hints: a part that fails or is slow is left out, and nothing is ever blocked by them.
"""

import asyncio
from dataclasses import dataclass

from aiohttp import web

from contracts.messages import Classification
from contracts.rest import SimilarTicket
from contracts.vocabulary import Role
from web.classify import find_category
from web.keys import RENDERER, RPC, TICKET_API
from web.render import Page, html_response
from web.role import require_role
from web.ticket_api import ApiError, TicketApi, Unavailable

# A word or two say too little to compare; a beginning says enough.
TEXT_MIN_CHARACTERS = 8
TEXT_MAX_CHARACTERS = 1_000
BECAUSE_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class HintsPage(Page):
    classification: Classification | None = None
    similar: tuple[SimilarTicket, ...] = ()

    @property
    def because(self) -> list[str]:
        return self.classification.because[:BECAUSE_SHOWN] if self.classification else []


async def show(request: web.Request) -> web.Response:
    """Return the fragment under the text that is being typed."""
    role = require_role(request)
    text = request.query.get("text", "").strip()[:TEXT_MAX_CHARACTERS]
    page = HintsPage(role=role)
    if len(text) >= TEXT_MIN_CHARACTERS:
        classification, similar = await asyncio.gather(
            find_category(request.app[RPC], text),
            _find_similar(request.app[TICKET_API], role, text),
        )
        page = HintsPage(role=role, classification=classification, similar=similar)
    return html_response(request, request.app[RENDERER].page("hints.html", page))


async def _find_similar(api: TicketApi, role: Role, text: str) -> tuple[SimilarTicket, ...]:
    try:
        return tuple(await api.similar(role, text))
    except (ApiError, Unavailable):
        return ()
