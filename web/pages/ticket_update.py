"""What an open page of a ticket has to get to be current: what changed since its version.

Each version of a ticket has one item in its history, so that the history says which parts of the
page the versions in between can have changed. Loads nothing.
"""

from collections.abc import Sequence

from markupsafe import escape

from contracts.rest import HistoryItem, Message
from contracts.vocabulary import Action
from web.i18n import gettext as _
from web.pages.ticket_page import LIVE_BLOCKS, TEMPLATE, TicketPage, news_of
from web.render import Renderer, blocks_html, partial

# Beside what every change concerns: the head, and what was done.
CHANGED_BY: dict[Action, tuple[str, ...]] = {
    Action.OPENED: (),
    Action.DESCRIPTION_EDITED: ("description", "because", "changed", "editor"),
    Action.CATEGORISED: ("description", "because", "actions"),
    Action.ACTIVATED: ("actions",),
    Action.CLOSED: ("editor", "actions", "twins"),
    Action.MESSAGE_SENT: (),
    Action.DUPLICATE_MARKED: ("twins",),
    Action.DUPLICATE_UNMARKED: ("twins",),
    Action.AFFECTED: (),
}
ALWAYS = ("head", "freshness")


def whole_html(renderer: Renderer, page: TicketPage) -> str:
    """Return all of the page that is the same for everybody."""
    return blocks_html(renderer, TEMPLATE, page, LIVE_BLOCKS) + _news(page)


def update_html(renderer: Renderer, page: TicketPage, seen: int) -> str | None:
    """Return what a page that shows the version `seen` lacks; None where that is too much."""
    history = page.part.history
    done = [item for item in history if item.version > seen]
    if history[0].version > seen + 1:
        return None  # what happened between is not among what was read
    names = {name for item in done for name in CHANGED_BY[item.action]}
    html = blocks_html(
        renderer, TEMPLATE, page, (n for n in LIVE_BLOCKS if n in ALWAYS or n in names)
    )
    said = _said(page.part.messages, done)
    if said is None:
        return None
    if said and len(said) == len(page.part.messages):
        # The first ones take the place of “no messages yet”.
        html += blocks_html(renderer, TEMPLATE, page, ["thread"])
    elif said:
        html += partial("thread", renderer.fragment("messages.html", messages=said), "beforeend")
    items = renderer.fragment("history_items.html", items=done, ticket_id=page.ticket.id)
    html += partial("history-items", items, "afterbegin")
    count = _("History (%(n)s)") % {"n": page.ticket.version}
    return html + partial("history-summary", escape(count), "textContent") + _news(page)


def _said(messages: Sequence[Message], done: Sequence[HistoryItem]) -> Sequence[Message] | None:
    """Return the messages of what was done; None where earlier ones of them are not shown."""
    sent = next((item for item in done if item.action is Action.MESSAGE_SENT), None)
    if sent is None:
        return ()
    # A message and its item have one time. What was sent since the history was read comes too.
    said = [message for message in messages if message.sent_at >= sent.at]
    return said if said and said[0].sent_at == sent.at else None


def _news(page: TicketPage) -> str:
    return partial("said", escape(news_of(page)), "innerMorph")
