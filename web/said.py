"""One sentence about what was just done, carried over a redirect by a cookie that lives once."""

from aiohttp import web

from web.bulk import say_outcome
from web.cookies import delete_cookie, read_cookie, set_cookie
from web.i18n import N_, gettext

COOKIE = "said"
MAX_AGE_SECONDS = 20
SENTENCES = {
    "reported": N_("Thank you. The problem is reported, and you can follow it here."),
    "description": N_("The description is saved."),
    "category": N_("The category is saved."),
    "active": N_("Work has started."),
    "closed": N_("The ticket is closed."),
    "message": N_("The message is sent."),
    "affected": N_("Thank you. It is counted that you have this too."),
    "affected again": N_("You said that already. Thank you; it counts once."),
    "not known": N_(
        "This browser was not known here yet, so nothing was counted. Please press the button "
        "again."
    ),
    "theirs": N_("The other text stays."),
    "nothing waits": N_("No other ticket waits for an answer."),
    "reply added": N_("The reply is added."),
    "reply saved": N_("The reply is saved."),
    "reply deleted": N_("The reply is deleted."),
    "duplicate": N_("The ticket is marked as a duplicate."),
    "no duplicate": N_("The ticket is no duplicate any more."),
}


def sentence(code: str) -> str:
    """Return the sentence of a code, empty for an unknown one."""
    return gettext(SENTENCES[code]) if code in SENTENCES else say_outcome(code)


def redirect(request: web.Request, location: str, code: str) -> web.Response:
    """Return a redirect after a POST; the page there says the sentence of `code`."""
    response = web.Response(status=303, headers={"Location": location})
    set_said(request, response, code)
    return response


def set_said(request: web.Request, response: web.Response, code: str) -> None:
    """Let the next page say the sentence of `code`."""
    set_cookie(request, response, COOKIE, code, MAX_AGE_SECONDS)


def find_said(request: web.Request) -> str:
    """Return the sentence to say on this page, empty where there is none."""
    return sentence(read_cookie(request, COOKIE))


def forget_said(request: web.Request, response: web.Response) -> None:
    """Don't say it again."""
    delete_cookie(request, response, COOKIE)
