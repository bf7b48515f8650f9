"""In which language a reader is spoken to: catalogs of sentences, dates and numbers by locale.

Shared by the services that say something to people. Sentences are written in English where they
are said, and looked up in the catalogs of the service that says them. The language is a context
variable, so that no function has to hand it on; knows no request and no page.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from contracts.vocabulary import Language

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


def N_(message: str) -> str:
    """Return a sentence as it is: it is to be translated where it is said."""
    return message


class Catalogs:
    """The translations of one service, a catalog `<language>.po` each in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.of = cache(self._read)

    def gettext(self, message: str) -> str:
        """Return a sentence in the reader's language, English where it has no translation."""
        return self.of(_current.get()).gettext(message)

    def ngettext(self, one: str, many: str, n: int) -> str:
        """Return the sentence that fits the number `n`."""
        return self.of(_current.get()).ngettext(one, many, n)

    def _read(self, language: Language) -> NullTranslations:
        if language is Language.ENGLISH:
            return NullTranslations()
        compiled = BytesIO()
        with (self.folder / f"{language}.po").open("rb") as source:
            write_mo(compiled, read_po(source, locale=language))
        compiled.seek(0)
        return GNUTranslations(compiled)
