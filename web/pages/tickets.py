"""The list of tickets, and the form that reports a problem."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import uuid4

from aiohttp import web

from contracts.rest import Counts, Ticket
from contracts.vocabulary import Category, Role, Status
from web.classify import find_category
from web.filters import label
from web.forms import key_of, read_form
from web.i18n import gettext
from web.keys import LIVE, RENDERER, RPC, TICKET_API
from web.refusals import say_named, say_problem, say_text
from web.render import (
    Page,
    blocks_response,
    html_response,
    page_response,
    partial,
    wants_fragment,
)
from web.role import require_role
from web.said import redirect, set_said
from web.ticket_api import ApiError

EVERY_STATUS = "all"
KEY_REUSED = "idempotency_key_reused"
UNFINISHED = (Status.OPEN.value, Status.ACTIVE.value)


@dataclass(frozen=True)
class Filters:
    """The state of the list, all of it in the address; empty `status` means not closed."""

    status: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    q: str = ""
    opened_from: str = ""
    opened_to: str = ""
    cursor: str = ""

    @property
    def address(self) -> str:
        """Return the address of this list, without what is not set."""
        query = urlencode(self._params(self.status))
        return f"/tickets?{query}" if query else "/tickets"

    @property
    def start(self) -> str:
        """Return the address of the first page of this list."""
        return replace(self, cursor="").address

    @property
    def is_narrowed(self) -> bool:
        return replace(self, cursor="") != Filters()

    def with_status(self, *status: str) -> str:
        """Return the address of the same list for another status, from its start."""
        return replace(self, status=status, cursor="").address

    def without_period(self) -> str:
        """Return the address of the same list for tickets of any age."""
        return replace(self, opened_from="", opened_to="", cursor="").address

    def for_api(self) -> list[tuple[str, str]]:
        """Return the same as parameters of the ticket service."""
        return self._params(() if self.status == (EVERY_STATUS,) else self.status or UNFINISHED)

    def _params(self, status: tuple[str, ...]) -> list[tuple[str, str]]:
        pairs = [("status", value) for value in status]
        pairs += [("category", value) for value in self.category]
        pairs += [
            (name, value)
            for name in ("q", "opened_from", "opened_to", "cursor")
            if (value := getattr(self, name))
        ]
        return pairs


@dataclass(frozen=True)
class ReportForm:
    """The form as it is shown; `key` makes a repeated submission the same ticket."""

    key: str
    text: str = ""
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class TicketsPage(Page):
    filters: Filters
    report: ReportForm
    rows: str = ""  # HTML
    next: str | None = None
    counts: Counts | None = None
    now: datetime
    since: int

    @property
    def status_choices(self) -> list[tuple[str, str]]:
        """Return value and text of each option; closed tickets are for helpdesk only."""
        choices = [("", gettext("Open and active")), *_choices(Status.OPEN, Status.ACTIVE)]
        if self.role is Role.HELPDESK:
            choices += [*_choices(Status.CLOSED), (EVERY_STATUS, gettext("All"))]
        return choices

    @property
    def category_choices(self) -> list[tuple[str, str]]:
        return [
            ("", gettext("All categories")),
            *_choices(*Category),
            ("none", gettext("Not assigned yet")),
        ]

    @property
    def chosen_status(self) -> str:
        return self.filters.status[0] if len(self.filters.status) == 1 else ""

    @property
    def chosen_category(self) -> str:
        return self.filters.category[0] if len(self.filters.category) == 1 else ""

    @property
    def totals(self) -> list[tuple[Status, int]]:
        """Return how many tickets stand at each status that the role may see."""
        if self.counts is None:
            return []
        totals = [(Status.OPEN, self.counts.open), (Status.ACTIVE, self.counts.active)]
        if self.role is Role.HELPDESK:
            totals.append((Status.CLOSED, self.counts.closed))
        return totals


def _choices(*members: Status | Category) -> list[tuple[str, str]]:
    return [(member.value, label(member)) for member in members]


def read_filters(request: web.Request) -> Filters:
    """Return the filters of an address; the ticket service judges their values."""
    query = request.query
    return Filters(
        status=tuple(filter(None, query.getall("status", ()))),
        category=tuple(filter(None, query.getall("category", ()))),
        q=query.get("q", "").strip(),
        opened_from=query.get("opened_from", ""),
        opened_to=query.get("opened_to", ""),
        cursor=query.get("cursor", ""),
    )


async def show(request: web.Request) -> web.Response:
    """Show the list; htmx gets the list alone, or the rows that follow a cursor."""
    role = require_role(request)
    filters = read_filters(request)
    page = await _load(request, role, filters, ReportForm(str(uuid4())))
    status = 422 if page.alert else 200
    if not wants_fragment(request):
        return page_response(request, "tickets.html", page, status=status)
    if filters.cursor:
        more = request.app[RENDERER].block("tickets.html", "more", page)
        html = partial("rows", page.rows, "beforeend") + partial("more", more, "outerHTML")
        return html_response(request, html, status)
    response = blocks_response(request, "tickets.html", page, ["list"], status=status)
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
        return await _invalid(request, role, ReportForm(key, text, say_text(error.problem)))
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
        page = _page(request, role, Filters(), form)
        return blocks_response(
            request, "tickets.html", page, ["report"], replaced=["report"], status=422
        )
    page = await _load(request, role, Filters(), form)
    return page_response(request, "tickets.html", page, status=422)


def _page(request: web.Request, role: Role, filters: Filters, form: ReportForm) -> TicketsPage:
    return TicketsPage(
        role=role,
        section="tickets",
        filters=filters,
        report=form,
        now=datetime.now(UTC),
        since=request.app[LIVE].position,
    )


async def _load(
    request: web.Request, role: Role, filters: Filters, form: ReportForm
) -> TicketsPage:
    page = _page(request, role, filters, form)
    api = request.app[TICKET_API]
    try:
        found, counts = await asyncio.gather(
            api.list_tickets(role, filters.for_api()), api.counts(role)
        )
    except ApiError as error:
        if error.problem.status != 422:
            raise
        reasons = " ".join(map(say_named, error.problem.errors or ()))
        sentence = gettext("This list cannot be shown.")
        return replace(page, alert=f"{sentence} {reasons or say_problem(error.problem)}")
    return replace(
        page,
        rows=request.app[RENDERER].rows(found.items, page.now, filters.q),
        next=replace(filters, cursor=found.next).address if found.next else None,
        counts=counts,
    )
