"""Draws the three reports with pygal; the same numbers are drawn once.

Every text that a chart shows is made here, every colour too. Nothing here knows the time: a
drawing that held it could never be used again.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from functools import lru_cache, update_wrapper
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, cast
from xml.etree.ElementTree import tostring

from babel.dates import format_date, format_skeleton
from babel.numbers import format_decimal

from analytics_svc.i18n import gettext as _
from analytics_svc.i18n import ngettext
from analytics_svc.periods import Grain
from analytics_svc.svg import FONT_SIZE, MARGIN, Series, polish
from analytics_svc.unhooked import Style, pygal
from contracts.vocabulary import Category, Language
from i18n import N_, current_locale, speaking

# Wide enough for a page, with letters that are still read at the width of a phone.
WIDTH: Final = 640
HEIGHT: Final = 340
# In each language.
REMEMBERED_CHARTS: Final = 256
# More values than these would touch one another above the bars.
VALUES_MAX: Final = 12
# Where there are fewer bars than these, they are no wider.
BARS_WIDE: Final = 8

# At least 3:1 against white; the statuses have the colours that they have on the pages.
OPEN: Final = Series("open", "#d97706")
ACTIVE: Final = Series("active", "#2563eb")
MEAN: Final = Series("mean", "#0f766e")

CATEGORY_NAMES: Final = {
    Category.FACILITY_MANAGEMENT: N_("Facility management"),
    Category.TECHNICAL_IT: N_("Technical / IT"),
    Category.SERVICES_COMPLAINTS: N_("Services & complaints"),
    None: N_("No category yet"),
}

# Only for room: what a text looks like is svg.PAINT's.
_STYLE: Final = Style(
    **dict.fromkeys(
        [
            "label_font_size",
            "major_label_font_size",
            "value_font_size",
            "title_font_size",
            "no_data_font_size",
        ],
        FONT_SIZE,
    )
)


class _Rhythm(NamedTuple):
    """How the bars of a grain are labelled: at most so many, each `steps` of their place."""

    labels_max: int
    steps: tuple[int, ...]
    place: Callable[[Any], int]
    first: Callable[[Any], str]
    other: Callable[[Any], str]


def _day(start: date) -> str:
    return format_skeleton("MMMd", start, locale=current_locale())


def _month(start: date) -> str:
    return format_date(start, "LLL", current_locale())


_RHYTHMS: Final = {
    Grain.HOUR: _Rhythm(9, (1, 3, 6, 12), lambda start: start.hour, _day, "{:%H:00}".format),
    Grain.DAY: _Rhythm(9, (1, 2, 7, 14), lambda start: start.toordinal() - 1, _day, _day),
    Grain.MONTH: _Rhythm(12, (1, 3, 6, 12), lambda start: start.month - 1, "{:%Y}".format, _month),
}
UNCLOSED_TITLES: Final = {
    Grain.HOUR: N_("Tickets not closed, by hour of opening"),
    Grain.DAY: N_("Tickets not closed, by day of opening"),
    Grain.MONTH: N_("Tickets not closed, by month of opening"),
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
def unclosed(grain: Grain, bars: tuple[tuple[datetime, int, int], ...]) -> str:
    """Draw (campus clock at the start, open, active) of each bucket as stacked bars."""
    title = _(UNCLOSED_TITLES[grain])
    n_open, n_active = sum(bar[1] for bar in bars), sum(bar[2] for bar in bars)
    chart = pygal.StackedBar(
        **_options(title),
        x_labels=_thinned([bar[0] for bar in bars], grain),
        order_min=0,  # no guides between whole tickets
        value_formatter=_count,
        show_y_labels=n_open + n_active > 0,
        no_data_text=_("No such tickets in this period"),
    )
    if n_open + n_active:
        chart.add(_("Open"), [bar[1] for bar in bars])
        chart.add(_("Active"), [bar[2] for bar in bars])
    heard = _("%(title)s: %(open)s open, %(active)s active")
    figures = {"title": title, "open": _count(n_open), "active": _count(n_active)}
    return _render(chart, heard % figures, {_("Open"): OPEN, _("Active"): ACTIVE})


@_remembered
def resolution(months: tuple[tuple[date, float | None], ...]) -> str:
    """Draw the mean seconds to close of each month as bars; None has no bar."""
    means = [seconds for _, seconds in months if seconds is not None]
    unit_seconds, title = _time_unit(max(means, default=0.0))
    chart = pygal.Bar(
        **_options(title),
        x_labels=_thinned([month for month, _mean in months], Grain.MONTH),
        print_values=len(months) <= VALUES_MAX,
        print_values_position="top",
        formatter=lambda mean: "" if mean is None else _decimal(mean, "#,##0.0"),
        value_formatter=_decimal,
        show_y_labels=bool(means),
        no_data_text=_("No closed tickets yet"),
    )
    if means:
        chart.add(title, [None if mean is None else mean / unit_seconds for _month, mean in months])
    heard = ngettext(
        "%(title)s: %(n)s month with closed tickets",
        "%(title)s: %(n)s months with closed tickets",
        len(means),
    )
    return _render(chart, heard % {"title": title, "n": len(means)}, {title: MEAN})


@_remembered
def active(counts: tuple[tuple[Category | None, int], ...]) -> str:
    """Draw how many tickets are active in each category as bars, the longest on top."""
    ranked = sorted(counts, key=lambda row: -row[1])[::-1]  # pygal starts at the bottom
    title = _("Active tickets, by category")
    names = {category: _(name) for category, name in CATEGORY_NAMES.items()}
    chart = pygal.HorizontalBar(
        **_options(title),
        x_labels=[names[category] for category, _n in ranked],
        show_x_labels=False,
        print_values=True,
        print_values_position="top",
        value_formatter=_count,
        range=(0, max(1, ranked[-1][1] * 1.12)),  # room for the longest bar's value
    )
    chart.add(_("Active"), [n for _category, n in ranked])
    heard = ", ".join(f"{names[category]} {_count(n)}" for category, n in reversed(ranked))
    return _render(chart, f"{title}: {heard}", {_("Active"): ACTIVE}, value_anchor="start")


def _options(title: str) -> dict[str, object]:
    return {
        "title": title,
        "width": WIDTH,
        "height": HEIGHT,
        "margin": MARGIN,
        "spacing": 10,
        "style": _STYLE,
        "max_scale": 6,
        "truncate_label": -1,
        "show_legend": False,
        "js": [],
        "css": [],
    }


def _render(
    chart: pygal.Graph, label: str, series: Mapping[str, Series], value_anchor: str = "middle"
) -> str:
    # The share of its room that a bar leaves free on either side: few bars don't become blocks.
    chart._series_margin = max(0.12, 0.5 - len(chart.config.x_labels) / BARS_WIDE / 2)
    return tostring(polish(chart.render_tree(), label, series, value_anchor), encoding="unicode")


def _thinned(starts: Sequence[date], grain: Grain) -> list[str]:
    """Return a label for each bar, most of them empty where there are many.

    What is labelled is round: every third hour counts from midnight, every third month from
    January, and every other week starts on a Monday.
    """
    rhythm = _RHYTHMS[grain]
    fitting = (step for step in rhythm.steps if len(starts) / step <= rhythm.labels_max)
    step = next(fitting, rhythm.steps[-1])
    places = [rhythm.place(start) for start in starts]
    return [
        "" if place % step else (rhythm.other if place else rhythm.first)(start)
        for place, start in zip(places, starts, strict=True)
    ]


def _time_unit(longest_seconds: float) -> tuple[int, str]:
    """Return the unit in which the longest mean is a number that people can grasp, and the title.

    The unit is in seconds.
    """
    if longest_seconds >= 2 * 86_400:
        return 86_400, _("Mean time to close in days, by month of opening")
    if longest_seconds >= 2 * 3_600:
        return 3_600, _("Mean time to close in hours, by month of opening")
    return 60, _("Mean time to close in minutes, by month of opening")


def _decimal(value: float, pattern: str | None = None) -> str:
    return format_decimal(value, pattern, current_locale())


def _count(value: float | None) -> str:
    return _decimal(round(value or 0))
