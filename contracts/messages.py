"""Bodies of the messages on RabbitMQ: events, RPC requests and results (but `reports`)."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from contracts.fields import Body, Description, Id, Instant, Record, Version
from contracts.rest import FieldError, Message, Ticket
from contracts.vocabulary import EMBEDDING_DIMENSIONS, Category, Role, Status

# The ticket service stamps tickets by its clock, which is after the first and long before the last.
# PostgreSQL reads the last instant of Python's years as infinity, and time zones lead out of them.
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)
_ID: TypeAdapter[int] = TypeAdapter(Id)
_VERSION: TypeAdapter[int] = TypeAdapter(Version)


class Event(Record):
    """What happened to a ticket: its whole state, and the message that was sent, if one was.

    A state that no ticket can be in is no event: counted, it could not be told from a true one.
    """

    ticket: Ticket
    message: Message | None = None

    @model_validator(mode="after")
    def _require_possible_times(self) -> Self:
        ticket = self.ticket
        if not _EARLIEST <= ticket.opened_at <= _LATEST:
            raise PydanticCustomError("impossible", "opened_at is no time of a ticket")
        if (ticket.closed_at is not None) is not (ticket.status is Status.CLOSED):
            raise PydanticCustomError("impossible", "closed_at does not fit the status")
        if ticket.closed_at is not None and not ticket.opened_at <= ticket.closed_at <= _LATEST:
            raise PydanticCustomError("impossible", "closed_at is no time of this ticket")
        return self


# 64 bits, as a process and a page name themselves.
_Name = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
# Of what a process tells the others: more than helpdesk has windows.
PRESENCE_TICKETS_MAX = 1_000
PRESENCE_WINDOWS_MAX = 20_000


class Typing(Record):
    """Somebody types a message under a ticket; `page` tells one open page from another."""

    ticket: Id
    page: _Name
    role: Role


class Presence(Record):
    """What a web process tells the others: who types, or how often helpdesk has tickets open."""

    process: _Name
    typing: Typing | None = None
    open: (
        Annotated[
            dict[Id, Annotated[int, Field(ge=0, le=PRESENCE_WINDOWS_MAX)]],
            Field(max_length=PRESENCE_TICKETS_MAX),
        ]
        | None
    ) = None


class ClassifyRequest(Body):
    text: Description


class EmbedRequest(Body):
    text: Description


class Embedding(Record):
    """Where a text lies among all texts: texts that mean the same lie near, in any language.

    `vector` has length 1, so that the cosine of two of them is their dot product.
    """

    vector: Annotated[
        list[float], Field(min_length=EMBEDDING_DIMENSIONS, max_length=EMBEDDING_DIMENSIONS)
    ]
    model: str


def ticket_of(correlation_id: str | None) -> int:
    """Return the ticket that a deferred request for a category names; raises ValueError."""
    try:
        return _ID.validate_python(correlation_id)
    except ValidationError:
        raise ValueError("correlation_id: must be the number of a ticket") from None


def description_of(correlation_id: str | None) -> tuple[int, int]:
    """Return the ticket, and its version, whose description a deferred request embeds.

    The correlation id is "<ticket>.<version>"; raises ValueError for any other.
    """
    ticket_id, _, version = (correlation_id or "").partition(".")
    try:
        return _ID.validate_python(ticket_id), _VERSION.validate_python(version)
    except ValidationError:
        raise ValueError("correlation_id: must be a ticket's number and version") from None


class Classification(Record):
    """Which team has to act, how sure the model is, and which words decided."""

    category: Category
    confidence: float = Field(ge=0, le=1)
    scores: dict[Category, float]
    because: list[str]
    model: str


class CorrectionsRequest(Body):
    pass


class CorrectedWeek(Record):
    """How many tickets of the week that begins on Monday `week` helpdesk gave `category`."""

    week: date
    category: Category
    corrected: int


class Confused(Record):
    """How many tickets that the model had called `said` belong to `category`, says helpdesk."""

    said: Category
    category: Category
    tickets: int


class CorrectionsReport(Record):
    """What helpdesk corrected, and the model that answers now.

    `accuracy` 0-1 is over sentences that it has not learnt from.
    """

    model: str
    accuracy: float
    weeks: list[CorrectedWeek]
    confused: list[Confused]
    as_of: Instant


RpcErrorCode = Literal["bad_request", "unavailable", "internal"]


class RpcErrorBody(Record):
    code: RpcErrorCode
    message: str
    errors: list[FieldError] | None = None
