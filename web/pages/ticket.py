"""One ticket: its description, thread and history, and everything that changes it.

Without htmx a change answers with a redirect to the page; with htmx it answers with the blocks
that the change concerns. Text that is being typed is never replaced.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from aiohttp import web

from contracts.fields import ID_MAX, VERSION_MAX, find_ticket_number
from contracts.rest import Ticket
from contracts.vocabulary import Role
from web.around import find_around, find_similar
from web.forms import key_of, read_form, read_number, read_value
from web.i18n import gettext as _
from web.keys import RENDERER, TICKET_API
from web.pages.ticket_answers import (
    again,
    blocks,
    closed_response,
    done,
    load_whole,
    read_ticket_id,
)
from web.pages.ticket_page import (
    LIVE_BLOCKS,
    TEMPLATE,
    EarlierPage,
    Editor,
    Marking,
    Reply,
    SimilarPage,
    category_digest,
    description_digest,
    digest,
    make_editor,
    news_of,
)
from web.pages.ticket_part import HISTORY_ITEMS, THREAD_ITEMS, part_of
from web.pages.unsent import require_short
from web.refusals import say_field, say_text
from web.render import html_response, page_response, partial, wants_fragment
from web.role import require_helpdesk, require_role
from web.said import find_said, forget_said
from web.ticket_api import ApiError

# Each try loses against one more change in between; people never get near that.
EDIT_TRIES = 4


async def show(request: web.Request) -> web.Response:
    """Show the ticket; htmx gets what is new after the version that it has `seen`.

    With `before` or `until`, show what was said or done before a message or a version.
    """
    role, ticket_id = require_role(request), read_ticket_id(request)
    if "before" in request.query or "until" in request.query:
        return await _show_earlier(request, role, ticket_id)
    try:
        page = await load_whole(request, role, ticket_id)
    except ApiError as error:
        return closed_response(request, role, ticket_id, error)
    if wants_fragment(request):
        if page.ticket.version <= read_number(request.query.get("seen")):
            return web.Response(status=204)
        return blocks(request, replace(page, said=news_of(page)), LIVE_BLOCKS)
    said = find_said(request)
    response = page_response(request, TEMPLATE, replace(page, said=said))
    if said:
        forget_said(request, response)
    return response


async def _show_earlier(request: web.Request, role: Role, ticket_id: int) -> web.Response:
    query, api = request.query, request.app[TICKET_API]
    name = "before" if "before" in query else "until"
    before = read_number(query[name])
    if not 0 < before <= (ID_MAX if name == "before" else VERSION_MAX):
        raise web.HTTPNotFound
    try:
        ticket = await api.ticket(role, ticket_id)
        if name == "before":
            part = part_of(await api.messages(role, ticket_id, THREAD_ITEMS, before))
        else:
            part = part_of(None, await api.history(role, ticket_id, HISTORY_ITEMS, before))
    except ApiError as error:
        return closed_response(request, role, ticket_id, error)
    is_fragment = wants_fragment(request)
    page = EarlierPage(
        role=role, section="tickets", ticket=ticket, part=part, is_fragment=is_fragment
    )
    if not is_fragment:
        return page_response(request, "earlier.html", page)
    block, target = ("earlier",) * 2 if name == "before" else ("history_earlier", "history-earlier")
    html = request.app[RENDERER].block("earlier.html", block, page)
    return html_response(request, partial(target, html, "outerHTML"))


async def show_similar(request: web.Request) -> web.Response:
    """Show the ticket with the tickets that are most like it; htmx gets these alone."""
    role, ticket_id = require_helpdesk(request), read_ticket_id(request)
    api = request.app[TICKET_API]
    if not wants_fragment(request):
        page, similar = await asyncio.gather(
            load_whole(request, role, ticket_id), find_similar(api, role, ticket_id)
        )
        page = replace(page, similar=similar, is_compared=True)
        return page_response(request, TEMPLATE, page)
    ticket, similar = await asyncio.gather(
        api.ticket(role, ticket_id), find_similar(api, role, ticket_id)
    )
    found = SimilarPage(
        role=role,
        ticket=ticket,
        around=await find_around(api, role, ticket),
        similar=similar,
        now=datetime.now(UTC),
    )
    html = request.app[RENDERER].page("similar.html", found)
    return html_response(request, partial("similar", html, "outerHTML"))


async def edit_description(request: web.Request) -> web.Response:
    """Save the description; where somebody else saved another one meanwhile, show both."""
    role, ticket_id = require_role(request), read_ticket_id(request)
    form = await read_form(request)
    text = form.get("text", "")
    if "theirs" in form:  # what somebody else saved stands already
        return await done(request, role, ticket_id, "theirs", ["editor"])
    try:
        await _edit(request, role, ticket_id, form, description_digest, description=text)
    except ApiError as error:
        problem = error.problem
        if problem.status == 412 and problem.ticket:
            editor = make_editor(problem.ticket, text=text, theirs=problem.ticket.description)
            return await again(request, role, ticket_id, 409, ["editor"], editor=editor)
        if problem.status == 422:
            why = say_text(problem)
            require_short(request, why, text)
            version, was = read_number(form.get("version")), form.get("was", "")
            editor = Editor(text, version, was, why)
            return await again(request, role, ticket_id, 422, ["editor"], editor=editor)
        raise
    return await done(request, role, ticket_id, "description", ["editor"])


async def correct_category(request: web.Request) -> web.Response:
    """Set the category; the ticket service takes it from helpdesk only."""
    role, ticket_id = require_role(request), read_ticket_id(request)
    form = await read_form(request)
    try:
        await _edit(
            request, role, ticket_id, form, category_digest, category=form.get("category", "")
        )
    except ApiError as error:
        if error.problem.status != 412:
            raise
        alert = _("Somebody else changed the category meanwhile. Please look again.")
        return await again(request, role, ticket_id, 409, LIVE_BLOCKS, alert=alert)
    return await done(request, role, ticket_id, "category")


async def move(request: web.Request) -> web.Response:
    """Move the ticket one step forward; the ticket service takes it from helpdesk only."""
    role, ticket_id = require_role(request), read_ticket_id(request)
    form = await read_form(request)
    ticket = await request.app[TICKET_API].move(role, ticket_id, form.get("status", ""))
    return await done(request, role, ticket_id, ticket.status.value)


async def send_message(request: web.Request) -> web.Response:
    """Add a message; the same form and text again add it once."""
    role, ticket_id = require_role(request), read_ticket_id(request)
    form = await read_form(request)
    text, key = form.get("text", ""), form.get("key", "")
    if "insert" in form:
        whole = await _insert_canned(request, role, text, form.get("reply"))
        require_short(request, _("The text is too long for one more reply."), whole)
        reply = Reply(key, whole)
        return await again(request, role, ticket_id, 200, ["reply"], reply=reply)
    try:
        sent = await request.app[TICKET_API].send_message(role, ticket_id, text, key_of(key, text))
    except ApiError as error:
        if error.problem.status != 422:
            raise
        why = say_text(error.problem)
        require_short(request, why, text)
        reply = Reply(key, text, why)
        return await again(request, role, ticket_id, 422, ["reply"], reply=reply)
    # Of its own address: under the ticket's, browsers keep the page with the text and its key, and
    # “back” and “send” are the same message again.
    query = f"?sent={sent.id}"
    return await done(request, role, ticket_id, "message", ["reply"], query=query)


async def _insert_canned(request: web.Request, role: Role, text: str, wanted: str | None) -> str:
    """Return a text with a canned reply after it; pages with scripts put it at the caret."""
    replies = await request.app[TICKET_API].replies(role)
    bodies = [reply.body for reply in replies if reply.id == read_number(wanted)]
    return "\n\n".join(filter(None, [text.strip(), *bodies]))


async def mark_duplicate(request: web.Request) -> web.Response:
    """Say of which ticket this one is a duplicate, or with an empty number that it is none."""
    role, ticket_id = require_role(request), read_ticket_id(request)
    number = read_value(await read_form(request), "of")
    original_id = find_ticket_number(number)
    api = request.app[TICKET_API]
    if not number:
        await api.unmark_duplicate(role, ticket_id)
        return await done(request, role, ticket_id, "no duplicate")
    if not original_id:
        marking = Marking(number, _("Type the number of a ticket, such as 12."))
        return await again(request, role, ticket_id, 422, ["twins"], marking=marking)
    try:
        await api.mark_duplicate(role, ticket_id, original_id)
    except ApiError as error:
        problem = error.problem
        reasons = [say_field(bad) for bad in problem.errors or () if bad.field == "ticket"]
        if not reasons:
            raise
        why = _("That is not possible: %(reasons)s.") % {"reasons": "; ".join(reasons)}
        marking = Marking(number, why)
        return await again(request, role, ticket_id, problem.status, ["twins"], marking=marking)
    return await done(request, role, ticket_id, "duplicate")


async def _edit(
    request: web.Request,
    role: Role,
    ticket_id: int,
    form: dict[str, str],
    field_of: Callable[[Ticket], str],
    **changes: str,
) -> None:
    """Change a field; ApiError 412 only where that field is not what the form started from.

    A message or a status in between makes a new version too, but is no conflict for a person;
    nor is finding the new value there already, when a save is repeated.
    """
    version = read_number(form.get("version"))
    for tries_left in reversed(range(EDIT_TRIES)):
        try:
            await request.app[TICKET_API].edit(role, ticket_id, version, **changes)
            return
        except ApiError as error:
            current = error.problem.ticket
            if error.problem.status != 412 or current is None:
                raise
            if field_of(current) == digest(*changes.values()):
                return
            if field_of(current) != form.get("was") or not tries_left:
                raise
            version = current.version
