"""What of a report leaves the page: its rows as CSV, and its chart, which must not act anywhere."""

import csv
import io
import re
from collections.abc import Iterable
from datetime import datetime

from bus.rpc import RpcError
from contracts.fields import format_instant
from contracts.reports import OldTicket, ResolutionReport, UnclosedReport
from contracts.vocabulary import NO_CATEGORY
from web.reports import Report

# Whole numbers only: a spreadsheet in German or Italian reads 415948.928 as 415 948 928.
Cell = str | int | datetime | None

# A chart becomes part of our own page, so it may hold these shapes and looks, and links to lists of
# tickets, and nothing else. The analytics service promises that; this is the second lock.
_COLOUR = r"#[0-9a-f]{3,6}|none"
_NUMBER = r"-?[0-9.]+"
_LOOKS = {
    "class": r"[a-z -]+",
    "d": r"[a-zA-Z0-9., -]+",
    "fill": _COLOUR,
    "stroke": _COLOUR,
    "font-family": r"[a-z, -]+",
    "text-anchor": r"start|middle|end",
    "aria-label": r'[^"<>]*',
    "role": "group",
    "viewBox": r"[0-9. ]+",
    "xmlns": r"http://www\.w3\.org/2000/svg",
    **dict.fromkeys(
        ("x", "y", "width", "height", "font-size", "font-weight", "stroke-width"), _NUMBER
    ),
}
_LOOK = "|".join(f'{name}="(?:{value})"' for name, value in _LOOKS.items())
_SHAPE = re.compile(
    rf"<(?:svg|title|g|path|rect|text)(?: (?:{_LOOK}))* ?/?>"
    r'|<a href="/tickets\?[\w%.=&;+-]+" tabindex="-1">'
    r"|</(?:svg|title|g|path|rect|text|a)>",
    re.ASCII,
)
# A spreadsheet takes what starts like this for a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def safe_svg(svg: str) -> str:
    """Return the chart for use inside a page; raises RpcError where it holds more than shapes."""
    if "<" in _SHAPE.sub("", svg):
        raise RpcError("internal", "The chart is not safe to show.")
    return svg


def to_csv(rows: Iterable[Iterable[Cell]]) -> str:
    """Return RFC 4180 text whose cells no spreadsheet takes for formulas."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([map(_cell, row) for row in rows])
    return out.getvalue()


def _cell(value: Cell) -> str | int:
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value


def rows_of(report: Report, category: str) -> list[tuple[Cell, ...]]:
    """Return the rows of a report's table, and above them their names (docs/reports.md).

    `category` is the one that was asked for, empty for all.
    """
    if isinstance(report, UnclosedReport):
        buckets = [(b.start, b.opened, b.open, b.active) for b in report.buckets]
        return [("start", "opened", "open", "active"), *buckets]
    if isinstance(report, ResolutionReport):
        months = [
            (
                *(m.month, m.closed, m.still_open),
                *(_whole(m.mean_seconds), _whole(m.median_seconds)),
                int(m.provisional),
            )
            for m in report.months
        ]
        names = ("month", "closed", "still_open", "mean_seconds", "median_seconds", "provisional")
        return [names, *months]
    rows = [(c.category.value, c.active, *_oldest(c.oldest)) for c in report.categories]
    if category in ("", NO_CATEGORY):
        rows.append((NO_CATEGORY, report.uncategorised, *_oldest(report.oldest_uncategorised)))
    return [("category", "active", "oldest_id", "oldest_opened_at"), *rows]


def age_rows_of(report: UnclosedReport) -> list[tuple[Cell, ...]]:
    """Return the rows of the table of ages in the same way."""
    ages = [(band.since, band.until, band.open, band.active) for band in report.ages]
    return [("since", "until", "open", "active"), *ages]


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


def _oldest(ticket: OldTicket | None) -> tuple[Cell, Cell]:
    return (ticket.id, ticket.opened_at) if ticket else (None, None)
