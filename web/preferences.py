"""How a reader wants the pages: language and theme, each in a cookie, chosen in the footer.

Both are read once a request and kept in context variables, since every sentence and every page
asks for them; without a cookie the browser's languages count, and the system's theme.
"""

from contextvars import ContextVar
from enum import StrEnum

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from contracts.vocabulary import Role
from web.accept import read_header
from web.cookies import read_cookie
from web.i18n import N_, Language, current_language, negotiate, set_language

LANGUAGE_COOKIE = "language"
THEME_COOKIE = "theme"


class Theme(StrEnum):
    """Light or dark, or as the reader's system is."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


THEME_NAMES = {
    Theme.SYSTEM: N_("As the system"),
    Theme.LIGHT: N_("Light"),
    Theme.DARK: N_("Dark"),
}
_theme = ContextVar("theme", default=Theme.SYSTEM)


def current_theme() -> Theme:
    """Return the theme of the page that is being made."""
    return _theme.get()


def reader(role: Role | None) -> str:
    """Return for whom a page is made; a page that comes back compares it (`reader.js`)."""
    return f"{role or 'nobody'} {current_language()} {current_theme()}"


def read_language(request: web.Request) -> Language:
    """Return the language of a request."""
    try:
        return Language(read_cookie(request, LANGUAGE_COOKIE))
    except ValueError:
        return negotiate(read_header(request, hdrs.ACCEPT_LANGUAGE))


def _read_theme(request: web.Request) -> Theme:
    try:
        return Theme(read_cookie(request, THEME_COOKIE))
    except ValueError:
        return Theme.SYSTEM


@web.middleware
async def apply_preferences(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request in its reader's language and theme."""
    set_language(read_language(request))
    _theme.set(_read_theme(request))
    return await handler(request)
