"""How values look on a page: instants, ages, durations, labels, and found words.

Takes values and returns text in the reader's language; knows no page and asks nobody.
"""

import re
from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import regex
from babel import Locale
from babel.dates import format_date, format_time, format_timedelta
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit
from markupsafe import Markup, escape

from contracts.fields import format_instant
from contracts.text import cut, sign_span, title_span
from contracts.vocabulary import NO_CATEGORY, Action, Category, CategorySource, Role, Status
from web.i18n import N_, current_locale, gettext
from web.links import find_addresses

# Far more than the ages, months and numbers that pages of a day show, in every language.
REMEMBERED = 8_192

LABELS: dict[str, str] = {
    Status.OPEN: N_("Open"),
    Status.ACTIVE: N_("Active"),
    Status.CLOSED: N_("Closed"),
    Category.FACILITY_MANAGEMENT: N_("Facility management"),
    Category.TECHNICAL_IT: N_("Technical / IT"),
    Category.SERVICES_COMPLAINTS: N_("Services & complaints"),
    Role.USER: N_("User"),
    Role.HELPDESK: N_("Helpdesk"),
}
SOURCES: dict[str, str] = {
    CategorySource.CLASSIFIER: N_("assigned automatically"),
    CategorySource.HELPDESK: N_("set by helpdesk"),
}
DEEDS: dict[str, str] = {
    Action.OPENED: N_("reported the problem"),
    Action.DESCRIPTION_EDITED: N_("edited the description"),
    Action.CATEGORISED: N_("set the category"),
    Action.ACTIVATED: N_("started work"),
    Action.CLOSED: N_("closed the ticket"),
    Action.MESSAGE_SENT: N_("sent a message"),
    Action.DUPLICATE_MARKED: N_("marked it as a duplicate"),
    Action.DUPLICATE_UNMARKED: N_("took back that it is a duplicate"),
    Action.AFFECTED: N_("has the problem too"),
}
TITLE_MAX_CHARACTERS = 140
# The model is calibrated: of what it says with less than this, four in ten are wrong, or more.
SURE_FROM = 0.6
LIKENESS = ((0.8, N_("almost the same")), (0.6, N_("much alike")), (0.0, N_("somewhat alike")))
# What the classifier takes for a word: "Wi-Fi" is one.
_MARK, _MARK_END = Markup("<mark>"), Markup("</mark>")
_WORD = re.compile(r"\w+(?:-\w+)*")
_BIDI_CONTROL = regex.compile(r"\p{Bidi_Control}")
MINUTE, HOUR, DAY = 60, 3_600, 86_400
# Largest first; months and years are rounded, the exact date stands beside them.
AGE_UNITS = (365 * DAY, 30 * DAY, 7 * DAY, DAY, HOUR, MINUTE)


def label(word: str) -> str:
    """Return how a word of the vocabulary is called."""
    return gettext(LABELS[word])


def category(word: str | None) -> str:
    """Return the name of a category, or of having none."""
    return gettext("No category yet") if word in (None, NO_CATEGORY) else label(word)


def source(word: str) -> str:
    """Return who assigned a category."""
    return gettext(SOURCES[word])


def deed(action: str) -> str:
    """Return what somebody did, as it follows their name."""
    return gettext(DEEDS[action])


def title(description: str) -> str:
    """Return the first line with something to see, cut at a length that a list can show."""
    start, end = title_span(description)
    line = description[start:end] or gettext("(no visible text)")
    if len(line) <= TITLE_MAX_CHARACTERS:
        return line
    return cut(line, TITLE_MAX_CHARACTERS - 1).rstrip() + "…"


def undirected(text: str) -> str:
    """Return the text without what turns the direction of what stands beside it.

    For places that take no element to shut it in, such as the title of a window.
    """
    return _BIDI_CONTROL.sub("", text)


def age(instant: datetime, now: datetime) -> str:
    """Return how long ago that was, in its largest unit ("3 hours ago")."""
    seconds = _whole_units((now - instant).total_seconds())
    return _ago(seconds, current_locale()) if seconds else gettext("just now")


def span(since: datetime, now: datetime) -> str:
    """Return how long something lasts already, in its largest unit ("3 hours")."""
    seconds = _whole_units((now - since).total_seconds())
    return _span(seconds or MINUTE, current_locale())


def _whole_units(seconds: float) -> int:
    unit = next((unit for unit in AGE_UNITS if seconds >= unit), 0)
    return int(seconds // unit) * unit if unit else 0


@lru_cache(REMEMBERED)
def _ago(seconds: int, locale: Locale) -> str:
    return format_timedelta(
        timedelta(seconds=-seconds), threshold=1, add_direction=True, locale=locale
    )


@lru_cache(REMEMBERED)
def _span(seconds: int, locale: Locale) -> str:
    return format_timedelta(timedelta(seconds=seconds), threshold=1, locale=locale)


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units, neither broken ("2 days 4 hrs")."""
    minutes = round(seconds / MINUTE)
    days, minutes = divmod(minutes, DAY // MINUTE)
    hours, minutes = divmod(minutes, 60)
    if days:
        return f"{_units(days, 'day')} {_units(hours, 'hour')}"
    if hours:
        return f"{_units(hours, 'hour')} {_units(minutes, 'minute')}"
    return _units(minutes, "minute") if minutes else _units(round(seconds), "second")


def _units(n: int, unit: str) -> str:
    text = format_unit(n, f"duration-{unit}", "short", locale=current_locale())
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def units(n: int, unit: str) -> str:
    """Return so many hours, days, months or years ("24 hours")."""
    return _long_units(n, unit, current_locale())


@lru_cache(REMEMBERED)
def _long_units(n: int, unit: str, locale: Locale) -> str:
    return format_unit(n, f"duration-{unit}", "long", locale=locale)


def month_name(month: str) -> str:
    """Return "2026-05" as "May 2026"."""
    return _month_name(month, current_locale())


@lru_cache(REMEMBERED)
def _month_name(month: str, locale: Locale) -> str:
    day = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).date()
    return format_date(day, "LLLL y", locale)


def day(value: date) -> str:
    """Return a day of the calendar as people read it."""
    return format_date(value, "medium", current_locale())


def percent(share: float) -> str:
    """Return a share of 0-1 in whole percent."""
    return format_percent(share, locale=current_locale())


def number(value: int) -> str:
    """Return a whole number with its thousands apart."""
    return _number(value, current_locale())


@lru_cache(REMEMBERED)
def _number(value: int, locale: Locale) -> str:
    return format_decimal(value, locale=locale)


def linked(count: tuple[int, str]) -> Markup:
    """Return a number as a link to what it counts; its address is empty where that is nothing."""
    return _linked(*count, current_locale())


@lru_cache(REMEMBERED)
def _linked(n: int, address: str, locale: Locale) -> Markup:
    text = _number(n, locale)
    return Markup('<a href="{}">{}</a>').format(address, text) if address else escape(text)


def mark_spans(text: str, spans: Iterable[tuple[int, int]]) -> Markup:
    """Return the text with its spans (from, up to) in `<mark>`; what lies outside is left out.

    A part of what a reader sees as one sign is marked with the rest of it.
    """
    parts, at = [], 0
    for start, end in spans:
        start, end = max(at, sign_span(text, start)[0]), _sign_end(text, end)
        if marked := text[start:end]:
            parts += [text[at:start], _MARK, marked, _MARK_END]
            at = end
    return Markup("").join([*parts, text[at:]])


def _sign_end(text: str, at: int) -> int:
    start, end = sign_span(text, at)
    return end if start < at else at


def mark_words(text: str, words: Collection[str]) -> Markup:
    """Return the text with each of the words, where it stands as a whole word, in `<mark>`."""
    if not words:
        return escape(text)
    wanted = {word.casefold() for word in words}
    found = (word.span() for word in _WORD.finditer(text) if word[0].casefold() in wanted)
    return mark_spans(text, found)


def with_links(text: str, words: Collection[str] = ()) -> Markup:
    """Return the text with its web addresses as links, and the words marked as by `mark_words`."""
    parts, at = [], 0
    for start, end in find_addresses(text):
        link = Markup('<a href="{}" dir="ltr" rel="nofollow noopener noreferrer">{}</a>')
        address = text[start:end]
        parts += [
            mark_words(text[at:start], words),
            link.format(address, mark_words(address, words)),
        ]
        at = end
    return Markup("").join([*parts, mark_words(text[at:], words)])


def likeness(score: float) -> str:
    """Return in words how much a ticket is like another, from a score of 0-1."""
    return gettext(next(words for least, words in LIKENESS if score >= least))


class Clock:
    """Instants in the campus time zone."""

    def __init__(self, timezone: ZoneInfo) -> None:
        self._timezone = timezone

    def local(self, instant: datetime) -> str:
        """Return date and minute as people on the campus read them."""
        # Babel would ask the zone for its name each time; a local time without one is enough.
        minute = instant.astimezone(self._timezone).replace(second=0, microsecond=0, tzinfo=None)
        return _date_and_minute(minute, current_locale())

    def local_time(self, instant: datetime) -> str:
        """Return the local hour, minute and second."""
        local = instant.astimezone(self._timezone).replace(tzinfo=None)
        return format_time(local, "medium", locale=current_locale())

    def moment(self, text: str) -> str:
        """Return an instant that stands in an address as local date and minute."""
        try:
            return self.local(datetime.fromisoformat(text))
        except (ValueError, OverflowError):
            return text

    def when(self, instant: datetime) -> Markup:
        """Return a `<time>` element that shows the local date and minute."""
        return Markup('<time datetime="{}">{}</time>').format(
            format_instant(instant), self.local(instant)
        )

    def local_day(self, instant: datetime) -> str:
        """Return the local date."""
        return day(instant.astimezone(self._timezone))

    def ago(self, instant: datetime, now: datetime) -> Markup:
        """Return an element that shows the age, and the local date on pointing at it."""
        return self._words(instant, age(instant, now))

    def lasting(self, since: datetime, now: datetime) -> Markup:
        """Return an element that shows how long, and since when on pointing at it."""
        return self._words(since, span(since, now))

    def _words(self, instant: datetime, words: str) -> Markup:
        # No `<time datetime>`: with the title it would be a sixth of what a list of 50 rows weighs.
        return Markup('<span title="{}">{}</span>').format(self.local(instant), words)


@lru_cache(REMEMBERED)
def _date_and_minute(local: datetime, locale: Locale) -> str:
    date_text = format_date(local, "medium", locale)
    return f"{date_text}, {format_time(local, 'short', locale=locale)}"
