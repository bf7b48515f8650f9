"""What pages show of each report: every number with the address of the list of its tickets.

The numbers come from the report workers as they are; nothing is counted here.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple
from zoneinfo import ZoneInfo

from contracts.list_address import TICK, UNCLOSED, list_address
from contracts.reports import (
    ActiveReport,
    OldTicket,
    ResolutionMonth,
    ResolutionReport,
    UnclosedReport,
)
from contracts.vocabulary import NO_CATEGORY, Status
from web.i18n import N_, gettext
from web.pages.report_files import safe_svg
from web.pages.report_question import Question
from web.reports import Report

# Months and midnights come again, in every page of every reader.
REMEMBERED_ADDRESSES = 4_096
EVERY = tuple(Status)
# What changes as time goes by although nothing has happened; and charts are made of the numbers.
_NO_NEWS: Any = {
    "since": True,
    "as_of": True,
    "before": {"since"},
    "buckets": {"__all__": {"start"}},
    "ages": {"__all__": {"since", "until"}},
    "svg": True,
    "ages_svg": True,
}
OPEN, ACTIVE, CLOSED = (Status.OPEN,), (Status.ACTIVE,), (Status.CLOSED,)

TITLES = {
    "unclosed": N_("Unclosed tickets in a period"),
    "resolution": N_("Resolution time by month"),
    "active": N_("Active tickets by category"),
}


class Count(NamedTuple):
    """How many tickets, and where the list of exactly these is; empty where there are none."""

    n: int
    address: str


@lru_cache(REMEMBERED_ADDRESSES)
def _address(
    statuses: tuple[Status, ...], category: str, since: datetime | None, until: datetime | None
) -> str:
    return list_address(statuses, category=category, since=since, until=until)


@lru_cache(REMEMBERED_ADDRESSES)
def month_bounds(month: str, timezone: str) -> tuple[datetime, datetime]:
    """Return where a campus month such as "2026-05" begins and where the next one does."""
    start = datetime.strptime(month, "%Y-%m").replace(tzinfo=ZoneInfo(timezone))
    return start, start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


@dataclass(frozen=True)
class View:
    """One analysis as it was asked for; `template` shows it."""

    template: ClassVar[str]
    analysis: str
    question: Question

    @property
    def heading(self) -> str:
        return gettext(TITLES[self.analysis])

    @property
    def numbers(self) -> object:
        """Return what is said, without what changes as time goes by."""
        return None

    @property
    def address(self) -> str:
        return self.question.address(self.analysis)

    def file(self, kind: str, part: str = "") -> str:
        """Return the address of the report's rows (csv) or chart (svg), or of those of a part."""
        address = self.question.address(self.analysis, f".{kind}")
        return f"{address}{'&' if '?' in address else '?'}part={part}" if part else address

    def _count(
        self,
        n: int,
        statuses: tuple[Status, ...],
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Count:
        return Count(n, _address(statuses, self.question.category, since, until) if n else "")


@dataclass(frozen=True)
class ReportView(View):
    """A report that is there; its chart may stand in the page."""

    report: Report
    chart: str

    @property
    def numbers(self) -> object:
        return self.report.model_dump(exclude=_NO_NEWS)


class BucketRow(NamedTuple):
    """Tickets opened from `start` on; a time is told unless the buckets are days or longer."""

    start: datetime
    is_whole_day: bool
    opened: Count
    open: Count
    active: Count


class AgeRow(NamedTuple):
    """Between so many campus days ago; None: and earlier."""

    days_from: int
    days_to: int | None
    open: Count
    active: Count


@dataclass(frozen=True)
class UnclosedView(ReportView):
    report: UnclosedReport
    ages_chart: str
    template = "report_unclosed.html"

    @property
    def length(self) -> int:
        """Return how many hours or days there are in the period."""
        return int(self.question.last)

    @property
    def count(self) -> Count:
        return self._in_period(self.report.count, UNCLOSED)

    @property
    def opened(self) -> Count:
        return self._in_period(self.report.opened, EVERY)

    @property
    def opened_before(self) -> Count:
        return self._before(self.report.before.opened, EVERY)

    @property
    def count_before(self) -> Count:
        return self._before(self.report.before.count, UNCLOSED)

    @property
    def rows(self) -> list[BucketRow]:
        """Return the buckets, the latest first."""
        report = self.report
        turns = [bucket.start for bucket in report.buckets[1:]]
        zone = ZoneInfo(report.timezone)
        are_days = all(turn.astimezone(zone).hour == 0 for turn in turns)
        bounds = pairwise([report.since + TICK, *turns, report.as_of + TICK])
        rows = [
            BucketRow(
                bucket.start,
                are_days and place > 0,
                self._count(bucket.opened, EVERY, *period),
                self._count(bucket.open, OPEN, *period),
                self._count(bucket.active, ACTIVE, *period),
            )
            for place, (bucket, period) in enumerate(zip(report.buckets, bounds, strict=True))
        ]
        return rows[::-1]

    @property
    def unclosed(self) -> Count:
        return self._count(self.report.unclosed, UNCLOSED)

    @property
    def ages(self) -> list[AgeRow]:
        bands = self.report.ages
        days_from = [0, *(band.days + 1 for band in bands if band.days is not None)]
        return [
            AgeRow(
                days,
                band.days,
                self._count(band.open, OPEN, band.since, band.until),
                self._count(band.active, ACTIVE, band.since, band.until),
            )
            for days, band in zip(days_from, bands, strict=True)
        ]

    def _in_period(self, n: int, statuses: tuple[Status, ...]) -> Count:
        return self._count(n, statuses, self.report.since + TICK, self.report.as_of + TICK)

    def _before(self, n: int, statuses: tuple[Status, ...]) -> Count:
        since, until = self.report.before.since, self.report.since
        return self._count(n, statuses, since + TICK, until + TICK)


class MonthRow(NamedTuple):
    month: ResolutionMonth
    closed: Count
    still_open: Count


@dataclass(frozen=True)
class ResolutionView(ReportView):
    report: ResolutionReport
    template = "report_resolution.html"

    @property
    def closed(self) -> Count:
        return self._in_months(self.report.closed, CLOSED)

    @property
    def still_open(self) -> Count:
        return self._in_months(self.report.still_open, UNCLOSED)

    @property
    def closed_before(self) -> Count:
        before = self.report.before
        if before is None:
            return Count(0, "")
        return self._between(before.closed, CLOSED, before.since, before.until)

    @property
    def rows(self) -> list[MonthRow]:
        """Return the months, the latest first."""
        return [
            MonthRow(
                month,
                self._between(month.closed, CLOSED, month.month, month.month),
                self._between(month.still_open, UNCLOSED, month.month, month.month),
            )
            for month in reversed(self.report.months)
        ]

    def _in_months(self, n: int, statuses: tuple[Status, ...]) -> Count:
        months = self.report.months
        return self._between(n, statuses, months[0].month, months[-1].month) if n else Count(0, "")

    def _between(self, n: int, statuses: tuple[Status, ...], first: str, last: str) -> Count:
        since, _ = month_bounds(first, self.report.timezone)
        _, until = month_bounds(last, self.report.timezone)
        return self._count(n, statuses, since, until)


class CategoryRow(NamedTuple):
    category: str
    active: Count
    oldest: OldTicket | None


@dataclass(frozen=True)
class ActiveView(ReportView):
    report: ActiveReport
    template = "report_active.html"

    @property
    def total(self) -> Count:
        active = [item.active for item in self.report.categories]
        return self._count(sum(active, self.report.uncategorised), ACTIVE)

    @property
    def rows(self) -> list[CategoryRow]:
        """Return the categories that were asked for, those without one last."""
        report = self.report
        rows = [
            _category_row(item.category, item.active, item.oldest) for item in report.categories
        ]
        if self.question.category in ("", NO_CATEGORY):
            oldest = report.oldest_uncategorised
            rows.append(_category_row(NO_CATEGORY, report.uncategorised, oldest))
        return rows


def _category_row(category: str, active: int, oldest: OldTicket | None) -> CategoryRow:
    address = _address(ACTIVE, category, None, None) if active else ""
    return CategoryRow(category, Count(active, address), oldest)


@dataclass(frozen=True)
class AwayView(View):
    """A report that cannot be had at the moment, and why."""

    reason: str
    template = "report_away.html"


def make_view(analysis: str, question: Question, report: Report) -> ReportView:
    """Return what pages show of a report; raises RpcError where its chart is not safe."""
    chart = safe_svg(report.svg)
    if isinstance(report, UnclosedReport):
        ages_chart = safe_svg(report.ages_svg)
        return UnclosedView(analysis, question, report, chart, ages_chart)
    if isinstance(report, ResolutionReport):
        return ResolutionView(analysis, question, report, chart)
    return ActiveView(analysis, question, report, chart)
