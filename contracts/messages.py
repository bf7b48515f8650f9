"""Bodies of the messages on RabbitMQ: RPC requests and results, and events."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    StrictInt,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from contracts.fields import Body, CategoryOrNone, Description, Id, Instant, Record, Version
from contracts.rest import FieldError, Message, Ticket
from contracts.vocabulary import (
    EMBEDDING_DIMENSIONS,
    MONTHS_MAX,
    PERIOD_MAX_DAYS,
    PERIOD_MAX_HOURS,
    Category,
    Language,
    PeriodUnit,
    Role,
    Status,
)

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


class Typing(Record):
    """Somebody types a message under a ticket; `page` tells one open page from another."""

    ticket: Id
    page: str
    role: Role


class Presence(Record):
    """What a web process tells the others: who types, or how often helpdesk has tickets open."""

    process: str
    typing: Typing | None = None
    open: dict[Id, Annotated[int, Field(ge=0)]] | None = None


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


class ReportRequest(Body):
    """What every report is asked with.

    `category` leaves only its tickets; `language` is that of the words
    in a chart; without `chart` nothing is drawn and every `svg` is empty.
    """

    category: CategoryOrNone | None = None
    language: Language = Language.ENGLISH
    chart: bool = True


class UnclosedRequest(ReportRequest):
    """The period (now − `last` `unit`, now]."""

    unit: PeriodUnit
    last: Annotated[StrictInt, Field(ge=1)]

    @field_validator("last")
    @classmethod
    def _within_limits(cls, last: int, info: ValidationInfo) -> int:
        unit = info.data.get("unit", PeriodUnit.HOURS)
        limit = PERIOD_MAX_HOURS if unit is PeriodUnit.HOURS else PERIOD_MAX_DAYS
        if last > limit:
            raise PydanticCustomError(
                f"{unit.value}_too_many",
                f"must be at most {{limit}} {unit.value}",
                {"limit": limit},
            )
        return last


class UnclosedBucket(Record):
    """Tickets opened from `start` up to the next bucket's start, by what became of them."""

    start: Instant
    opened: int
    open: int
    active: int


class PeriodBefore(Record):
    """What was opened in (`since`, the period's `since`], and how many of it are not closed now."""

    since: Instant
    opened: int
    count: int


class AgeBand(Record):
    """Tickets that are not closed, opened at `since` or later and before `until`.

    Both are midnights of the campus, `days` of them ago; None: no bound. `days` is `since`'s.
    """

    days: int | None
    since: Instant | None
    until: Instant | None
    open: int
    active: int


class OldTicket(Record):
    """A ticket that is not closed, as far as a report shows it."""

    id: Id
    title: str
    status: Status
    category: Category | None
    opened_at: Instant


class UnclosedReport(Record):
    """Tickets opened in (`since`, `as_of`] whose status is not closed: `count` of `opened`.

    Beside them, whenever they were opened, all that are not closed: `unclosed` in number, their
    `ages`, youngest band first, and the ten `oldest`, oldest first.
    """

    count: int
    opened: int
    since: Instant
    as_of: Instant
    timezone: str
    buckets: list[UnclosedBucket]
    before: PeriodBefore
    unclosed: int
    ages: list[AgeBand]
    oldest: list[OldTicket]
    svg: str
    ages_svg: str


def _require_month(text: str) -> str:
    try:
        # A campus month as in an address; four digits, so that texts sort like months.
        if datetime.strptime(text, "%Y-%m").strftime("%Y-%m") == text:
            return text
    except ValueError:
        pass
    raise PydanticCustomError("month", "must be a month such as 2026-05")


Month = Annotated[str, AfterValidator(_require_month)]


class ResolutionRequest(ReportRequest):
    """The opening months from `since` to `until`, both included, or the latest `months` of them.

    Without `since` from the first ticket's month on, without `until` to the current one.
    """

    months: Annotated[StrictInt, Field(ge=1, le=MONTHS_MAX)] | None = None
    since: Month | None = None
    until: Month | None = None

    @field_validator("until")
    @classmethod
    def _after_since(cls, until: str | None, info: ValidationInfo) -> str | None:
        since = info.data.get("since")
        if until and since and until < since:
            raise PydanticCustomError("until_before_since", "must not be before since")
        return until


class ResolutionMonth(Record):
    """Tickets opened in `month` ("2026-05") of the campus time zone.

    `mean_seconds` and `median_seconds` are over the `closed` ones only, None where there are none;
    the median comes from a histogram and is off by `median_error` of the report at most.
    `provisional`: so many are not closed yet, or to come, that the figures will change.
    """

    month: str
    closed: int
    still_open: int
    mean_seconds: float | None
    median_seconds: float | None
    provisional: bool


class MonthsBefore(Record):
    """The months before those of the report, as many of them, `since` to `until`."""

    since: str
    until: str
    closed: int
    mean_seconds: float | None


class ResolutionReport(Record):
    """Each month, gaps shown; over all of them, how many are closed and their mean.

    `before` is None where no ticket was opened before the report's first month. `median_error` is
    a share of the median (0.01: one percent).
    """

    months: list[ResolutionMonth]
    closed: int
    still_open: int
    mean_seconds: float | None
    before: MonthsBefore | None
    median_error: float
    as_of: Instant
    timezone: str
    svg: str


class ActiveRequest(ReportRequest):
    pass


class ActiveCategory(Record):
    """How many tickets of a category are active, and the one that was opened first."""

    category: Category
    active: int
    oldest: OldTicket | None


class ActiveReport(Record):
    """Tickets whose status is active, by category; those without one beside them.

    Where the request names a category, `categories` holds no other, and `uncategorised` is 0.
    """

    categories: list[ActiveCategory]
    uncategorised: int
    oldest_uncategorised: OldTicket | None
    as_of: Instant
    timezone: str
    svg: str


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
