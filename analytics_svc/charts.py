"""Draws the reports with pygal; the same numbers are drawn once.

Every text that a chart shows is made here, every colour too. Nothing here knows the time: a
drawing that held it could never be used again.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from functools import lru_cache, update_wrapper
from typing import Concatenate, Final, NamedTuple, ParamSpec, cast
from xml.etree.ElementTree import tostring

from babel.dates import format_skeleton
from babel.units import format_unit

from analytics_svc.i18n import gettext as _
from analytics_svc.i18n import ngettext
from analytics_svc.labels import (
    RHYTHMS,
    axis_labels,
    count,
    decimal,
    duration,
    figure,
    guides,
    month,
    unit_of,
)
from analytics_svc.periods import Grain
from analytics_svc.svg import Columns, Look, Marks, Rows, TallRows
from analytics_svc.unhooked import pygal
from contracts.vocabulary import Category, Language
from i18n import N_, current_locale, speaking

# In each language.
REMEMBERED_CHARTS: Final = 256
# More values than these would touch one another above the bars.
VALUES_MAX: Final = 12

# At least 3:1 against white; the statuses have the colours that they have on the pages.
OPEN: Final = Look("open", "#d97706")
ACTIVE: Final = Look("active", "#1c6fb8")
# Also 3:1 against the marks of the medians.
MEAN: Final = Look("mean", "#2a9484")
# Told from the others by its outline, not by its colour.
PROVISIONAL: Final = Look("provisional", "#e3f1ee", "#2a9484")
MEDIAN: Final = "median"

CATEGORY_NAMES: Final = {
    Category.FACILITY_MANAGEMENT: N_("Facility management"),
    Category.TECHNICAL_IT: N_("Technical / IT"),
    Category.SERVICES_COMPLAINTS: N_("Services & complaints"),
    None: N_("No category yet"),
}


class OpenedBar(NamedTuple):
    """What was opened in one bucket of a period and is not closed; `start` is a campus clock."""

    start: datetime
    open: int
    active: int
    open_href: str
    active_href: str


class AgeBar(NamedTuple):
    """What is not closed and between so many campus days old, both included; None: and older."""

    days_from: int
    days_to: int | None
    open: int
    active: int
    open_href: str
    active_href: str


class MonthBar(NamedTuple):
    """How long the closed tickets of an opening month took; without any there are no figures."""

    month: date
    mean_seconds: float | None
    median_seconds: float | None
    provisional: bool
    href: str


class CategoryBar(NamedTuple):
    """What is active in a category; `oldest` is the campus date on which its first was opened."""

    category: Category | None
    active: int
    oldest: date | None
    href: str


UNCLOSED_TITLES: Final = {
    Grain.HOUR: N_("Tickets not closed, by hour of opening"),
    Grain.DAY: N_("Tickets not closed, by day of opening"),
    Grain.MONTH: N_("Tickets not closed, by month of opening"),
}
RESOLUTION_TITLES: Final = {
    "day": N_("Resolution time in days, by month of opening"),
    "hour": N_("Resolution time in hours, by month of opening"),
    "minute": N_("Resolution time in minutes, by month of opening"),
}

# pygal holds the interpreter for milliseconds: one thread, so that the event loop and the other
# charts take turns, and what two callers want at once is drawn once.
_PEN = ThreadPoolExecutor(max_workers=1, thread_name_prefix="chart")
_Numbers = ParamSpec("_Numbers")


def _remembered(chart: Callable[_Numbers, str]) -> Callable[Concatenate[Language, _Numbers], str]:
    """Let a chart be drawn in a language, and once for the same numbers in it."""

    def drawn(language: Language, *args: _Numbers.args, **kwargs: _Numbers.kwargs) -> str:
        with speaking(language):
            return chart(*args, **kwargs)

    # lru_cache forgets what it is called with, for mypy too.
    remembered = lru_cache(REMEMBERED_CHARTS)(update_wrapper(drawn, chart))
    return cast(Callable[Concatenate[Language, _Numbers], str], remembered)


async def draw(
    chart: Callable[_Numbers, str], *args: _Numbers.args, **kwargs: _Numbers.kwargs
) -> str:
    """Return the SVG of a chart without holding the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_PEN, lambda: chart(*args, **kwargs))


@_remembered
def unclosed(grain: Grain, bars: tuple[OpenedBar, ...]) -> str:
    """Draw how many tickets of each bucket are open and active as stacked columns."""
    title = _(UNCLOSED_TITLES[grain])
    chart = Columns(
        _heard_unclosed(title, bars),
        (OPEN, ACTIVE),
        title=title,
        x_labels=axis_labels([bar.start for bar in bars], grain),
        y_labels=guides(max(bar.open + bar.active for bar in bars), least=1),
        value_formatter=count,
        no_data_text=_("No such tickets in this period"),
    )
    _add_unclosed(chart, [RHYTHMS[grain].name(bar.start) for bar in bars], bars)
    return _svg(chart)


@_remembered
def ages(bars: tuple[AgeBar, ...]) -> str:
    """Draw how many tickets of each age are open and active as stacked rows."""
    title = _("Tickets not closed, by age")
    names = [_age(bar) for bar in bars]
    totals = [bar.open + bar.active for bar in bars]
    chart = Rows(
        _heard_unclosed(title, bars),
        (OPEN, ACTIVE),
        [count(total) for total in totals],
        title=title,
        x_labels=names,
        range=(0, max(totals)),
        no_data_text=_("Every ticket is closed"),
    )
    _add_unclosed(chart, names, bars)
    return _svg(chart)


@_remembered
def resolution(bars: tuple[MonthBar, ...]) -> str:
    """Draw the mean time to close of each month as columns, its median as a mark across."""
    means = [bar.mean_seconds or 0 for bar in bars]
    medians = [bar.median_seconds for bar in bars]
    longest = max(*means, *(median or 0 for median in medians))
    unit = unit_of(longest)
    n_closed = sum(map(bool, means))
    title = _(RESOLUTION_TITLES[unit.name])
    heard = ngettext(
        "%(title)s: %(n)s month with closed tickets",
        "%(title)s: %(n)s months with closed tickets",
        n_closed,
    )
    chart = Columns(
        heard % {"title": title, "n": n_closed},
        (MEAN, PROVISIONAL),
        [figure(mean / unit.seconds) for mean in means] if len(bars) <= VALUES_MAX else (),
        title=title,
        x_labels=axis_labels([bar.month for bar in bars], Grain.MONTH),
        y_labels=guides(longest / unit.seconds),
        value_formatter=decimal,
        no_data_text=_("No closed tickets yet"),
    )
    if n_closed:
        for name, provisional in ((_("Mean"), False), (_("Provisional"), True)):
            chosen = [
                _linked(mean / unit.seconds, bar.href, _month_title(bar))
                if bar.provisional is provisional
                else 0
                for bar, mean in zip(bars, means, strict=True)
            ]
            if any(chosen) or not provisional:
                chart.add(name, chosen)
        marks = [None if median is None else median / unit.seconds for median in medians]
        chart.marks = Marks(_("Median"), MEDIAN, marks)
    return _svg(chart)


@_remembered
def active(bars: tuple[CategoryBar, ...]) -> str:
    """Draw how many tickets are active in each category as rows, the longest on top."""
    ranked = sorted(bars, key=lambda bar: -bar.active)
    title = _("Active tickets, by category")
    names = [_(CATEGORY_NAMES[bar.category]) for bar in ranked]
    named = list(zip(names, ranked, strict=True))
    heard = ", ".join(f"{name} {count(bar.active)}" for name, bar in named)
    chart = TallRows(
        f"{title}: {heard}",
        (ACTIVE,),
        [_with_oldest(bar) for bar in ranked],
        title=title,
        x_labels=names,
        range=(0, ranked[0].active),
        no_data_text=_("No active tickets"),
    )
    if ranked[0].active:
        linked = [
            _linked(bar.active, bar.href, _active_title(name, bar.active)) for name, bar in named
        ]
        chart.add(_("Active"), linked)
    return _svg(chart)


def _svg(chart: pygal.Graph) -> str:
    return tostring(chart.render_tree(), encoding="unicode")


def _linked(value: float, href: str, title: str) -> dict[str, object] | int:
    return {"value": value, "xlink": href, "tooltip": title} if value else 0


def _add_unclosed(
    chart: pygal.Graph, names: Sequence[str], bars: Sequence[OpenedBar | AgeBar]
) -> None:
    if not any(bar.open or bar.active for bar in bars):
        return
    open_, active_ = [], []
    for name, bar in zip(names, bars, strict=True):
        open_.append(_linked(bar.open, bar.open_href, _open_title(name, bar.open)))
        active_.append(_linked(bar.active, bar.active_href, _active_title(name, bar.active)))
    chart.add(_("Open"), open_)
    chart.add(_("Active"), active_)


def _heard_unclosed(title: str, bars: Sequence[OpenedBar | AgeBar]) -> str:
    n_open, n_active = sum(bar.open for bar in bars), sum(bar.active for bar in bars)
    heard = _("%(title)s: %(open)s open, %(active)s active")
    return heard % {"title": title, "open": count(n_open), "active": count(n_active)}


def _open_title(name: str, n: int) -> str:
    said = ngettext("%(name)s: %(n)s open", "%(name)s: %(n)s open", n)
    return said % {"name": name, "n": count(n)}


def _active_title(name: str, n: int) -> str:
    said = ngettext("%(name)s: %(n)s active", "%(name)s: %(n)s active", n)
    return said % {"name": name, "n": count(n)}


def _month_title(bar: MonthBar) -> str:
    said = _("%(month)s: mean %(mean)s, median %(median)s")
    mean, median = duration(bar.mean_seconds or 0), duration(bar.median_seconds or 0)
    return said % {"month": month(bar.month), "mean": mean, "median": median}


def _with_oldest(bar: CategoryBar) -> str:
    if bar.oldest is None:
        return count(bar.active)
    day = format_skeleton("yMMMd", bar.oldest, locale=current_locale())
    return _("%(n)s · oldest of %(day)s") % {"n": count(bar.active), "day": day}


def _age(bar: AgeBar) -> str:
    if bar.days_to is None:
        n = bar.days_from - 1
        return ngettext("More than %(n)s day", "More than %(n)s days", n) % {"n": count(n)}
    if bar.days_to == 0:
        return _("Today")
    if bar.days_from == bar.days_to:
        return format_unit(bar.days_to, "duration-day", locale=current_locale())
    days = {"first": count(bar.days_from), "last": count(bar.days_to)}
    return _("%(first)s–%(last)s days") % days
