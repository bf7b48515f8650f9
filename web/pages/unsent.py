"""A text that could not be saved, kept in a form, so that trying again is one click.

A text that is far too long comes back so too: within its page both would have more than 300 kB.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from aiohttp import web

from web.forms import ALONE_FROM_BYTES, html_bytes
from web.i18n import N_
from web.render import Page, wants_fragment


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What was typed, and the form that sends it again."""

    action: str
    label: str
    button: str
    text: str
    hidden: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class UnsentPage(Page):
    sentence: str
    draft: Draft


@dataclass(frozen=True)
class TextForm:
    """A form in which people type: label and button in English, and what else it sends."""

    label: str
    button: str
    hidden: tuple[str, ...]


REPORT = "/tickets"
FORMS = {
    REPORT: TextForm(N_("Describe the problem"), N_("Report problem"), ("key",)),
    "/tickets/{id}/description": TextForm(
        N_("Describe the problem"), N_("Save description"), ("version", "was")
    ),
    "/tickets/{id}/messages": TextForm(N_("Message"), N_("Send message"), ("key",)),
    "/replies": TextForm(N_("Text"), N_("Add reply"), ("title",)),
    "/replies/{id}": TextForm(N_("Text"), N_("Save reply"), ("title",)),
}


class LongText(Exception):
    """A refused text that would make its page too large; the message says what is wrong."""


def require_short(request: web.Request, sentence: str, *typed: str) -> None:
    """Raise LongText where what was refused with a sentence comes back with a whole page."""
    if not wants_fragment(request) and html_bytes(*typed) > ALONE_FROM_BYTES:
        raise LongText(sentence)


def make_draft(route: str, action: str, fields: Mapping[str, str]) -> Draft | None:
    """Return the draft of what was sent to an address; None where nobody types a text."""
    form = FORMS.get(route)
    if form is None:
        return None
    hidden = {name: fields.get(name, "") for name in form.hidden}
    if "key" in hidden:
        hidden["key"] = hidden["key"] or str(uuid4())
    return Draft(
        action=action,
        label=form.label,
        button=form.button,
        text=fields.get("text", ""),
        hidden=hidden,
    )


def as_report(draft: Draft) -> Draft:
    """Return the draft of a new report: what is refused for good may be a problem of its own."""
    fresh = make_draft(REPORT, REPORT, {"text": draft.text})
    assert fresh is not None
    return fresh
