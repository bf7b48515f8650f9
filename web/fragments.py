"""What live updates put into open pages: parts of the pages' own templates.

A fragment goes to many browsers at once, so it depends on nothing but its subject and the variant.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from aiohttp import web

from contracts.fields import format_instant
from contracts.rest import Counts, Ticket
from contracts.vocabulary import Role, Status
from web.filters import number, title
from web.i18n import Language, speaking
from web.keys import RENDERER, TICKET_API
from web.pages.analytics import TEMPLATE as REPORT
from web.pages.report_page import AnalyticsPage, load_view, make_page
from web.pages.report_question import Question
from web.pages.ticket_page import LIVE_BLOCKS as TICKET_BLOCKS
from web.pages.ticket_page import ClosedPage, TicketPage, load_page, make_closed_page
from web.pages.ticket_update import update_html, whole_html
from web.render import blocks_html, partial
from web.ticket_api import ApiError
from web.variant import Variant


class Others(NamedTuple):
    """Who else is at a ticket: the roles of those who type, and whether helpdesk has it open."""

    typing: frozenset[Role]
    is_open: bool


class Fragments:
    """Loads the subjects of an application's pages and renders them."""

    def __init__(self, app: web.Application) -> None:
        self._app = app

    def freshness(self, variant: Variant) -> str:
        """Return up to when a page that gets this knows everything."""
        with speaking(variant.language):
            html = self._app[RENDERER].fragment("freshness.html", now=datetime.now(UTC))
        return partial("freshness", html, "outerMorph")

    def row(self, ticket: Ticket, variant: Variant) -> str:
        """Return the ticket's row; of a closed one users get its number only."""
        renderer = self._app[RENDERER]
        with speaking(variant.language):
            if is_hidden(ticket, variant):
                html = renderer.fragment("closed_row.html", ticket=ticket)
            else:
                html = renderer.rows([ticket], variant.role, datetime.now(UTC))
        return partial(f"t{ticket.id}", html, "outerMorph")

    def facts(self, ticket: Ticket, variant: Variant) -> str:
        """Return by what a list decides whether it would show the ticket, as JSON.

        Of a closed one users get no more than that: no list of theirs shows it.
        """
        facts: dict[str, str | int] = {"id": ticket.id, "status": ticket.status}
        if not is_hidden(ticket, variant):
            facts["category"] = ticket.category or "none"
            facts["opened_at"] = format_instant(ticket.opened_at)
            facts["title"] = title(ticket.description)
        return json.dumps(facts, ensure_ascii=False)

    async def load_counts(self) -> Counts:
        """Return how many tickets stand at each status, for every role; raises Unavailable."""
        return await self._app[TICKET_API].counts(Role.HELPDESK)

    def counts(self, counts: Counts, variant: Variant) -> str:
        """Return the counts that the role may see; a page leaves out what it has no place for."""
        with speaking(variant.language):
            return "".join(
                partial(f"count-{status}", number(n), "textContent")
                for status, n in counts
                if variant.role is Role.HELPDESK or status != Status.CLOSED
            )

    async def load_ticket(self, role: Role, ticket_id: int) -> TicketPage | ClosedPage:
        """Return the page of a ticket as the role may see it; raises ApiError, Unavailable."""
        try:
            return await load_page(self._app, role, ticket_id)
        except ApiError as error:
            return make_closed_page(role, ticket_id, error)

    def ticket(self, page: TicketPage | ClosedPage, variant: Variant, seen: int) -> str | None:
        """Return what a ticket's page lacks that shows the version `seen`, 0 for all of it.

        None where it has to load itself. The box for a new message is never in it.
        """
        renderer = self._app[RENDERER]
        with speaking(variant.language):
            if isinstance(page, ClosedPage):
                return blocks_html(renderer, "closed.html", page, TICKET_BLOCKS)
            return update_html(renderer, page, seen) if seen else whole_html(renderer, page)

    def presence(self, others: Others, variant: Variant) -> str:
        """Return in a sentence or two who else is at a ticket."""
        with speaking(variant.language):
            html = self._app[RENDERER].fragment("presence.html", others=others)
        return partial("presence", html, "innerHTML")

    async def load_report(
        self, analysis: str, question: Question, language: Language
    ) -> AnalyticsPage:
        """Return the page of a report; raises RpcError, ValidationError."""
        with speaking(language):
            view = await load_view(self._app, analysis, question)
            return replace(make_page(self._app, analysis, question), views=(view,))

    def report(self, page: AnalyticsPage, variant: Variant) -> str:
        """Return a report's numbers, without the form that asked for them."""
        with speaking(variant.language):
            return blocks_html(self._app[RENDERER], REPORT, page, ["numbers"])


def is_hidden(ticket: Ticket, variant: Variant) -> bool:
    """Tell whether the reader learns of a ticket no more than that it was closed, and when."""
    return variant.role is Role.USER and ticket.status is Status.CLOSED
