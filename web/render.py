"""Turns a page's context into HTML: the whole page, or named blocks of it for htmx.

The server decides which blocks a request gets; a block is named like the DOM id that it fills.
"""

from collections import OrderedDict
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from aiohttp import hdrs, web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import escape

from contracts.rest import Hit, Ticket
from contracts.vocabulary import Role
from web import filters
from web.accept import read_header
from web.assets import Assets
from web.compression import Coding, choose_coding, pack_page
from web.i18n import NAMES, Language, current_language, gettext, ngettext
from web.keys import RENDERER
from web.preferences import THEME_NAMES, current_theme, reader
from web.settings import Settings

# Below this, compressing saves nothing that anybody could notice.
PACKED_FROM_BYTES = 500
_RowKey: TypeAlias = tuple[int, int, Role, Language, str, str]
# Rows kept as they were rendered, about 1 kB each.
ROWS_MAX = 4_000


@dataclass(frozen=True, kw_only=True)
class Page:
    """What every page shows around its own content."""

    role: Role | None
    section: str = ""
    said: str = ""
    alert: str = ""


class Renderer:
    """The templates, compiled once."""

    def __init__(self, settings: Settings, assets: Assets) -> None:
        self._environment = Environment(
            loader=PackageLoader("web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            extensions=["jinja2.ext.i18n"],
            # It would say what is constant in the language that is asked for first.
            optimized=False,
        )
        self._environment.install_gettext_callables(  # type: ignore[attr-defined]
            gettext, ngettext, newstyle=True
        )
        clock = filters.Clock(settings.timezone)
        self._environment.filters |= {
            "label": filters.label,
            "category": filters.category,
            "source": filters.source,
            "deed": filters.deed,
            "title": filters.title,
            "undirected": filters.undirected,
            "duration": filters.duration,
            "span": filters.span,
            "units": filters.units,
            "linked": filters.linked,
            "month_name": filters.month_name,
            "day": filters.day,
            "percent": filters.percent,
            "number": filters.number,
            "likeness": filters.likeness,
            "mark_spans": filters.mark_spans,
            "with_links": filters.with_links,
            "local_time": clock.local_time,
            "moment": clock.moment,
            "when": clock.when,
            "local": clock.local,
            "local_day": clock.local_day,
            "ago": clock.ago,
            "lasting": clock.lasting,
        }
        self._environment.globals |= {
            "static": assets.address,
            "timezone": settings.timezone.key,
            "sure_from": filters.SURE_FROM,
            "reader": reader,
            "language": current_language,
            "language_names": NAMES,
            "theme": current_theme,
            "theme_names": THEME_NAMES,
        }
        self._rows: OrderedDict[_RowKey, str] = OrderedDict()

    def rows(
        self,
        tickets: Iterable[Ticket],
        role: Role,
        now: datetime,
        hits: Iterable[Hit] | None = None,
    ) -> str:
        """Return the rows of a list, with what was found in each where `hits` say it.

        Rendering is the ceiling of a list (FIGURES.md), so a row is kept as long as its ticket's
        version and what it says of time stay the same; one with marked words is not worth keeping.
        """
        if hits is not None:
            pairs = zip(tickets, hits, strict=True)
            return "".join(self._row(ticket, role, now, hit) for ticket, hit in pairs)
        parts = []
        language = current_language()
        for ticket in tickets:
            age = filters.age(ticket.opened_at, now)
            since = ticket.waiting_since if role is Role.HELPDESK else None
            wait = filters.span(since, now) if since else ""
            key = (ticket.id, ticket.version, role, language, age, wait)
            row = self._rows.get(key)
            if row is None:
                row = self._rows[key] = self._row(ticket, role, now)
                if len(self._rows) > ROWS_MAX:
                    self._rows.popitem(last=False)
            else:
                self._rows.move_to_end(key)
            parts.append(row)
        return "".join(parts)

    def _row(self, ticket: Ticket, role: Role, now: datetime, hit: Hit | None = None) -> str:
        row = self._environment.get_template("row.html")
        return row.render(ticket=ticket, role=role, now=now, hit=hit)

    def page(self, template: str, page: object) -> str:
        """Return the whole page."""
        return self._environment.get_template(template).render(page=page)

    def fragment(self, template: str, **values: object) -> str:
        """Return what a template makes of some values."""
        return self._environment.get_template(template).render(values)

    def block(self, template: str, name: str, page: object) -> str:
        """Return one block of it."""
        found = self._environment.get_template(template)
        return "".join(found.blocks[name](found.new_context({"page": page})))


def wants_fragment(request: web.Request) -> bool:
    """Tell whether htmx asks for a part of a page (not for a whole one, as after “back”)."""
    headers = request.headers
    return headers.get("HX-Request") == "true" and headers.get("HX-Request-Type") != "full"


def page_response(
    request: web.Request, template: str, page: Page, *, status: int = 200
) -> web.Response:
    """Return a whole page."""
    return html_response(request, request.app[RENDERER].page(template, page), status)


def blocks_response(
    request: web.Request,
    template: str,
    page: Page,
    names: Iterable[str],
    *,
    replaced: Container[str] = (),
    status: int = 200,
) -> web.Response:
    """Return named blocks, each for the element whose id is its name, and what the page says.

    Blocks are morphed into the page, which keeps focus, scroll position and typed text; those
    `replaced` (forms that start afresh) are put in place of the old ones.
    """
    html = blocks_html(request.app[RENDERER], template, page, names, replaced)
    html += partial("said", escape(page.said), "innerHTML")
    html += partial("alert", escape(page.alert), "innerHTML")
    return html_response(request, html, status)


def blocks_html(
    renderer: Renderer,
    template: str,
    page: Page,
    names: Iterable[str],
    replaced: Container[str] = (),
) -> str:
    """Return named blocks in htmx's envelopes."""
    return "".join(
        partial(
            name,
            renderer.block(template, name, page),
            "outerHTML" if name in replaced else "outerMorph",
        )
        for name in names
    )


def partial(target: str, html: str, swap: str) -> str:
    """Return htmx's envelope for a part of the page that has an id."""
    return f'<hx-partial hx-target="#{target}" hx-swap="{swap}">{html}</hx-partial>\n'


def html_response(request: web.Request, html: str, status: int = 200) -> web.Response:
    """Return HTML that browsers keep only to go back to, compressed where that pays."""
    body = html.encode()
    headers = {
        "Cache-Control": "private, no-cache",
        "Vary": "Accept, HX-Request, HX-Request-Type, Accept-Encoding, Accept-Language, Cookie",
    }
    coding = choose_coding(read_header(request, hdrs.ACCEPT_ENCODING))
    if coding is not Coding.PLAIN and len(body) >= PACKED_FROM_BYTES:
        body = pack_page(body, coding)
        headers["Content-Encoding"] = coding
    return web.Response(
        body=body, status=status, headers=headers, content_type="text/html", charset="utf-8"
    )
