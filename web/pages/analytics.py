"""The three reports: chosen, shown, together on one page for paper, as files, and as JSON.

The numbers come from the report workers as they are; nothing is counted here.
"""

from collections.abc import Sequence
from dataclasses import replace

from aiohttp import web

from bus.rpc import RpcError
from contracts.rest import FieldError
from contracts.vocabulary import Role
from web import reports
from web.i18n import gettext
from web.keys import RPC
from web.pages.report_files import age_rows_of, rows_of, to_csv
from web.pages.report_page import load_page, make_page
from web.pages.report_question import ALL, Question, read_question
from web.pages.report_views import ReportView, UnclosedView
from web.problems import HEADERS, problem_response, wants_json
from web.refusals import say_named
from web.render import blocks_response, page_response, wants_fragment
from web.role import NotHelpdesk, find_role, require_helpdesk

CHOICE = "analytics.html"
TEMPLATE = "report.html"
AGES = "ages"
NO_SUCH_PART = FieldError(
    field="part", message="must be ages, of unclosed, or absent", code="literal_error"
)


async def choose(request: web.Request) -> web.Response:
    """Show the three analyses."""
    require_helpdesk(request)
    return _afresh(page_response(request, CHOICE, make_page(request.app, "", Question())))


async def show(request: web.Request) -> web.Response:
    """Show one report; where its worker is away the page says so, and stays usable."""
    analysis = request.match_info["analysis"]
    if wants_json(request):
        return await _answer_program(request, analysis)
    require_helpdesk(request)
    page, status = await load_page(request.app, analysis, request.query)
    if wants_fragment(request):
        return blocks_response(request, TEMPLATE, page, ["analysis"], status=status)
    return _afresh(page_response(request, TEMPLATE, page, status=status))


async def show_all(request: web.Request) -> web.Response:
    """Show all three reports on one page, which can be printed."""
    require_helpdesk(request)
    page, status = await load_page(request.app, ALL, request.query)
    return _afresh(page_response(request, TEMPLATE, page, status=status))


async def download(request: web.Request) -> web.Response:
    """Return one report's chart or its rows as a file; with `part=ages`, those of the ages."""
    require_helpdesk(request)
    analysis, kind = request.match_info["analysis"], request.match_info["kind"]
    part = request.query.get("part", "")
    page, status = await load_page(request.app, analysis, request.query, chart=kind == "svg")
    if part and (analysis, part) != ("unclosed", AGES):
        page, status = replace(page, errors=(*page.errors, NO_SUCH_PART), views=()), 422
    view = page.views[0] if page.views else None
    if not isinstance(view, ReportView):
        return page_response(request, TEMPLATE, page, status=status)
    ages = view if part and isinstance(view, UnclosedView) else None
    if kind == "svg":
        text, content_type = ages.ages_chart if ages else view.chart, "image/svg+xml"
    else:
        rows = age_rows_of(ages.report) if ages else rows_of(view.report, page.question.category)
        text, content_type = to_csv(rows), "text/csv"
    name = "-".join(filter(None, (analysis, part)))
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{name}.{kind}"',
    }
    return web.Response(text=text, content_type=content_type, headers=headers)


def _afresh(response: web.Response) -> web.Response:
    """Have a page made anew for “back”: nothing is typed there, and its form says what it shows."""
    response.headers["Cache-Control"] = "private, no-store"
    return response


async def _answer_program(request: web.Request, analysis: str) -> web.Response:
    """Return what the report worker answers, without charts, or a problem."""
    if find_role(request) is not Role.HELPDESK:  # no use for a program to be led to the entry
        raise NotHelpdesk
    question = read_question(request.query, analysis)
    if errors := question.errors(analysis):
        return _refuse(errors)
    try:
        report = await reports.ask(request.app[RPC], question.request(analysis, chart=False))
    except RpcError as error:
        if error.code == "bad_request":
            return _refuse(error.errors)
        if error.code == "internal":
            return problem_response(500, str(error))
        return problem_response(503, gettext("This report cannot be made at the moment."))
    text = report.model_dump_json(exclude={"svg", "ages_svg"})
    return web.Response(text=text, content_type="application/json", headers=HEADERS)


def _refuse(errors: Sequence[FieldError]) -> web.Response:
    return problem_response(422, " ".join(map(say_named, errors)), errors)
