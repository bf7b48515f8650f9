"""Bodies of the messages on RabbitMQ: RPC requests and results, and events."""

from typing import Annotated, Literal

from pydantic import Field, StrictInt, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from contracts.fields import Body, Description, Instant, Record
from contracts.rest import FieldError, Message, Ticket
from contracts.vocabulary import (
    MONTHS_MAX,
    PERIOD_MAX_DAYS,
    PERIOD_MAX_HOURS,
    Category,
    PeriodUnit,
)


class Event(Record):
    """What happened to a ticket: its whole state, and the message that was sent, if one was."""

    ticket: Ticket
    message: Message | None = None


class ClassifyRequest(Body):
    text: Description


class Classification(Record):
    """Which team has to act, how sure the model is, and which words decided."""

    category: Category
    confidence: float = Field(ge=0, le=1)
    scores: dict[Category, float]
    because: list[str]
    model: str


class UnclosedRequest(Body):
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
                "too_long", "must be at most {limit} {unit}", {"limit": limit, "unit": unit.value}
            )
        return last


class UnclosedBucket(Record):
    """Tickets opened from `start` up to the next bucket's start, by what became of them."""

    start: Instant
    opened: int
    open: int
    active: int


class UnclosedReport(Record):
    """Tickets opened in (`since`, `as_of`] whose status is not closed: `count` of `opened`."""

    count: int
    opened: int
    since: Instant
    as_of: Instant
    timezone: str
    buckets: list[UnclosedBucket]
    svg: str


class ResolutionRequest(Body):
    """`months` limits the report to the latest ones; None shows all since the first ticket."""

    months: Annotated[StrictInt, Field(ge=1, le=MONTHS_MAX)] | None = None


class ResolutionMonth(Record):
    """Tickets opened in `month` ("2026-05") of the campus time zone.

    `mean_seconds` is over the `closed` ones only, None where there are none.
    """

    month: str
    closed: int
    still_open: int
    mean_seconds: float | None


class ResolutionReport(Record):
    months: list[ResolutionMonth]
    as_of: Instant
    timezone: str
    svg: str


class ActiveRequest(Body):
    pass


class ActiveCategory(Record):
    category: Category
    active: int


class ActiveReport(Record):
    """Tickets whose status is active, by category; those without one beside them."""

    categories: list[ActiveCategory]
    uncategorised: int
    as_of: Instant
    timezone: str
    svg: str


RpcErrorCode = Literal["bad_request", "unavailable", "internal"]


class RpcErrorBody(Record):
    code: RpcErrorCode
    message: str
    errors: list[FieldError] | None = None
