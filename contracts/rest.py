"""Bodies of the ticket service's REST interface, under `/v1`."""

from typing import Any, TypeAlias

from pydantic import Field

from contracts.fields import (
    Body,
    Description,
    Id,
    Instant,
    MessageBody,
    Record,
    ReplyTitle,
    Version,
)
from contracts.text import title_span
from contracts.vocabulary import Action, Category, CategorySource, Role, Status


class Ticket(Record):
    """A reported problem as it stands at `version`."""

    id: Id
    description: str
    status: Status
    category: Category | None
    category_source: CategorySource | None
    opened_at: Instant
    modified_at: Instant
    closed_at: Instant | None
    version: Version
    messages: int = Field(ge=0, description="How many messages the thread holds.")
    duplicate_of: Id | None = Field(
        default=None, description="The ticket about the same problem where helpdesk goes on."
    )
    affected: int = Field(
        default=0, ge=0, description="How many others said that they have the problem too."
    )
    waiting_since: Instant | None = Field(
        default=None, description="Since when a reporter waits for helpdesk; null where none does."
    )

    @property
    def title(self) -> str:
        """Return the line that stands for the ticket in lists; empty where nobody sees any."""
        start, end = title_span(self.description)
        return self.description[start:end]


class Message(Record):
    """One contribution to a ticket's thread."""

    id: Id
    ticket_id: Id
    author: Role
    body: str
    sent_at: Instant


class HistoryItem(Record):
    """Who did what, when: one for each version of a ticket.

    `role` is None where the system acted (the classifier's late answer). `before` and `after`
    hold what changed (a description, a category, a status), None where the action says it all.
    """

    version: Version
    at: Instant
    role: Role | None
    action: Action
    before: str | None = None
    after: str | None = None


class SimilarTicket(Record):
    """A ticket about the same problem; `score` is 0 (unrelated) to 1 (the same words)."""

    ticket: Ticket
    score: float = Field(ge=0, le=1)


class Reply(Record):
    """An answer that helpdesk gives often, kept to be put into a message."""

    id: Id
    title: str
    body: str


Span: TypeAlias = tuple[int, int]


class Hit(Record):
    """Where a ticket has the words of a search; the spans are those to mark.

    `excerpt` is a piece of at most 160 characters of the description or, where `message_id` says
    so, of a message, as it was written; it begins at the character `start`. Spans count characters
    (Unicode code points): from, and up to but not with; those of `title_spans` in the title, those
    of `spans` in the excerpt.
    """

    ticket_id: Id
    in_title: bool = Field(description="The title alone has every word.")
    title_spans: list[Span]
    message_id: Id | None
    message_number: int | None = Field(ge=1, description="Its place in the thread, from 1.")
    author: Role | None
    excerpt: str
    start: int = Field(ge=0)
    is_cut: bool = Field(description="More text follows behind the excerpt.")
    spans: list[Span]


class TicketPage(Record):
    """A keyset page; `next` is the cursor of the following one, None on the last.

    `hits` has one for each item, in their order, where words were looked for.
    """

    items: list[Ticket]
    hits: list[Hit] | None = None
    next: str | None


class Tickets(Record):
    """Some tickets: as many as belong together, 50 at most."""

    items: list[Ticket]


class Messages(Record):
    """The thread, or the last part of it, oldest first."""

    items: list[Message]
    earlier: Id | None = Field(
        default=None,
        description="The id to give as `before` for what was said earlier; where nothing was, null"
        " with `limit`, and absent without.",
    )


class History(Record):
    """What happened, or the last part of it, oldest first."""

    items: list[HistoryItem]
    earlier: Version | None = Field(
        default=None,
        description="The version to give as `before` for what happened earlier; where nothing did,"
        " null with `limit`, and absent without.",
    )


class SimilarTickets(Record):
    items: list[SimilarTicket]


class Replies(Record):
    items: list[Reply]


class Counts(Record):
    """How many tickets stand at each status."""

    open: int = Field(ge=0)
    active: int = Field(ge=0)
    closed: int = Field(ge=0)


class OpenTicket(Body):
    """Report a problem; `category` comes from the classifier where it has answered already."""

    description: Description
    category: Category | None = None


class EditTicket(Body):
    """Edit a ticket; a field that is absent stays. `category` is for helpdesk only."""

    description: Description | None = None
    category: Category | None = None


class MoveTicket(Body):
    """Move a ticket one step forward."""

    status: Status


class SendMessage(Body):
    body: MessageBody


class MarkDuplicate(Body):
    """Say that a ticket is about the same problem as another one, where helpdesk goes on."""

    ticket: Id


class WriteReply(Body):
    """Keep an answer for all of helpdesk; no two have one title, in whatever case."""

    title: ReplyTitle
    body: MessageBody


class FieldError(Record):
    """One bad field and the reason, as a person would say it.

    `code` is stable and for programs: with `params` it says the same in any language.
    """

    field: str
    message: str
    code: str | None = None
    params: dict[str, str | int] = Field(default_factory=dict)


class Problem(Record):
    """RFC 9457 problem details, `application/problem+json`.

    `code` is stable and for programs, `detail` is for people. `ticket` is the current state
    where an edit came too late; `support_id` is in the log too where it is our fault.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] | None = None
    ticket: Ticket | None = None
    closed_at: Instant | None = None
    support_id: str | None = None

    def to_json(self) -> str:
        """Return the JSON text without the members that don't apply; `ticket` stays whole."""
        return self.model_dump_json(exclude={name for name, value in self if value is None})


# As many as a person corrects before asking again, and as much of the name of an unknown field as
# tells it from others: whoever sends nonsense gets little of it back.
ERRORS_MAX = 20
NAME_MAX_CHARACTERS = 60


def field_errors(errors: list[Any]) -> list[FieldError]:
    """Return pydantic's error details as a person would say them, the field's path dotted.

    Each once, ERRORS_MAX at most.
    """
    found: dict[tuple[str, str], FieldError] = {}
    for error in errors:
        field = _shorten(".".join(str(part) for part in error["loc"])) or "body"
        message = error["msg"].replace("Input should be", "must be")
        if (field, message) not in found:
            ctx = error.get("ctx", {})
            params = {name: value for name, value in ctx.items() if isinstance(value, str | int)}
            found[field, message] = FieldError(
                field=field, message=message, code=error["type"], params=params
            )
        if len(found) == ERRORS_MAX:
            break
    return list(found.values())


def _shorten(name: str) -> str:
    return name if len(name) <= NAME_MAX_CHARACTERS else f"{name[:NAME_MAX_CHARACTERS]}…"
