"""What the pages of reports show: what was asked, and each report or why there is none."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from aiohttp import web

from bus.rpc import RpcError
from contracts.rest import FieldError
from contracts.vocabulary import EVERY_CATEGORY, PeriodUnit, Role
from web import reports
from web.event_clock import EVENT_CLOCK
from web.filters import category, units
from web.i18n import N_, gettext
from web.keys import RPC
from web.pages.report_question import ALL, PARAMETERS, Question, read_question
from web.pages.report_views import (
    TITLES,
    AwayView,
    ReportView,
    ResolutionView,
    View,
    make_view,
)
from web.refusals import NAMES, say_named
from web.render import Page
from web.reports import ANALYSES

TABS = {
    "unclosed": N_("Unclosed"),
    "resolution": N_("Resolution time"),
    "active": N_("Active now"),
    ALL: N_("All"),
}
PERIODS = (("24", "hour"), ("3", "day"), ("7", "day"), ("30", "day"), ("90", "day"), ("365", "day"))
MONTHS = ("12", "24")


class Field(NamedTuple):
    """A field of the form: its kind is that of an input, or it has choices (value, text)."""

    name: str
    label: str
    value: str
    kind: str
    choices: list[tuple[str, str]]
    error: str


class Preset(NamedTuple):
    text: str
    address: str
    is_current: bool


@dataclass(frozen=True, kw_only=True)
class AnalyticsPage(Page):
    """`analysis` is one of the three, ALL, or empty where one is chosen; `position` is live's."""

    analysis: str = ""
    question: Question
    errors: tuple[FieldError, ...] = ()
    views: tuple[View, ...] = ()
    now: datetime
    position: int

    @property
    def heading(self) -> str:
        return gettext(TITLES[self.analysis] if self.is_live else N_("Reports"))

    @property
    def is_live(self) -> bool:
        """Tell whether the page follows its report: the one for paper is of its moment."""
        return self.analysis in ANALYSES

    @property
    def query(self) -> str:
        """Return the question as the first part of a longer address's."""
        query = self.question.query(self.analysis)
        return f"{query}&" if query else ""

    @property
    def numbers(self) -> object:
        """Return what its reports say; where that is the same, there is no news."""
        return [view.numbers for view in self.views]

    @property
    def tabs(self) -> list[tuple[str, str, str]]:
        """Return each page's name, text and address, with as much of the question as it takes."""
        return [(name, gettext(text), self.question.address(name)) for name, text in TABS.items()]

    @property
    def presets(self) -> list[Preset]:
        asked = self.question
        if self.analysis == "unclosed":
            found = [
                (_period_name(last, unit), replace(asked, last=last, unit=f"{unit}s"))
                for last, unit in PERIODS
            ]
        elif self.analysis == "resolution":
            lengths = [(units(int(months), "month"), months) for months in MONTHS]
            found = [
                (text, replace(asked, months=months, since="", until=""))
                for text, months in [*lengths, (gettext("All months"), "")]
            ]
        else:
            return []
        return [Preset(text, to.address(self.analysis), to == asked) for text, to in found]

    @property
    def fields(self) -> list[Field]:
        """Return the form; months that were asked for by their number stand there as the first."""
        names = PARAMETERS[self.analysis or "unclosed"]
        return [self._field(name) for name in names if name != "months"]

    @property
    def odd_errors(self) -> list[str]:
        """Return what is wrong with what has no field."""
        names = [field.name for field in self.fields]
        return [say_named(error) for error in self.errors if error.field not in names]

    def _field(self, name: str) -> Field:
        value = getattr(self.question, name)
        if name == "since":
            value = value or self._first_month
        kind = {"last": "text", "since": "month", "until": "month"}.get(name, "")
        errors = [say_named(error) for error in self.errors if error.field == name]
        return Field(name, gettext(NAMES[name]), value, kind, _choices(name), " ".join(errors))

    @property
    def _first_month(self) -> str:
        if not self.question.months:
            return ""
        shown = [view.report.months for view in self.views if isinstance(view, ResolutionView)]
        return next((months[0].month for months in shown if months), "")


def _period_name(last: str, unit: str) -> str:
    return units(1, "year") if last == "365" else units(int(last), unit)


def _choices(name: str) -> list[tuple[str, str]]:
    if name == "unit":
        return [
            (PeriodUnit.HOURS.value, gettext("hours")),
            (PeriodUnit.DAYS.value, gettext("days")),
        ]
    if name == "category":
        return [
            ("", gettext("All categories")),
            *((value, category(value)) for value in EVERY_CATEGORY),
        ]
    return []


def make_page(app: web.Application, analysis: str, question: Question) -> AnalyticsPage:
    """Return a page without any report."""
    return AnalyticsPage(
        role=Role.HELPDESK,
        section="analytics",
        analysis=analysis,
        question=question,
        now=datetime.now(UTC),
        position=app[EVENT_CLOCK].position,
    )


async def load_view(
    app: web.Application, analysis: str, question: Question, *, chart: bool = True
) -> ReportView:
    """Return one report; raises RpcError, ValidationError."""
    report = await reports.ask(app[RPC], question.request(analysis, chart=chart))
    return make_view(analysis, question, report)


async def load_page(
    app: web.Application, analysis: str, query: Mapping[str, str], *, chart: bool = True
) -> tuple[AnalyticsPage, int]:
    """Return the page that an address asks for, as far as its reports can be had, and its status.

    Without charts where none is wanted.
    """
    question = read_question(query, analysis)
    page = make_page(app, analysis, question)
    if errors := question.errors(analysis):
        return replace(page, errors=errors), 422
    names = ANALYSES if analysis == ALL else (analysis,)
    try:
        found = await asyncio.gather(*(_find_view(app, name, question, chart) for name in names))
    except RpcError as error:
        return replace(page, errors=tuple(error.errors)), 422
    views = tuple(found)
    is_away = all(isinstance(view, AwayView) for view in views)
    return replace(page, views=views), 503 if is_away else 200


async def _find_view(app: web.Application, analysis: str, question: Question, chart: bool) -> View:
    """Return one report, or why it cannot be had; raises RpcError where the worker knows better."""
    try:
        return await load_view(app, analysis, question, chart=chart)
    except RpcError as error:
        if error.code == "bad_request":
            raise
        # What is internal holds a support id; what is away is no concern of the reader's.
        away = str(error) if error.code == "internal" else gettext("Its worker does not answer.")
        return AwayView(analysis, question, away)
