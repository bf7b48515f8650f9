"""When people report and helpdesk works: hours, weeks, terms and holidays of a campus.

The shares are invented, after the calendar of an Italian university.
"""

import random
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple
from zoneinfo import ZoneInfo

from contracts.vocabulary import Category

SPAN_DAYS = 730
_OF_WEEKDAY = (1.15, 1.05, 1.0, 0.95, 0.75, 0.15, 0.1)
# From 0 to 23 o'clock: before lectures, after lunch, and evenings in the residences.
_OF_HOUR = (1, 1, 0, 0, 0, 0, 1, 4, 11, 14, 12, 10, 6, 7, 11, 9, 7, 5, 3, 3, 3, 4, 3, 2)
_OPENS, _CLOSES = time(8), time(18)
_SPREAD = 0.9  # of the logarithm of a duration


class Season(NamedTuple):
    """How much is reported, and how long work takes, against an ordinary week of lectures."""

    load: float
    slowness: float


_LECTURES = Season(1.0, 1.0)
_FIRST_WEEKS = Season(1.7, 1.5)
_EXAMS = Season(0.8, 1.0)
_SUMMER = Season(0.4, 1.2)
_HOLIDAYS = Season(0.12, 2.5)
# (month, day) until which each season lasts.
_SEASONS = (
    ((1, 6), _HOLIDAYS),
    ((2, 15), _EXAMS),
    ((3, 5), _FIRST_WEEKS),
    ((5, 31), _LECTURES),
    ((7, 20), _EXAMS),
    ((8, 5), _SUMMER),
    ((8, 25), _HOLIDAYS),
    ((9, 14), _SUMMER),
    ((10, 10), _FIRST_WEEKS),
    ((12, 21), _LECTURES),
    ((12, 31), _HOLIDAYS),
)


class Work(NamedTuple):
    """Median hours until helpdesk starts on a ticket, and from there until it is closed."""

    until_start: float
    until_end: float


WORK = {
    Category.FACILITY_MANAGEMENT: Work(8, 60),
    Category.TECHNICAL_IT: Work(3, 14),
    Category.SERVICES_COMPLAINTS: Work(12, 45),
}


def season(day: date) -> Season:
    """Return the season of a day."""
    return next(found for until, found in _SEASONS if (day.month, day.day) <= until)


def opening(chance: random.Random, category: Category, now: datetime) -> datetime:
    """Return when a ticket is opened: in the two years before `now`, which has a campus zone."""
    days, weights = _days(category, now.date())
    while True:
        day = chance.choices(days, cum_weights=weights)[0]
        hour = chance.choices(range(24), _OF_HOUR)[0]
        clock = time(hour, chance.randrange(60), chance.randrange(60))
        opened_at = datetime.combine(day, clock, now.tzinfo)
        if opened_at < now:
            return opened_at


def after(chance: random.Random, at: datetime, median_hours: float, now: datetime) -> datetime:
    """Return when work that starts at `at` is done: at a time when helpdesk works.

    Helpdesk got faster in the two years before `now`.
    """
    practice = 0.85 + 0.4 * (now - at) / timedelta(days=SPAN_DAYS)
    hours = chance.lognormvariate(0, _SPREAD) * median_hours * practice
    done = at + timedelta(hours=hours * season(at.date()).slowness)
    while done.weekday() > 4 or not _OPENS <= done.time() < _CLOSES:
        day = done.date() + timedelta(days=done.time() >= _OPENS)
        clock = timedelta(minutes=chance.expovariate(1 / 60))
        done = datetime.combine(day, _OPENS, now.tzinfo) + clock
    return done.replace(microsecond=0)


def campus_now(zone: str) -> datetime:
    """Return the campus clock, whole seconds."""
    return datetime.now(ZoneInfo(zone)).replace(microsecond=0)


@lru_cache
def _days(category: Category, today: date) -> tuple[list[date], list[float]]:
    days = [today - timedelta(days=back) for back in range(SPAN_DAYS)]
    return days, list(accumulate(_weight(category, day) for day in days))


def _weight(category: Category, day: date) -> float:
    weight = season(day).load * _OF_WEEKDAY[day.weekday()]
    if category is Category.FACILITY_MANAGEMENT and day.month in (11, 12, 1, 2):
        weight *= 1.4  # what breaks in winter
    if category is Category.SERVICES_COMPLAINTS and season(day) is _EXAMS:
        weight *= 1.5  # deadlines
    return weight
