"""What the pages say in which language, and which one a browser wants."""

from pathlib import Path

from contracts.vocabulary import Language
from i18n import N_, Catalogs, current_language, current_locale, set_language, speaking

__all__ = [
    "N_",
    "Language",
    "current_language",
    "current_locale",
    "gettext",
    "ngettext",
    "set_language",
    "speaking",
]

CATALOGS = Catalogs(Path(__file__).parent / "locale")
gettext = CATALOGS.gettext
ngettext = CATALOGS.ngettext
# As those call it who read it.
NAMES = {
    Language.ENGLISH: "English",
    Language.ITALIAN: "Italiano",
    Language.GERMAN: "Deutsch",
    Language.SPANISH: "Español",
    Language.FRENCH: "Français",
}


def negotiate(header: str) -> Language:
    """Return the language that an `Accept-Language` header wants most, of those that we have."""
    wanted: list[tuple[float, Language]] = []
    for part in header.split(","):
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
