"""What a person reads when something is refused, missing or broken: one page for all of it."""

import logging
import secrets
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler
from markupsafe import escape

from web.forms import FORM_MAX_BYTES
from web.render import Page, html_response, page_response, partial, wants_fragment
from web.role import NotHelpdesk, find_role
from web.security import CrossSite, require_same_site
from web.ticket_api import ApiError, Unavailable

log = logging.getLogger(__name__)

AWAY = "Tickets cannot be reached at the moment. Please try again in a minute."
SENTENCES = {
    400: "This address or form cannot be read.",
    403: "This page is for helpdesk only.",
    404: "There is no such page. It may have been mistyped.",
    405: "This address does not take such a request.",
    413: f"That is more than the {FORM_MAX_BYTES // 1024} KiB that a form may hold.",
    415: "This address takes the forms of this site only.",
    503: AWAY,
}
HEADINGS = {
    403: "Not allowed",
    404: "Not found",
    413: "Too much",
    500: "Our mistake",
    503: "Back in a moment",
}
CROSS_SITE = "This request came from another site, so nothing was changed."
NO_TICKET = "There is no such ticket. Check its number."


@dataclass(frozen=True, kw_only=True)
class ErrorPage(Page):
    status: int
    sentence: str
    support_id: str = ""

    @property
    def heading(self) -> str:
        return HEADINGS.get(self.status, "That did not work")


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error with a page, or with a sentence in the page for htmx."""
    try:
        require_same_site(request)
        return await handler(request)
    except CrossSite:
        return error_response(request, 403, CROSS_SITE)
    except NotHelpdesk:
        return error_response(request, 403, SENTENCES[403])
    except Unavailable:
        return error_response(request, 503, AWAY)
    except ApiError as error:
        status = error.problem.status
        return error_response(request, status, NO_TICKET if status == 404 else str(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        sentence = SENTENCES.get(error.status, error.reason)
        response = error_response(request, error.status, sentence)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception:
        support_id = secrets.token_hex(4)
        log.exception("%s %s failed, support id %s", request.method, request.path, support_id)
        return error_response(request, 500, "Something went wrong here.", support_id)


def error_response(
    request: web.Request, status: int, sentence: str, support_id: str = ""
) -> web.Response:
    """Return the error page; for htmx only a sentence, so that no typed text is replaced."""
    page = ErrorPage(
        role=find_role(request), status=status, sentence=sentence, support_id=support_id
    )
    if wants_fragment(request):
        if support_id:
            sentence += f" Support id: {support_id}"
        return html_response(request, partial("alert", escape(sentence), "innerHTML"), status)
    return page_response(request, "errors.html", page, status=status)
