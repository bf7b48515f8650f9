"""The entry: choose a role, keep it, forget it."""

from dataclasses import dataclass

from aiohttp import web

from contracts.vocabulary import Role
from web.forms import read_form
from web.i18n import gettext
from web.render import Page, page_response
from web.role import find_role, forget_role, remember_role, safe_next


@dataclass(frozen=True, kw_only=True)
class EntryPage(Page):
    next: str


async def show(request: web.Request) -> web.Response:
    """Show the two roles; `next` is where to go on to."""
    wanted = safe_next(request.query.get("next", ""))
    return page_response(request, "entry.html", EntryPage(role=find_role(request), next=wanted))


async def enter(request: web.Request) -> web.Response:
    """Keep the chosen role and go on."""
    form = await read_form(request)
    wanted = safe_next(form.get("next", ""))
    try:
        role = Role(form.get("role", ""))
    except ValueError:
        page = EntryPage(role=None, next=wanted, alert=gettext("Choose one of the two roles."))
        return page_response(request, "entry.html", page, status=422)
    response = web.Response(status=303, headers={"Location": wanted})
    remember_role(request, response, role)
    return response


async def leave(request: web.Request) -> web.Response:
    """Forget the role."""
    response = web.Response(status=303, headers={"Location": "/"})
    forget_role(request, response)
    return response
