"""A text that could not be saved, kept in a form, so that trying again is one click."""

from dataclasses import dataclass, field
from uuid import uuid4

from aiohttp import web

from contracts.vocabulary import Role
from web.pages.errors import AWAY, error_response
from web.render import Page, page_response, wants_fragment
from web.ticket_api import ApiError, Unavailable


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


def unsent_response(
    request: web.Request, role: Role, draft: Draft, error: ApiError | Unavailable
) -> web.Response:
    """Return the page with the text; htmx, where the text still stands in its box, a sentence."""
    if isinstance(error, Unavailable):
        status, sentence = 503, AWAY
    else:
        # Trying again would be refused again, but the text may be a new problem's description.
        status, sentence = error.problem.status, str(error)
        draft = report_draft(draft.text)
    if wants_fragment(request):
        return error_response(request, status, f"{sentence} Your text is still here.")
    page = UnsentPage(role=role, sentence=sentence, draft=draft)
    return page_response(request, "unsent.html", page, status=status)


def report_draft(text: str, key: str = "") -> Draft:
    """Return the draft of a report."""
    return Draft(
        action="/tickets",
        label="Describe the problem",
        button="Report problem",
        text=text,
        hidden={"key": key or str(uuid4())},
    )
