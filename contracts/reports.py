"""What the three reports are asked with, and what they answer: RPC bodies on RabbitMQ."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, StrictInt, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from contracts.fields import Body, CategoryOrNone, Id, Instant, Record
from contracts.vocabulary import (
    MONTHS_MAX,
    PERIOD_MAX_DAYS,
    PERIOD_MAX_HOURS,
    Category,
    Language,
    PeriodUnit,
    Status,
)


class ReportRequest(Body):
    """What every report is asked with.

    `category` leaves only its tickets; `language` is that of the words in a chart; without `chart`
    nothing is drawn and every `svg` is empty.
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
