"""What the page of the list shows: its state, all of it in the address, and the form to report.

Changes nothing; `tickets.py` and `bulk.py` do.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiMapping

from contracts.fields import find_ticket_number
from contracts.rest import Counts, TicketPage
from contracts.vocabulary import (
    MESSAGE_MAX_CHARACTERS,
    PAGE_MAX_ITEMS,
    SEARCH_MAX_CHARACTERS,
    Category,
    Role,
    Status,
)
from web.event_clock import EVENT_CLOCK
from web.filters import label
from web.forms import VALUE_MAX_CHARACTERS, read_number, read_value
from web.i18n import N_, gettext
from web.keys import RENDERER, TICKET_API
from web.refusals import say_named, say_problem
from web.render import Page
from web.ticket_api import ApiError, TicketApi

TEMPLATE = "tickets.html"
EVERY_STATUS = "all"
UNFINISHED = (Status.OPEN.value, Status.ACTIVE.value)
# What a first visit carries within its budget, which a test holds; scrolling brings more.
PAGE_ROWS = 16
# As far as one page grows by scrolling; then a link leads to the next one. A row in which each
# second sign is marked has 3.5 kB, and no page has 300 kB.
ROWS_MAX = 80
# What is pasted into the search stays there, with how much of it is too long, up to a long message.
SEARCH_SHOWN_CHARACTERS = MESSAGE_MAX_CHARACTERS
NEWEST = "-opened_at"
SORTS = {
    "": N_("Newest"),
    "opened_at": N_("Oldest"),
    "waiting_since": N_("Longest waiting"),
    "-affected": N_("Most affected"),
    "-modified_at": N_("Last changed"),
}
SORTS_OF_HELPDESK = ("waiting_since",)


@dataclass(frozen=True)
class Filters:
    """The state of the list, all of it in the address; empty `status` means not closed.

    `rows` is how many are shown from the start or the cursor on, 0 for one page. `before` is how
    many the browser shows already, when it asks for more.
    """

    status: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    q: str = ""
    opened_from: str = ""
    opened_to: str = ""
    sort: str = ""
    cursor: str = ""
    rows: int = 0
    before: int = 0

    @property
    def query(self) -> str:
        """Return what stands in the address of this list behind `/tickets`."""
        # An address is not the place for a text that no search takes.
        short = self if len(self.q) <= SEARCH_MAX_CHARACTERS else replace(self, q="")
        pairs = short._pairs(self.status)
        pairs += [("cursor", self.cursor)] if self.cursor else []
        pairs += [("rows", str(self.rows))] if self.rows else []
        return f"?{urlencode(pairs)}" if pairs else ""

    @property
    def address(self) -> str:
        """Return the address of this list, without what is not set."""
        return f"/tickets{self.query}"

    @property
    def start(self) -> str:
        """Return the address of the first page of this list."""
        return replace(self, cursor="", rows=0).address

    @property
    def is_narrowed(self) -> bool:
        return replace(self, sort="", cursor="", rows=0, before=0) != Filters()

    def with_status(self, *status: str) -> str:
        """Return the address of the same list for another status, from its start."""
        return replace(self, status=status, cursor="", rows=0).address

    def without_period(self) -> str:
        """Return the address of the same list for tickets of any age."""
        return replace(self, opened_from="", opened_to="", cursor="", rows=0).address

    def for_api(self) -> list[tuple[str, str]]:
        """Return which tickets these are, as parameters of the ticket service."""
        return self._pairs(() if self.status == (EVERY_STATUS,) else self.status or UNFINISHED)

    def _pairs(self, status: tuple[str, ...]) -> list[tuple[str, str]]:
        pairs = [("status", value) for value in status]
        pairs += [("category", value) for value in self.category]
        pairs += [
            (name, value)
            for name in ("q", "opened_from", "opened_to", "sort")
            if (value := getattr(self, name))
        ]
        return pairs


@dataclass(frozen=True)
class ReportForm:
    """The form as it is shown; `key` makes a repeated submission the same ticket."""

    key: str
    text: str = ""
    error: str = ""


class Closed(NamedTuple):
    """All that users learn of a closed ticket."""

    id: int
    closed_at: datetime


@dataclass(frozen=True, kw_only=True)
class TicketsPage(Page):
    """`shown` is how many rows the browser has with these.

    `closed` is the ticket that a user's search names, where that is closed.
    """

    filters: Filters
    report: ReportForm
    rows: str = ""  # HTML
    shown: int = 0
    next: str | None = None
    counts: Counts | None = None
    closed: Closed | None = None
    now: datetime
    position: int

    @property
    def is_helpdesk(self) -> bool:
        return self.role is Role.HELPDESK

    @property
    def is_full(self) -> bool:
        return self.shown >= ROWS_MAX

    @property
    def status_choices(self) -> list[tuple[str, str]]:
        """Return value and text of each option; closed tickets are for helpdesk only."""
        choices = [("", gettext("Open and active")), *_choices(Status.OPEN, Status.ACTIVE)]
        if self.is_helpdesk:
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
    def sort_choices(self) -> list[tuple[str, str]]:
        """Return value and text of each option; who waits for helpdesk is helpdesk's business."""
        return [
            (value, gettext(text))
            for value, text in SORTS.items()
            if self.is_helpdesk or value not in SORTS_OF_HELPDESK
        ]

    @property
    def categories(self) -> list[tuple[str, str]]:
        return _choices(*Category)

    @property
    def chosen_status(self) -> str:
        if set(self.filters.status) == set(Status):
            return EVERY_STATUS
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
        if self.is_helpdesk:
            totals.append((Status.CLOSED, self.counts.closed))
        return totals


def _choices(*members: Status | Category) -> list[tuple[str, str]]:
    return [(member.value, label(member)) for member in members]


def read_filters(query: MultiMapping[str]) -> Filters:
    """Return the filters of an address; the ticket service judges their values.

    Of what is longer than any right value so much is kept that it stays a wrong one.
    """
    sort = read_value(query, "sort")
    return Filters(
        status=_read_values(query, "status"),
        category=_read_values(query, "category"),
        q=query.get("q", "").strip()[:SEARCH_SHOWN_CHARACTERS],
        opened_from=read_value(query, "opened_from"),
        opened_to=read_value(query, "opened_to"),
        sort="" if sort == NEWEST else sort,
        cursor=read_value(query, "cursor"),
        rows=read_rows(query),
        before=read_number(query.get("before")),
    )


def _read_values(query: MultiMapping[str], name: str) -> tuple[str, ...]:
    given = (value[:VALUE_MAX_CHARACTERS] for value in query.getall(name, ()) if value)
    return tuple(dict.fromkeys(given))


def read_rows(fields: Mapping[str, str]) -> int:
    """Return how many rows an address or a form asks for, 0 for one page."""
    rows = min(read_number(fields.get("rows")), ROWS_MAX)
    return rows if rows > PAGE_ROWS else 0


def make_page(
    request: web.Request, role: Role, filters: Filters, form: ReportForm, said: str = ""
) -> TicketsPage:
    """Return the page without its list."""
    return TicketsPage(
        role=role,
        section="tickets",
        filters=filters,
        report=form,
        said=said,
        now=datetime.now(UTC),
        position=request.app[EVENT_CLOCK].position,
    )


async def load_page(
    request: web.Request, role: Role, filters: Filters, form: ReportForm, said: str = ""
) -> TicketsPage:
    """Return the page with its list, or with what is wrong with its address; raises Unavailable."""
    page = make_page(request, role, filters, form, said)
    api = request.app[TICKET_API]
    try:
        found, counts, closed = await asyncio.gather(
            _fetch(api, role, filters), api.counts(role), _find_closed(api, role, filters)
        )
    except ApiError as error:
        if error.problem.status != 422:
            raise
        reasons = " ".join(map(say_named, error.problem.errors or ()))
        sentence = gettext("This list cannot be shown.")
        return replace(page, alert=f"{sentence} {reasons or say_problem(error.problem)}")
    return replace(
        page,
        rows=request.app[RENDERER].rows(found.items, role, page.now, found.hits),
        shown=filters.before + len(found.items),
        next=found.next and replace(filters, cursor=found.next, rows=0).address,
        counts=counts,
        closed=closed,
    )


async def _find_closed(api: TicketApi, role: Role, filters: Filters) -> Closed | None:
    number = find_ticket_number(filters.q)
    if number is None or role is not Role.USER or filters.cursor:
        return None
    try:
        await api.ticket(role, number)
    except ApiError as error:
        closed_at = error.problem.closed_at
        return Closed(number, closed_at) if closed_at else None
    return None


async def _fetch(api: TicketApi, role: Role, filters: Filters) -> TicketPage:
    """Return as many rows as the address asks for, from as many pages of the service as needed."""
    missing = filters.rows or PAGE_ROWS
    found = TicketPage(items=[], next=filters.cursor or None)
    while missing > 0:
        params = [*filters.for_api(), ("limit", str(min(missing, PAGE_MAX_ITEMS)))]
        params += [("cursor", found.next)] if found.next else []
        page = await api.list_tickets(role, params)
        hits = page.hits and [*(found.hits or ()), *page.hits]
        found = TicketPage(items=[*found.items, *page.items], hits=hits, next=page.next)
        missing = missing - len(page.items) if page.next else 0
    return found
