"""What stands on the axes of charts and beside their bars: round figures and dates, in few letters.

All in the reader's language.
"""

from collections.abc import Callable, Sequence
from datetime import date
from functools import lru_cache
from math import ceil, floor, log10
from typing import Any, Final, NamedTuple

from babel import Locale
from babel.dates import format_date, format_skeleton
from babel.numbers import format_decimal
from babel.units import format_unit

from analytics_svc.periods import Grain
from i18n import current_locale

# A chart of tickets is full of small numbers that are the same.
REMEMBERED_NUMBERS: Final = 4_096
GUIDES_MAX: Final = 4


class Rhythm(NamedTuple):
    """How the bars of a grain are called: at most so many, each `steps` of their place.

    On the axis they are a `part`, with the `whole` under it where that changes; `name` says both.
    """

    labels_max: int
    steps: tuple[int, ...]
    place: Callable[[Any], int]
    part: Callable[[Any], str]
    whole: Callable[[Any], str]
    name: Callable[[Any], str]


class Unit(NamedTuple):
    """A unit of time, as CLDR calls it."""

    seconds: int
    name: str


def _day(start: date) -> str:
    return format_skeleton("MMMd", start, locale=current_locale())


def _short_month(start: date) -> str:
    return format_date(start, "LLL", current_locale())


def month(start: date) -> str:
    """Return "May 2026"."""
    return format_skeleton("yMMMM", start, locale=current_locale())


RHYTHMS: Final = {
    Grain.HOUR: Rhythm(
        labels_max=7,
        steps=(1, 3, 6, 12),
        place=lambda start: start.hour,
        part="{:%H:00}".format,
        whole=_day,
        name=lambda start: f"{_day(start)}, {start:%H:00}",
    ),
    Grain.DAY: Rhythm(
        labels_max=12,
        steps=(1, 2, 7, 14),
        place=lambda start: start.toordinal() - 1,
        part=lambda start: str(start.day),
        whole=_short_month,
        name=_day,
    ),
    Grain.MONTH: Rhythm(
        labels_max=12,
        steps=(1, 3, 6, 12),
        place=lambda start: start.month - 1,
        part=_short_month,
        whole="{:%Y}".format,
        name=month,
    ),
}


UNITS: Final = (Unit(86_400, "day"), Unit(3_600, "hour"), Unit(60, "minute"))


def axis_labels(starts: Sequence[date], grain: Grain) -> list[str]:
    """Return the lines of a label for each bar, most of them empty where there are many.

    What is labelled is round: every third hour counts from midnight, every third month from
    January, and every other week starts on a Monday. The day of hours, the month of days and the
    year of months are said where they change.
    """
    rhythm = RHYTHMS[grain]
    fitting = (step for step in rhythm.steps if len(starts) / step <= rhythm.labels_max)
    step = next(fitting, rhythm.steps[-1])
    labelled = [i for i, start in enumerate(starts) if rhythm.place(start) % step == 0]
    # Ten Januaries say nothing, their years do.
    says_part = len(labelled) == 1 or len({rhythm.part(starts[i]) for i in labelled}) > 1
    labels = [""] * len(starts)
    said = ""
    for i in labelled:
        part, whole = rhythm.part(starts[i]), rhythm.whole(starts[i])
        labels[i] = "\n".join([part] * says_part + [whole] * (whole != said))
        said = whole
    return labels


def guides(highest: float, least: float = 0) -> list[float]:
    """Return round values from 0 to `highest` or a little more, `least` or more apart."""
    if not highest:
        return [0, 1]
    magnitude = 10.0 ** floor(log10(highest / GUIDES_MAX))
    steps = (max(least, factor * magnitude) for factor in (1, 2, 5, 10))
    step = next(step for step in steps if step * GUIDES_MAX >= highest * 0.999)
    return [step * i for i in range(ceil(highest / step * 0.999) + 1)]


def unit_of(longest_seconds: float) -> Unit:
    """Return the unit in which the longest time is a number that people can grasp."""
    fitting = (unit for unit in UNITS if longest_seconds >= 2 * unit.seconds)
    return next(fitting, UNITS[-1])


def duration(seconds: float) -> str:
    """Return "2.3 days", each time in the unit that fits it."""
    unit = unit_of(seconds)
    name = f"duration-{unit.name}"
    return format_unit(round(seconds / unit.seconds, 1), name, locale=current_locale())


def figure(value: float) -> str:
    """Return what is printed above a column: three digits have no room for a fourth."""
    return decimal(value, "#,##0.0" if value < 100 else "#,##0") if value else ""


def count(value: float) -> str:
    """Return a whole number."""
    return decimal(round(value))


def decimal(value: float, pattern: str | None = None) -> str:
    """Return a number, with as many decimals as it has or the pattern says."""
    return _written(value, pattern, current_locale())


@lru_cache(REMEMBERED_NUMBERS)
def _written(value: float, pattern: str | None, locale: Locale) -> str:
    return format_decimal(value, pattern, locale)
