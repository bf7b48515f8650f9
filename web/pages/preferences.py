"""The switches in the footer: language and theme."""

import re
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from web.cookies import COOKIE_MAX_AGE_SECONDS, set_cookie
from web.forms import read_form
from web.forwarded import is_own
from web.i18n import Language
from web.preferences import LANGUAGE_COOKIE, THEME_COOKIE, Theme
from web.role import HOME, is_ours

CHOICES = {
    "language": (LANGUAGE_COOKIE, frozenset(Language)),
    "theme": (THEME_COOKIE, frozenset(Theme)),
}
# What is left of the address when a form was answered with a page: the page with the form.
_POSTED = re.compile(r"(/tickets/[0-9]+|/replies)/(?!similar)[\w/]+")


async def choose(request: web.Request) -> web.Response:
    """Keep what was chosen, and go back to the page on which it was."""
    form = await read_form(request)
    response = web.Response(status=303, headers={hdrs.LOCATION: _where_from(request)})
    for field, (cookie, values) in CHOICES.items():
        if form.get(field) in values:
            set_cookie(request, response, cookie, form[field], COOKIE_MAX_AGE_SECONDS)
    return response


def _where_from(request: web.Request) -> str:
    # Our pages send their whole address to ourselves (`Referrer-Policy: same-origin`).
    try:
        parts = urlsplit(request.headers.get(hdrs.REFERER, ""))
    except ValueError:
        return HOME
    if not is_own(request, f"{parts.scheme}://{parts.netloc}"):
        return HOME
    if posted := _POSTED.fullmatch(parts.path):
        return posted[1]
    wanted = parts._replace(scheme="", netloc="", fragment="").geturl()
    return wanted if is_ours(wanted) else HOME
