"""Helpdesk's canned replies: all of them on one page, each in a form of its own.

A refused form comes back open, with what was typed and what is wrong with which field.
"""

from dataclasses import dataclass, field
from dataclasses import replace as changed

from aiohttp import web

from contracts.fields import ID_MAX
from contracts.rest import Reply
from contracts.vocabulary import Role
from web.forms import html_bytes, read_form, read_number
from web.i18n import gettext as _
from web.keys import TICKET_API
from web.pages.ticket_page import digest
from web.pages.unsent import require_short
from web.refusals import say_named, say_problem
from web.render import Page, page_response
from web.role import require_helpdesk
from web.said import find_said, forget_said, redirect
from web.ticket_api import ApiError

PLACE = "/replies"
TEMPLATE = "replies.html"
TAKEN, GONE = 409, 404
# Usual replies are all shown. The others are links, which takes a third of the rest of 300 kB.
FORMS_MAX_BYTES = 150_000
FORM_BYTES = 1_000


@dataclass(frozen=True)
class ReplyForm:
    """A reply as it is shown or typed; `id` 0 is the one to be added, `errors` by field.

    One that is not shown is a link to the page where it is.
    """

    id: int = 0
    title: str = ""
    text: str = ""
    is_shown: bool = True
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Return what tells one reply from another, for `draft.html`."""
        return digest(f"{self.title}\n{self.text}")


@dataclass(frozen=True, kw_only=True)
class RepliesPage(Page):
    added: ReplyForm
    kept: list[ReplyForm]


async def show(request: web.Request) -> web.Response:
    """Show all replies, and the form that adds one."""
    role = require_helpdesk(request)
    said = find_said(request)
    first = read_number(request.query.get("reply"))
    page = changed(await _load(request, role, ReplyForm(), first), said=said)
    response = page_response(request, TEMPLATE, page)
    if said:
        forget_said(request, response)
    return response


async def show_text(request: web.Request) -> web.Response:
    """Return the text of one reply, for the box that it is put into."""
    role, reply_id = require_helpdesk(request), _read_id(request)
    for reply in await request.app[TICKET_API].replies(role):
        if reply.id == reply_id:
            return web.Response(text=reply.body, headers={"Cache-Control": "private, no-cache"})
    raise web.HTTPNotFound


async def add(request: web.Request) -> web.Response:
    """Keep one more reply."""
    role = require_helpdesk(request)
    form = await _read(request, 0)
    try:
        await request.app[TICKET_API].add_reply(role, form.title, form.text)
    except ApiError as error:
        return await _again(request, role, form, error)
    return redirect(request, PLACE, "reply added")


async def replace(request: web.Request) -> web.Response:
    """Write a reply anew."""
    role = require_helpdesk(request)
    form = await _read(request, _read_id(request))
    try:
        await request.app[TICKET_API].replace_reply(role, form.id, form.title, form.text)
    except ApiError as error:
        return await _again(request, role, form, error)
    return redirect(request, PLACE, "reply saved")


async def delete(request: web.Request) -> web.Response:
    """Delete a reply; one that is gone already is as good."""
    role, reply_id = require_helpdesk(request), _read_id(request)
    await read_form(request)
    await request.app[TICKET_API].delete_reply(role, reply_id)
    return redirect(request, PLACE, "reply deleted")


async def _again(
    request: web.Request, role: Role, form: ReplyForm, error: ApiError
) -> web.Response:
    """Answer a form that was refused, with what was typed."""
    problem = error.problem
    alert = ""
    if problem.status == GONE:
        alert = _("Somebody deleted this reply meanwhile. You can add it again.")
        form = changed(form, id=0)
    elif problem.errors:
        require_short(request, " ".join(map(say_named, problem.errors)), form.title, form.text)
        form = changed(form, errors={bad.field: say_named(bad) for bad in problem.errors})
    elif problem.status == TAKEN:
        alert = say_problem(problem)
    else:
        raise error
    page = changed(await _load(request, role, form), alert=alert)
    return page_response(request, TEMPLATE, page, status=problem.status)


async def _load(request: web.Request, role: Role, form: ReplyForm, first: int = 0) -> RepliesPage:
    """Return the page; `form` stands in place of the reply that it is about.

    Forms are shown as long as they fit, before all that of the reply `first`.
    """
    kept = await request.app[TICKET_API].replies(role)
    return RepliesPage(
        role=role,
        section="replies",
        added=ReplyForm() if form.id else form,
        kept=_show_some(
            [form if form.id == reply.id else _form_of(reply) for reply in kept], form.id or first
        ),
    )


def _show_some(forms: list[ReplyForm], first: int) -> list[ReplyForm]:
    size, shown = 0, set()
    for form in sorted(forms, key=lambda form: form.id != first):
        size += html_bytes(form.title, form.title, form.text) + FORM_BYTES
        if size > FORMS_MAX_BYTES:
            break
        shown.add(form.id)
    return [changed(form, is_shown=form.id in shown) for form in forms]


def _form_of(reply: Reply) -> ReplyForm:
    return ReplyForm(reply.id, reply.title, reply.body)


async def _read(request: web.Request, reply_id: int) -> ReplyForm:
    form = await read_form(request)
    return ReplyForm(reply_id, form.get("title", ""), form.get("text", ""))


def _read_id(request: web.Request) -> int:
    reply_id = int(request.match_info["id"])
    if not 0 < reply_id <= ID_MAX:
        raise web.HTTPNotFound
    return reply_id
