"""What a browser is known by: a random key that is signed here, and where it said "me too".

Nothing of a person is kept; who deletes the cookies is a new browser. A key comes with the first
page and costs nothing, so that a key alone proves only that it was not made up: what many keys of
one address may do together is bounded in `limits.py`.
"""

import hmac
from uuid import UUID, uuid4

from aiohttp import web
from aiohttp.typedefs import Handler

from web.cookies import COOKIE_MAX_AGE_SECONDS, read_cookie, set_cookie
from web.forms import read_number
from web.settings import SETTINGS

KEY_COOKIE = "browser"
AFFECTED_COOKIE = "affected"
# The latest are kept, in a cookie of about 1 kB; for older ones the button is shown again, and the
# ticket service still counts the browser once.
AFFECTED_MAX = 100
SIGNATURE_BYTES = 16
# What else the secret may come to sign is no key.
PURPOSE = b"browser "

BROWSER: "web.RequestKey[UUID | None]" = web.RequestKey("browser")


def sign(secret: str, key: UUID) -> str:
    """Return a key as browsers keep it."""
    signature = hmac.digest(secret.encode(), PURPOSE + key.bytes, "sha256")[:SIGNATURE_BYTES]
    return f"{key.hex}.{signature.hex()}"


def read_key(secret: str, text: str) -> UUID | None:
    """Return the key that a browser keeps, None where it was not signed with the secret."""
    try:
        key = UUID(text.partition(".")[0])
    except ValueError:
        return None
    is_ours = hmac.compare_digest(sign(secret, key).encode(), text.encode(errors="replace"))
    return key if is_ours else None


@web.middleware
async def know_browser(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Read the browser's key; give it one with a page where it has none.

    That is the entry, as a rule, and so before any form: a page whose cookies have changed since it
    was shown is fetched anew by “back” (`Vary`), without what was typed.

    Not with an error's page: a browser that another site makes send a form leaves its key away, and
    would take a new one in its place.
    """
    secret = request.app[SETTINGS].secret
    request[BROWSER] = read_key(secret, read_cookie(request, KEY_COOKIE))
    response = await handler(request)
    if request[BROWSER] is None and response.content_type == "text/html":
        key = sign(secret, uuid4())
        set_cookie(request, response, KEY_COOKIE, key, COOKIE_MAX_AGE_SECONDS)
    return response


def find_affected(request: web.Request) -> list[int]:
    """Return the tickets of which this browser said that its reader has the problem too."""
    parts = read_cookie(request, AFFECTED_COOKIE).split(".")[-AFFECTED_MAX:]
    return [ticket_id for ticket_id in map(read_number, parts) if ticket_id]


def remember_affected(request: web.Request, response: web.Response, ticket_id: int) -> None:
    """Keep that the browser counts for a ticket, and its key for as long."""
    others = [other for other in find_affected(request) if other != ticket_id]
    kept = ".".join(map(str, [*others, ticket_id][-AFFECTED_MAX:]))
    key = read_cookie(request, KEY_COOKIE)
    set_cookie(request, response, KEY_COOKIE, key, COOKIE_MAX_AGE_SECONDS)
    set_cookie(request, response, AFFECTED_COOKIE, kept, COOKIE_MAX_AGE_SECONDS)
