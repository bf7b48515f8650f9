"""Who is at the browser: a role in a cookie, since there are no accounts.

The cookie is no secret and no proof; what a role may do is enforced by the ticket service and by
`require_helpdesk`, on every request.
"""

from urllib.parse import quote

from aiohttp import web

from contracts.vocabulary import Role
from web.cookies import COOKIE_MAX_AGE_SECONDS, delete_cookie, set_cookie

COOKIE = "role"
HOME = "/tickets"
# A longer address, quoted into another one, could be more than a server or a browser takes.
NEXT_MAX_CHARACTERS = 4_000


class NotHelpdesk(Exception):
    """The page is for helpdesk only."""


def find_role(request: web.Request) -> Role | None:
    """Return the role, None where the cookie is absent or forged."""
    try:
        return Role(request.cookies.get(COOKIE, ""))
    except ValueError:
        return None


def require_role(request: web.Request) -> Role:
    """Return the role; redirects to the entry page, which leads back here, where there is none."""
    role = find_role(request)
    if role is None:
        can_return = request.method == "GET" and len(request.raw_path) <= NEXT_MAX_CHARACTERS
        wanted = request.raw_path if can_return else HOME
        raise web.HTTPSeeOther("/" if wanted == HOME else f"/?next={quote(wanted, safe='/')}")
    return role


def require_helpdesk(request: web.Request) -> Role:
    """Return the role helpdesk; raises NotHelpdesk for a user."""
    role = require_role(request)
    if role is not Role.HELPDESK:
        raise NotHelpdesk
    return role


def safe_next(wanted: str) -> str:
    """Return the address to go on to: `wanted` where it is a path of ours, else the list."""
    return wanted if is_ours(wanted) and wanted.partition("?")[0] != "/" else HOME


def is_ours(address: str) -> bool:
    """Tell whether an address leads to a page of ours, and to no other host."""
    return (
        address.startswith("/")
        and not address.startswith(("//", "/\\"))  # browsers read both as another host
        and address.isprintable()
    )


def remember_role(request: web.Request, response: web.Response, role: Role) -> None:
    """Set the cookie."""
    set_cookie(request, response, COOKIE, role, COOKIE_MAX_AGE_SECONDS)


def forget_role(request: web.Request, response: web.Response) -> None:
    """Delete the cookie."""
    delete_cookie(request, response, COOKIE)
