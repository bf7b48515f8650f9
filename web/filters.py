"""How values look on a page: instants, ages, durations, labels, and found words.

Takes values and returns text; knows no page and asks nobody.
"""

import re
from collections.abc import Collection
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from contracts.fields import format_instant
from contracts.vocabulary import Action, Category, CategorySource, Role, Status

# A hundred years.
REMEMBERED_MONTHS = 1_200

LABELS: dict[str, str] = {
    Status.OPEN: "Open",
    Status.ACTIVE: "Active",
    Status.CLOSED: "Closed",
    Category.FACILITY_MANAGEMENT: "Facility management",
    Category.TECHNICAL_IT: "Technical / IT",
    Category.SERVICES_COMPLAINTS: "Services & complaints",
    Role.USER: "User",
    Role.HELPDESK: "Helpdesk",
}
SOURCES = {
    CategorySource.CLASSIFIER: "assigned automatically",
    CategorySource.HELPDESK: "set by helpdesk",
}
DEEDS = {
    Action.OPENED: "reported the problem",
    Action.DESCRIPTION_EDITED: "edited the description",
    Action.CATEGORISED: "set the category",
    Action.ACTIVATED: "started work",
    Action.CLOSED: "closed the ticket",
    Action.MESSAGE_SENT: "sent a message",
    Action.DUPLICATE_MARKED: "marked it as a duplicate",
    Action.DUPLICATE_UNMARKED: "took back that it is a duplicate",
    Action.AFFECTED: "has the problem too",
}
TITLE_MAX_CHARACTERS = 140
# The model is calibrated: of what it says with less than this, four in ten are wrong, or more.
SURE_FROM = 0.6
LIKENESS = ((0.8, "almost the same"), (0.6, "much alike"), (0.0, "somewhat alike"))
# What the classifier takes for a word: "Wi-Fi" is one.
_WORD = re.compile(r"(\w+(?:-\w+)*)")
MINUTE, HOUR, DAY = 60, 3_600, 86_400
# Largest first; months and years are rounded, the exact date stands beside them.
AGES = (
    (365 * DAY, "year", "years"),
    (30 * DAY, "month", "months"),
    (DAY, "day", "days"),
    (HOUR, "h", "h"),
    (MINUTE, "min", "min"),
)


def title(description: str) -> str:
    """Return the first line, cut at a length that a list can show."""
    line = description.split("\n", 1)[0]
    if len(line) <= TITLE_MAX_CHARACTERS:
        return line
    return line[: TITLE_MAX_CHARACTERS - 1].rstrip() + "…"


def age(instant: datetime, now: datetime) -> str:
    """Return how long ago that was, in its largest unit ("3 h ago")."""
    seconds = (now - instant).total_seconds()
    for unit_seconds, one, many in AGES:
        if seconds >= unit_seconds:
            n = int(seconds // unit_seconds)
            return f"{n} {one if n == 1 else many} ago"
    return "just now"


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units ("2 d 4 h")."""
    minutes = round(seconds / MINUTE)
    days, minutes = divmod(minutes, DAY // MINUTE)
    hours, minutes = divmod(minutes, 60)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"


@lru_cache(REMEMBERED_MONTHS)
def month_name(month: str) -> str:
    """Return "2026-05" as "May 2026"."""
    return datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).strftime("%B %Y")


def day(value: date) -> str:
    """Return a day of the calendar as people read it."""
    return value.strftime("%-d %b %Y")


def percent(share: float) -> str:
    """Return a share of 0-1 in whole percent."""
    return f"{share:.0%}"


def number(value: int) -> str:
    """Return a whole number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")


def mark(text: str, query: str) -> Markup:
    """Return the text with each word of the query, also inside a word, in `<mark>`."""
    words = sorted({re.escape(word) for word in query.split()}, key=len, reverse=True)
    if not words:
        return escape(text)
    parts = re.split(f"({'|'.join(words)})", text, flags=re.IGNORECASE)
    return Markup("").join(
        Markup("<mark>{}</mark>").format(part) if at % 2 else escape(part)
        for at, part in enumerate(parts)
    )


def mark_words(text: str, words: Collection[str]) -> Markup:
    """Return the text with each of the words, where it stands as a whole word, in `<mark>`."""
    if not words:
        return escape(text)
    wanted = {word.casefold() for word in words}
    return Markup("").join(
        Markup("<mark>{}</mark>").format(part)
        if at % 2 and part.casefold() in wanted
        else escape(part)
        for at, part in enumerate(_WORD.split(text))
    )


def likeness(score: float) -> str:
    """Return in words how much a ticket is like another, from a score of 0-1."""
    return next(words for least, words in LIKENESS if score >= least)


class Clock:
    """Instants in the campus time zone."""

    def __init__(self, timezone: ZoneInfo) -> None:
        self._timezone = timezone

    def local(self, instant: datetime) -> str:
        """Return date and minute as people on the campus read them."""
        return instant.astimezone(self._timezone).strftime("%-d %b %Y, %H:%M")

    def local_time(self, instant: datetime) -> str:
        """Return the local hour, minute and second."""
        return instant.astimezone(self._timezone).strftime("%H:%M:%S")

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

    def ago(self, instant: datetime, now: datetime) -> Markup:
        """Return a `<time>` element that shows the age, and the local date on pointing at it."""
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            format_instant(instant), self.local(instant), age(instant, now)
        )
