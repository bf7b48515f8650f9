"""Who is at the browser: a role in a cookie, since there are no accounts.

The cookie is no secret and no proof; what a role may do is enforced by the ticket service and by
`require_helpdesk`, on every request.
"""

import re
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from contracts.vocabulary import Role
from web.cookies import COOKIE_MAX_AGE_SECONDS, delete_cookie, read_cookie, set_cookie
from web.forms import FORM
from web.render import wants_fragment

COOKIE = "role"
HOME = "/tickets"
# A longer address, quoted into another one, could be more than a server or a browser takes.
NEXT_MAX_CHARACTERS = 4_000
# Where an open page stands on its server, as htmx says it.
_PAGE = re.compile(r"https?://[^/?#]+(/[^#]*)")
# Forms say to whom they were shown; a program's need not.
_SHOWN_TO = re.compile(rb"(?:^|&)as=([a-z]+)")


class NotHelpdesk(Exception):
    """The page is for helpdesk only."""


class NoRole(Exception):
    """An open page asks for something, and its reader has no role any more.

    `entry` is the address at which one is chosen, which leads back to the page.
    """

    def __init__(self, entry: str) -> None:
        super().__init__()
        self.entry = entry


class OtherRole(Exception):
    """A form was sent from a page that was made for another role than the cookie's."""


def find_role(request: web.Request) -> Role | None:
    """Return the role, None where the cookie is absent or forged."""
    try:
        return Role(read_cookie(request, COOKIE))
    except ValueError:
        return None


def require_role(request: web.Request, *, is_page: bool = True) -> Role:
    """Return the role; redirects to the entry page, which leads back here, where there is none.

    Raises NoRole where it is no page that was asked for: a script would take the entry for it.
    """
    role = find_role(request)
    if role is None:
        if wants_fragment(request) or not is_page:
            page = _PAGE.match(request.headers.get("HX-Current-URL", ""))
            raise NoRole(_entry(page[1] if page else HOME))
        raise web.HTTPSeeOther(_entry(request.raw_path if request.method == "GET" else HOME))
    return role


def _entry(wanted: str) -> str:
    if wanted == HOME or not is_ours(wanted):
        return "/"
    return f"/?next={quote(wanted, safe='/')}"


def require_helpdesk(request: web.Request) -> Role:
    """Return the role helpdesk; raises NotHelpdesk for a user."""
    role = require_role(request)
    if role is not Role.HELPDESK:
        raise NotHelpdesk
    return role


@web.middleware
async def require_shown_role(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raise OtherRole where a form was shown to another role than it would be sent as.

    Another tab may have changed the cookie, or the browser has kept the page from before.
    """
    if request.method == "POST" and request.content_type == FORM:
        shown = _SHOWN_TO.search(await request.read())
        if shown and shown[1].decode() != find_role(request):
            raise OtherRole
    return await handler(request)


def safe_next(wanted: str) -> str:
    """Return the address to go on to: `wanted` where it is a path of ours, else the list."""
    return wanted if is_ours(wanted) and wanted.partition("?")[0] != "/" else HOME


def is_ours(address: str) -> bool:
    """Tell whether an address leads to a page of ours, to no other host, and is not too long."""
    return (
        len(address) <= NEXT_MAX_CHARACTERS
        and address.startswith("/")
        and not address.startswith(("//", "/\\"))  # browsers read both as another host
        and address.isprintable()
    )


def remember_role(request: web.Request, response: web.Response, role: Role) -> None:
    """Set the cookie."""
    set_cookie(request, response, COOKIE, role, COOKIE_MAX_AGE_SECONDS)


def forget_role(request: web.Request, response: web.Response) -> None:
    """Delete the cookie."""
    delete_cookie(request, response, COOKIE)
