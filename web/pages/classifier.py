"""How categories come about: what helpdesk corrected, and what the model says to a text, and why.

The numbers come from the classifier service as they are; only their order is made here.
"""

import asyncio
from dataclasses import dataclass
from datetime import date

from aiohttp import web
from pydantic import ValidationError

from bus.rpc import RpcError
from bus.rpc_client import RpcClient
from contracts.messages import Classification, ClassifyRequest, Confused, CorrectionsReport
from contracts.rest import field_errors
from contracts.vocabulary import DESCRIPTION_MAX_CHARACTERS, Category
from web.classify import corrections, find_category
from web.keys import RPC
from web.refusals import say_texts
from web.render import Page, page_response
from web.role import require_helpdesk

# A quarter of a year: longer ago another model was asked.
WEEKS_SHOWN = 13
# More than is taken, so that what is pasted stays there with how much of it is too long.
TEXT_SHOWN_CHARACTERS = 2 * DESCRIPTION_MAX_CHARACTERS


@dataclass(frozen=True, kw_only=True)
class ClassifierPage(Page):
    """`report` is None while it cannot be had; so is `guess`, and where nothing was asked."""

    report: CorrectionsReport | None
    text: str
    error: str
    guess: Classification | None
    categories: tuple[Category, ...] = tuple(Category)

    @property
    def weeks(self) -> list[tuple[date, list[int]]]:
        """Return the latest weeks with corrections, newest first, and how many by category."""
        if self.report is None:
            return []
        corrected = {(item.week, item.category): item.corrected for item in self.report.weeks}
        weeks = sorted({week for week, _ in corrected}, reverse=True)[:WEEKS_SHOWN]
        return [(week, [corrected.get((week, c), 0) for c in self.categories]) for week in weeks]

    @property
    def most(self) -> int:
        """Return the largest number in `weeks`, which the bars are drawn against."""
        return max(max(row) for _, row in self.weeks)

    @property
    def confusion(self) -> list[tuple[Category, list[int]]]:
        """Return for each category that the model said how many tickets belong to each."""
        tickets = {(item.said, item.category): item.tickets for item in self._confused}
        return [
            (said, [tickets.get((said, c), 0) for c in self.categories]) for said in self.categories
        ]

    @property
    def _confused(self) -> list[Confused]:
        return self.report.confused if self.report else []

    @property
    def most_confused(self) -> Confused | None:
        pairs = [item for item in self._confused if item.said is not item.category]
        return max(pairs, key=lambda item: item.tickets, default=None)


async def show(request: web.Request) -> web.Response:
    """Show the corrections, and what the model would say to the text in the address."""
    role = require_helpdesk(request)
    rpc = request.app[RPC]
    text = request.query.get("text", "")[:TEXT_SHOWN_CHARACTERS]
    error = _find_error(text) if text else ""
    guess, report = await asyncio.gather(
        find_category(rpc, text) if text and not error else _nothing(), _find_report(rpc)
    )
    page = ClassifierPage(
        role=role, section="classifier", report=report, text=text, error=error, guess=guess
    )
    return page_response(request, "classifier.html", page, status=422 if error else 200)


def _find_error(text: str) -> str:
    try:
        ClassifyRequest(text=text)
    except ValidationError as error:
        return say_texts(field_errors(error.errors()))
    return ""


async def _find_report(rpc: RpcClient) -> CorrectionsReport | None:
    try:
        return await corrections(rpc)
    except RpcError:
        return None


async def _nothing() -> None:
    return None
