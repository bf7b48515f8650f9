"""What a person reads when something is refused, missing or broken: one page for all of it."""

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from math import ceil

from aiohttp import web
from aiohttp.typedefs import Handler
from markupsafe import Markup, escape

from runtime.contended import Contended
from runtime.heads import Answer
from runtime.http import RETRY_AFTER_SECONDS, Busy
from runtime.limits import Limited
from web.filters import label
from web.forms import read_form
from web.hosts import ForeignHost
from web.i18n import CATALOGS, N_, Language, ngettext
from web.i18n import gettext as _
from web.keys import RENDERER
from web.pages.unsent import Draft, LongText, UnsentPage, as_report, make_draft
from web.problems import problem_response, wants_json
from web.refusals import say_problem
from web.render import Page, html_response, page_response, partial, wants_fragment
from web.role import NoRole, NotHelpdesk, OtherRole, find_role
from web.security import HEADERS, CrossSite
from web.settings import Kind
from web.ticket_api import ApiError, Unavailable

log = logging.getLogger(__name__)

AWAY = N_("Tickets cannot be reached at the moment. Please try again in a minute.")
BUSY = N_("Very many people are here at the moment. Please try again in a few seconds.")
CONTENDED = N_(
    "Many people are changing this ticket at the moment. Please try again in a few seconds."
)
SENTENCES = {
    400: N_("This address or form cannot be read."),
    403: N_("This page is for helpdesk only."),
    404: N_("There is no such page. It may have been mistyped."),
    405: N_("This address does not take such a request."),
    408: N_("The request took too long to arrive. Please try again."),
    413: N_("That is more than a form may hold."),
    414: N_("This address is longer than this site takes."),
    415: N_("This address takes the forms of this site only."),
    421: N_(
        "This site is not served under the name in your address bar. Use the address that you were "
        "given."
    ),
    431: N_(
        "Your browser sent more with its request than this site takes, perhaps too many cookies. "
        "Deleting the cookies of this site helps."
    ),
    500: N_("Something went wrong here."),
    503: AWAY,
}
HEADINGS = {
    403: N_("Not allowed"),
    404: N_("Not found"),
    413: N_("Too much"),
    414: N_("Too much"),
    421: N_("Not the name of this site"),
    429: N_("Please wait a moment"),
    431: N_("Too much"),
    500: N_("Our mistake"),
    503: N_("Back in a moment"),
}
LIMITED_BROWSER = N_("Too many requests came from this browser.")
LIMITED_NETWORK = N_("Too many requests came from your network; other people in it count too.")
# A longer wait is said in minutes.
WAIT_IN_SECONDS_MAX = 90
NO_ROLE = N_("This browser has no role any more, so nothing was done and nothing comes in.")
NOT_DONE = N_("That did not work")
OTHER_ROLE = N_("You are %(role)s now, and this page was made before. Nothing was sent.")
HAS_LEFT = N_("You have left since this page was made. Nothing was sent: choose a role first.")
CROSS_SITE = N_(
    "This request came from another site, so nothing was changed. If you sent it from here, please "
    "tell the helpdesk: it does not know the address at which you see it."
)


@dataclass(frozen=True, kw_only=True)
class ErrorPage(Page):
    status: int
    sentence: str
    support_id: str = ""
    # Where the reader's language is not known: the sentence in each of the others.
    others: Mapping[Language, str] = field(default_factory=dict)

    @property
    def is_under_foreign_name(self) -> bool:
        return self.status == 421

    @property
    def heading(self) -> str:
        return _(HEADINGS.get(self.status, NOT_DONE))


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error with a page, or with a sentence in the page for htmx."""
    try:
        return await handler(request)
    except ForeignHost:
        return error_response(request, 421, _(SENTENCES[421]))
    except CrossSite:
        return error_response(request, 403, _(CROSS_SITE))
    except NoRole as error:
        return _no_role_response(request, error.entry)
    except NotHelpdesk:
        return await _not_done(request, 403, _(SENTENCES[403]))
    except OtherRole:
        role = find_role(request)
        sentence = _(OTHER_ROLE) % {"role": label(role)} if role else _(HAS_LEFT)
        if wants_fragment(request):
            sentence += " " + _("Load the page again.")
        return await _not_done(request, 409, sentence, can_repeat=True)
    except Limited as error:
        response = await _limited_response(request, error)
        response.headers["Retry-After"] = str(error.seconds)
        return response
    except LongText as error:
        return await _not_done(request, 422, str(error), can_repeat=True)
    except Busy:
        return await _not_done(request, 503, _(BUSY))
    except Contended:
        return await _not_done(request, 503, _(CONTENDED))
    except Unavailable:
        return await _not_done(request, 503, _(AWAY))
    except ApiError as error:
        return await _not_done(request, error.problem.status, say_problem(error.problem))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        sentence = _(SENTENCES.get(error.status, NOT_DONE))
        response = error_response(request, error.status, sentence)
        for name in {"Allow", "Retry-After"} & error.headers.keys():
            response.headers[name] = error.headers[name]
        return response
    except web.RequestPayloadError:
        # aiohttp would try to read the rest, and log that as a defect.
        request.content.feed_eof()
        response = error_response(request, 400, _(SENTENCES[400]))
        response.force_close()
        return response
    except Exception:
        if request.transport is None:
            return web.Response(status=499)  # the reader has gone; the status is for the metrics
        support_id = secrets.token_hex(4)
        log.exception("%s %s failed, support id %s", request.method, request.path, support_id)
        return error_response(request, 500, _(SENTENCES[500]), support_id)


def say_unreadable(app: web.Application) -> Callable[[HTTPStatus], Answer]:
    """Return what answers bytes that are no request, of which nothing is known."""

    def say(status: HTTPStatus) -> Answer:
        sentence = SENTENCES.get(status, SENTENCES[400])
        others: dict[Language, str] = {
            language: CATALOGS.of(language).gettext(sentence)
            for language in Language
            if language is not Language.ENGLISH
        }
        page = ErrorPage(role=None, status=status, sentence=sentence, others=others)
        return Answer("text/html", app[RENDERER].page("errors.html", page), HEADERS)

    return say


def _no_role_response(request: web.Request, entry: str) -> web.Response:
    """Say to an open page that its reader has no role any more, with the way to the entry."""
    link = Markup('<a href="{}">{}</a>').format(entry, _("Choose who you are"))
    said = partial("said", Markup("{} {}").format(_(NO_ROLE), link), "innerHTML")
    response = html_response(request, said, 401)
    response.headers["WWW-Authenticate"] = 'Cookie realm="campus helpdesk"'
    return response


async def _limited_response(request: web.Request, error: Limited) -> web.Response:
    is_asked_by_script = error.kind == Kind.TYPING or (
        error.kind == Kind.HINT and wants_fragment(request)
    )
    if is_asked_by_script and not wants_json(request):
        # Nobody has pressed anything that a sentence could be about.
        return web.Response(status=429)
    reason = _(LIMITED_NETWORK if error.is_shared else LIMITED_BROWSER)
    sentence = f"{reason} {say_wait(error.seconds)}"
    return await _not_done(request, 429, sentence, can_repeat=True)


def say_wait(seconds: int) -> str:
    """Return the sentence that says after how many seconds to try again."""
    if seconds <= WAIT_IN_SECONDS_MAX:
        sentence = ngettext(
            "Please try again in %(num)s second.", "Please try again in %(num)s seconds.", seconds
        )
        return sentence % {"num": seconds}
    minutes = ceil(seconds / 60)
    sentence = ngettext(
        "Please try again in %(num)s minute.", "Please try again in %(num)s minutes.", minutes
    )
    return sentence % {"num": minutes}


async def _not_done(
    request: web.Request, status: int, sentence: str, *, can_repeat: bool = False
) -> web.Response:
    """Return the error page, with what was typed in a form that sends it again."""
    draft = await _find_draft(request)
    if draft is None:
        return error_response(request, status, sentence)
    if wants_fragment(request):
        # The text still stands in its box.
        return error_response(request, status, f"{sentence} {_('Your text is still here.')}")
    if status != 503 and not can_repeat:
        # Trying again would be refused again, but the text may be a new problem's description.
        draft = as_report(draft)
    page = UnsentPage(role=find_role(request), sentence=sentence, draft=draft)
    return _mark_retry(page_response(request, "unsent.html", page, status=status))


async def _find_draft(request: web.Request) -> Draft | None:
    resource = request.match_info.route.resource
    if request.method != "POST" or resource is None or wants_json(request):
        return None
    try:
        return make_draft(resource.canonical, request.path, await read_form(request))
    except web.HTTPException:
        return None


def error_response(
    request: web.Request, status: int, sentence: str, support_id: str = ""
) -> web.Response:
    """Return the error page, or a problem for a program.

    For htmx it is only a sentence, so that no typed text is replaced.
    """
    if wants_json(request):
        return _mark_retry(problem_response(status, sentence, support_id=support_id))
    page = ErrorPage(
        role=find_role(request), status=status, sentence=sentence, support_id=support_id
    )
    if wants_fragment(request):
        if support_id:
            sentence += " " + _("Support id: %(id)s") % {"id": support_id}
        alert = partial("alert", escape(sentence), "innerHTML")
        return _mark_retry(html_response(request, alert, status))
    return _mark_retry(page_response(request, "errors.html", page, status=status))


def _mark_retry(response: web.Response) -> web.Response:
    if response.status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
