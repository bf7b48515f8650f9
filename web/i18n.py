"""The reader's language: chosen once a request, heard by every sentence, date and number.

Sentences are written in English where they are said, and looked up here. The language is a context
variable, so that no function has to hand it on; knows no page and no request.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LOCALE = Path(__file__).parent / "locale"
# A longer header is no person's list of languages.
HEADER_MAX_CHARACTERS = 500


class Language(StrEnum):
    """What people can read the pages in; every sentence has a translation."""

    ENGLISH = "en"
    ITALIAN = "it"
    GERMAN = "de"
    SPANISH = "es"
    FRENCH = "fr"


# As those call it who read it.
NAMES = {
    Language.ENGLISH: "English",
    Language.ITALIAN: "Italiano",
    Language.GERMAN: "Deutsch",
    Language.SPANISH: "Español",
    Language.FRENCH: "Français",
}
# English dates with the day first and 24 hours, as on the continent.
_LOCALES = {language: Locale.parse(language.value) for language in Language} | {
    Language.ENGLISH: Locale("en", "GB")
}
_current = ContextVar("language", default=Language.ENGLISH)


def current_language() -> Language:
    """Return the language in which the reader is spoken to."""
    return _current.get()


def current_locale() -> Locale:
    """Return how dates and numbers are written in the reader's language."""
    return _LOCALES[_current.get()]


def set_language(language: Language) -> None:
    """Speak this language from here on, in this task and those it starts."""
    _current.set(language)


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Speak a language within a `with`."""
    token = _current.set(language)
    try:
        yield
    finally:
        _current.reset(token)


def gettext(message: str) -> str:
    """Return a sentence in the reader's language, English where it has no translation."""
    return catalog(_current.get()).gettext(message)


def ngettext(one: str, many: str, n: int) -> str:
    """Return the sentence that fits the number `n`."""
    return catalog(_current.get()).ngettext(one, many, n)


def N_(message: str) -> str:
    """Return a sentence as it is: it is to be translated where it is said."""
    return message


@cache
def catalog(language: Language) -> NullTranslations:
    """Return the translations of a language, read once."""
    if language is Language.ENGLISH:
        return NullTranslations()
    compiled = BytesIO()
    with (LOCALE / f"{language}.po").open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return GNUTranslations(compiled)


def negotiate(header: str) -> Language:
    """Return the language that an `Accept-Language` header wants most, of those that we have."""
    wanted: list[tuple[float, Language]] = []
    for part in header[:HEADER_MAX_CHARACTERS].split(","):
        tag, _, weight = part.replace(" ", "").partition(";q=")
        code = tag.partition("-")[0].lower()
        if code in set(Language):
            wanted.append((_read_weight(weight), Language(code)))
    # The first of equals: `max` keeps the order of the header.
    best = max(wanted, key=lambda pair: pair[0], default=(0.0, Language.ENGLISH))
    return best[1] if best[0] > 0 else Language.ENGLISH


def _read_weight(text: str) -> float:
    try:
        return float(text or 1)
    except ValueError:
        return 0.0
