"""What the page of one ticket shows: its forms as they are typed in, and what stands around them.

Changes nothing; `ticket.py` does.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from secrets import token_hex
from uuid import uuid4

from aiohttp import web
from markupsafe import Markup

from contracts.fields import VERSION_MAX
from contracts.rest import HistoryItem, SimilarTicket, Ticket
from contracts.rest import Reply as CannedReply
from contracts.vocabulary import Action, Category, Role, Status
from web.around import Around, find_around, may_be_marked
from web.differences import mark_changes
from web.event_clock import EVENT_CLOCK
from web.filters import deed, label, title
from web.i18n import gettext as _
from web.keys import BECAUSE, TICKET_API
from web.pages.ticket_part import HISTORY_ITEMS, THREAD_ITEMS, Part, part_of
from web.render import Page
from web.ticket_api import ApiError

TEMPLATE = "ticket.html"
# What a live update replaces: everything but the forms with a key, since it goes to many browsers.
# The browser leaves an open editor alone too (`morphSkip` in base.html).
LIVE_BLOCKS = (
    *("head", "freshness", "description", "because", "changed", "editor"),
    *("actions", "twins", "thread", "history"),
)


@dataclass(frozen=True)
class Editor:
    """The form for the description.

    `version` and `was` say what the typed text started from; `theirs` is what somebody else
    saved meanwhile.
    """

    text: str
    version: int
    was: str
    error: str = ""
    theirs: str | None = None

    @property
    def theirs_marked(self) -> Markup:
        """Return their text with the words marked that the typed one does not have there."""
        return mark_changes(self.text, self.theirs or "")

    @property
    def is_open(self) -> bool:
        return bool(self.error) or self.theirs is not None


@dataclass(frozen=True)
class Reply:
    """The form for a message; `key` makes a repeated submission the same message."""

    key: str
    text: str = ""
    error: str = ""


@dataclass(frozen=True)
class Marking:
    """The form that names the ticket of which this one is a duplicate."""

    number: str = ""
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class TicketPage(Page):
    """`similar` counts where it `is_compared`; None then says that it cannot be had."""

    ticket: Ticket
    because: list[str]
    around: Around
    similar: tuple[SimilarTicket, ...] | None = None
    is_compared: bool = False
    part: Part
    editor: Editor
    reply: Reply
    marking: Marking = Marking()
    canned: tuple[CannedReply, ...] = ()
    is_affected: bool = False
    now: datetime
    position: int
    page_id: str = field(default_factory=lambda: token_hex(8))
    focus: str = ""
    categories: tuple[Category, ...] = tuple(Category)

    @property
    def version(self) -> int:
        return self.ticket.version

    @property
    def is_one_line(self) -> bool:
        """Tell whether the title says it all already."""
        return title(self.ticket.description) == self.ticket.description

    @property
    def category_was(self) -> str:
        return category_digest(self.ticket)

    @property
    def description_was(self) -> str:
        return description_digest(self.ticket)

    @property
    def last_edit(self) -> HistoryItem | None:
        """Return when and by whom the description was edited last, if that was of late."""
        edits = (i for i in self.part.history if i.action is Action.DESCRIPTION_EDITED)
        return max(edits, key=lambda item: item.version, default=None)

    @property
    def is_answered(self) -> bool:
        """Tell whether helpdesk spoke last."""
        messages = self.part.messages
        return bool(messages) and messages[-1].author is Role.HELPDESK

    @property
    def is_helpdesk(self) -> bool:
        return self.role is Role.HELPDESK

    @property
    def is_closed(self) -> bool:
        return self.ticket.status is Status.CLOSED

    @property
    def may_be_marked(self) -> bool:
        return self.is_helpdesk and may_be_marked(self.ticket)


@dataclass(frozen=True, kw_only=True)
class SimilarPage(Page):
    """What comes into the page of `ticket` once it is there."""

    ticket: Ticket
    around: Around
    similar: tuple[SimilarTicket, ...] | None
    now: datetime


@dataclass(frozen=True, kw_only=True)
class EarlierPage(Page):
    """What was said or done before what the page of a ticket shows."""

    ticket: Ticket
    part: Part
    is_fragment: bool = False


@dataclass(frozen=True, kw_only=True)
class ClosedPage(Page):
    """What users learn of a closed ticket; what changes in it is not for them, nor its version.

    No other follows what they see.
    """

    ticket_id: int
    closed_at: datetime
    version: int = VERSION_MAX


async def load_page(app: web.Application, role: Role, ticket_id: int) -> TicketPage:
    """Return the page of a ticket; raises ApiError, Unavailable.

    Its thread and history are read after the ticket: a page that says which version it shows must
    have all that was said and done up to it.
    """
    position = app[EVENT_CLOCK].position
    api = app[TICKET_API]
    ticket = await api.ticket(role, ticket_id)
    because, around, messages, history = await asyncio.gather(
        app[BECAUSE].words(ticket),
        find_around(api, role, ticket),
        api.messages(role, ticket_id, THREAD_ITEMS),
        api.history(role, ticket_id, HISTORY_ITEMS),
    )
    return TicketPage(
        role=role,
        section="tickets",
        ticket=ticket,
        because=because,
        around=around,
        part=part_of(messages, history),
        editor=make_editor(ticket),
        reply=Reply(str(uuid4())),
        now=datetime.now(UTC),
        position=position,
    )


def make_closed_page(role: Role, ticket_id: int, error: ApiError) -> ClosedPage:
    """Return the page of a ticket that the role may not see any more; raises any other error."""
    closed_at = error.problem.closed_at
    if closed_at is None:
        raise error
    return ClosedPage(role=role, section="tickets", ticket_id=ticket_id, closed_at=closed_at)


def news_of(page: TicketPage) -> str:
    """Return in a sentence who did what last."""
    last = page.part.history[-1]
    who = label(last.role) if last.role else _("Classifier")
    return _("Updated: %(who)s %(deed)s.") % {"who": who, "deed": deed(last.action)}


def description_digest(ticket: Ticket) -> str:
    """Return what tells one description from another."""
    return digest(ticket.description)


def category_digest(ticket: Ticket) -> str:
    """Return what tells one category from another."""
    return digest(ticket.category or "")


def digest(text: str) -> str:
    """Return what tells one text from another; browsers send line ends as CRLF."""
    return sha256(text.replace("\r\n", "\n").strip().encode()).hexdigest()[:16]


def make_editor(ticket: Ticket, text: str = "", theirs: str | None = None) -> Editor:
    """Return the form that starts from the ticket as it stands."""
    return Editor(
        text or ticket.description, ticket.version, description_digest(ticket), "", theirs
    )
