"""The three reports: chart, the same numbers as a table and as CSV, and what they mean.

The numbers come from the report workers as they are; nothing is counted here.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from aiohttp import web
from pydantic import ValidationError

from bus.rpc import RpcError
from bus.rpc_client import RpcClient
from contracts.fields import format_instant
from contracts.messages import ActiveReport, ResolutionReport, UnclosedReport, UnclosedRequest
from contracts.rest import FieldError, field_errors
from contracts.vocabulary import PeriodUnit, Role
from web import reports
from web.i18n import N_, current_language, gettext
from web.keys import LIVE, RPC, SETTINGS
from web.refusals import say_field
from web.render import Page, blocks_response, page_response, wants_fragment
from web.role import require_helpdesk

# Of each of some hundred months: closed, not closed.
REMEMBERED_ADDRESSES = 1_024
TEMPLATE = "analytics.html"
# A chart becomes part of our own page, so it may hold these shapes and looks and nothing else. The
# analytics service promises that; this is the second lock.
_SHAPE = re.compile(
    r"</?(svg|title|g|path|rect|text)"
    r"( (xmlns|viewBox|class|role|aria-label|transform|x|y|width|height|d|fill|stroke"
    r'|font-family|font-size|font-weight|text-anchor)="[^"<>]*")* ?/?>'
)
# A spreadsheet takes what starts like this for a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

TITLES = {
    "": N_("Reports"),
    "unclosed": N_("Unclosed tickets in a period"),
    "resolution": N_("Resolution time by month"),
    "active": N_("Active tickets by category"),
}
TABS = (
    ("unclosed", N_("Unclosed")),
    ("resolution", N_("Resolution time")),
    ("active", N_("Active now")),
)

Report = UnclosedReport | ResolutionReport | ActiveReport
Cell = str | int | float | datetime | None


@dataclass(frozen=True)
class Period:
    """The form of the first report, as typed, and what is wrong with it."""

    last: str = "7"
    unit: str = PeriodUnit.DAYS.value
    errors: tuple[FieldError, ...] = ()

    @property
    def query(self) -> str:
        return urlencode({"last": self.last, "unit": self.unit})

    def error_of(self, field: str) -> str:
        """Return what is wrong with a field, empty where it is right."""
        return "; ".join(say_field(error) for error in self.errors if error.field == field)


@dataclass(frozen=True, kw_only=True)
class AnalyticsPage(Page):
    analysis: str = ""
    period: Period
    now: datetime
    since: int
    report: Report | None = None
    chart: str = ""  # SVG that may stand in the page
    away: str = ""
    tabs: tuple[tuple[str, str], ...] = TABS
    timezone: ZoneInfo

    @property
    def heading(self) -> str:
        return gettext(TITLES[self.analysis])

    @property
    def query(self) -> str:
        """Return the part of the address that the downloads need too."""
        return f"?{self.period.query}" if self.analysis == "unclosed" else ""

    @property
    def numbers(self) -> object:
        """Return what the report says, without what changes as time goes by."""
        report = self.report
        if isinstance(report, UnclosedReport):
            buckets = [(b.opened, b.open, b.active) for b in report.buckets]
            return report.count, report.opened, buckets
        return report and report.model_dump(exclude={"as_of", "svg"})

    def tickets_of_month(self, month: str, *status: str) -> str:
        """Return the address of the list of the tickets opened in a campus month."""
        return _tickets_of_month(month, self.timezone, *status)

    @staticmethod
    def tickets_between(start: datetime, end: datetime, *status: str) -> str:
        """Return the address of the list of the tickets opened from `start` up to `end`."""
        return _tickets_between(start, end, *status)


def _tickets_between(start: datetime, end: datetime, *status: str) -> str:
    pairs = [("status", value) for value in status]
    pairs += [("opened_from", format_instant(start)), ("opened_to", format_instant(end))]
    return f"/tickets?{urlencode(pairs)}"


@lru_cache(REMEMBERED_ADDRESSES)
def _tickets_of_month(month: str, timezone: ZoneInfo, *status: str) -> str:
    start = datetime.strptime(month, "%Y-%m").replace(tzinfo=timezone)
    end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return _tickets_between(start, end, *status)


async def choose(request: web.Request) -> web.Response:
    """Show the three analyses."""
    require_helpdesk(request)
    return page_response(request, TEMPLATE, _page(request.app, "", read_period(request.query)))


async def show(request: web.Request) -> web.Response:
    """Show one report; where its worker is away the page says so, and stays usable."""
    page, status = await _load(request)
    if wants_fragment(request):
        return blocks_response(request, TEMPLATE, page, ["analysis"], status=status)
    return page_response(request, TEMPLATE, page, status=status)


async def download(request: web.Request) -> web.Response:
    """Return one report's chart or its rows as a file."""
    page, status = await _load(request)
    if page.report is None:
        return page_response(request, TEMPLATE, page, status=status)
    kind = request.match_info["kind"]
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{page.analysis}.{kind}"',
    }
    if kind == "svg":
        return web.Response(text=page.chart, content_type="image/svg+xml", headers=headers)
    return web.Response(text=to_csv(_rows(page.report)), content_type="text/csv", headers=headers)


async def load_report(app: web.Application, analysis: str, period: Period) -> AnalyticsPage:
    """Return the page of one report; raises RpcError, ValidationError."""
    page = _page(app, analysis, period)
    report = await _ask(app[RPC], analysis, period)
    return replace(page, report=report, chart=safe_svg(report.svg))


async def _load(request: web.Request) -> tuple[AnalyticsPage, int]:
    require_helpdesk(request)
    analysis, period = request.match_info["analysis"], read_period(request.query)
    page = _page(request.app, analysis, period)
    if period.errors:
        return page, 422
    try:
        return await load_report(request.app, analysis, period), 200
    except ValidationError as error:
        errors = tuple(field_errors(error.errors()))
        return replace(page, period=replace(page.period, errors=errors)), 422
    except RpcError as error:
        if error.code == "bad_request":
            period = replace(page.period, errors=tuple(error.errors))
            return replace(page, period=period), 422
        # What is internal holds a support id; what is away is no concern of the reader's.
        away = str(error) if error.code == "internal" else gettext("Its worker does not answer.")
        return replace(page, away=away), 503


async def _ask(rpc: RpcClient, analysis: str, period: Period) -> Report:
    if analysis == "unclosed":
        fields = {
            "last": int(period.last),
            "unit": period.unit,
            "language": current_language(),
        }
        return await reports.unclosed(rpc, UnclosedRequest.model_validate(fields))
    return await (reports.resolution if analysis == "resolution" else reports.active)(rpc)


def read_period(query: Mapping[str, str]) -> Period:
    """Return the period that an address names, and what is wrong with it."""
    last, unit = query.get("last", "7").strip(), query.get("unit", PeriodUnit.DAYS.value)
    errors: tuple[FieldError, ...] = ()
    if not re.fullmatch(r"-?[0-9]{1,12}", last, re.ASCII):
        errors = (FieldError(field="last", message="must be a whole number", code="int_parsing"),)
    return Period(last, unit, errors)


def _page(app: web.Application, analysis: str, period: Period) -> AnalyticsPage:
    return AnalyticsPage(
        role=Role.HELPDESK,
        section="analytics",
        analysis=analysis,
        period=period,
        now=datetime.now(UTC),
        since=app[LIVE].position,
        timezone=app[SETTINGS].timezone,
    )


def safe_svg(svg: str) -> str:
    """Return the chart for use inside a page; raises RpcError where it holds more than shapes."""
    if "<" in _SHAPE.sub("", svg):
        raise RpcError("internal", "The chart is not safe to show.")
    return svg


def to_csv(rows: Iterable[Iterable[Cell]]) -> str:
    """Return RFC 4180 text whose cells no spreadsheet takes for formulas."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([map(_cell, row) for row in rows])
    return out.getvalue()


def _cell(value: Cell) -> str | int | float:
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value


def _rows(report: Report) -> list[tuple[Cell, ...]]:
    if isinstance(report, UnclosedReport):
        buckets = [(b.start, b.opened, b.open, b.active) for b in report.buckets]
        return [("start", "opened", "open", "active"), *buckets]
    if isinstance(report, ResolutionReport):
        months = [(m.month, m.closed, m.still_open, m.mean_seconds) for m in report.months]
        return [("month", "closed", "still_open", "mean_seconds"), *months]
    categories = [(c.category.value, c.active) for c in report.categories]
    return [("category", "active"), *categories, ("none", report.uncategorised)]
