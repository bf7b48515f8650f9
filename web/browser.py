"""What a browser is known by: a random key, so that it counts once, and where it said "me too".

Nothing of a person is kept; who deletes the cookies is a new browser.
"""

from uuid import UUID, uuid4

from aiohttp import web

from web.cookies import COOKIE_MAX_AGE_SECONDS, set_cookie
from web.forms import read_number

KEY_COOKIE = "browser"
AFFECTED_COOKIE = "affected"
# The latest are kept, in a cookie of about 1 kB; for older ones the button is shown again, and the
# ticket service still counts the browser once.
AFFECTED_MAX = 100


def read_key(request: web.Request, form_key: str) -> UUID:
    """Return the browser's key; that of the form where it has none yet, or else a new one.

    A form that is sent twice at once has the same key in both, but no cookie in either.
    """
    for text in (request.cookies.get(KEY_COOKIE, ""), form_key):
        try:
            return UUID(text)
        except ValueError:
            continue
    return uuid4()


def find_affected(request: web.Request) -> list[int]:
    """Return the tickets of which this browser said that its reader has the problem too."""
    parts = request.cookies.get(AFFECTED_COOKIE, "").split(".")[-AFFECTED_MAX:]
    return [ticket_id for ticket_id in map(read_number, parts) if ticket_id]


def remember_affected(
    request: web.Request, response: web.Response, key: UUID, ticket_id: int
) -> None:
    """Keep the browser's key, and that it counts for a ticket."""
    others = [other for other in find_affected(request) if other != ticket_id]
    kept = ".".join(map(str, [*others, ticket_id][-AFFECTED_MAX:]))
    set_cookie(request, response, KEY_COOKIE, str(key), COOKIE_MAX_AGE_SECONDS)
    set_cookie(request, response, AFFECTED_COOKIE, kept, COOKIE_MAX_AGE_SECONDS)
