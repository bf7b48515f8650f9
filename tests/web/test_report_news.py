"""What is news of a report, so that it is sent to open pages: its numbers, and not the time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.reports import (
    ActiveReport,
    AgeBand,
    OldTicket,
    PeriodBefore,
    ResolutionMonth,
    ResolutionReport,
    UnclosedBucket,
    UnclosedReport,
)
from contracts.vocabulary import Category, Status
from web.pages.report_question import Question
from web.pages.report_views import make_view
from web.reports import Report

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def unclosed(now: datetime, **changes: Any) -> UnclosedReport:
    week, today = now - timedelta(days=7), now.replace(hour=0)
    report = UnclosedReport(
        count=2,
        opened=3,
        since=week,
        as_of=now,
        timezone="Europe/Rome",
        buckets=[UnclosedBucket(start=week, opened=3, open=1, active=1)],
        before=PeriodBefore(since=week - timedelta(days=7), opened=4, count=1),
        unclosed=5,
        ages=[AgeBand(days=0, since=today, until=None, open=2, active=3)],
        oldest=[
            OldTicket(id=1, title="Old", status=Status.OPEN, category=None, opened_at=LONG_AGO)
        ],
        svg="",
        ages_svg="",
    )
    return report.model_copy(update=changes)


def numbers(report: Report) -> object:
    return make_view("any", Question(), report).numbers


def test_time_alone_is_no_news_of_a_report() -> None:
    later = unclosed(NOON + timedelta(days=1), svg="<svg></svg>", ages_svg="<svg></svg>")
    assert numbers(later) == numbers(unclosed(NOON))
    month = ResolutionMonth(
        month="2026-05",
        closed=1,
        still_open=2,
        mean_seconds=3.0,
        median_seconds=3.1,
        provisional=True,
    )
    resolution = ResolutionReport(
        months=[month],
        closed=1,
        still_open=2,
        mean_seconds=3.0,
        before=None,
        median_error=0.01,
        as_of=NOON,
        timezone="Europe/Rome",
        svg="",
    )
    assert numbers(resolution.model_copy(update={"as_of": LONG_AGO})) == numbers(resolution)
    for changes in ({"provisional": False}, {"median_seconds": 4.0}, {"still_open": 3}):
        changed = resolution.model_copy(update={"months": [month.model_copy(update=changes)]})
        assert numbers(changed) != numbers(resolution)
    active = ActiveReport(
        categories=[],
        uncategorised=1,
        oldest_uncategorised=None,
        as_of=NOON,
        timezone="Europe/Rome",
        svg="",
    )
    assert numbers(active.model_copy(update={"as_of": LONG_AGO})) == numbers(active)
    [oldest] = unclosed(NOON).oldest
    assert numbers(active.model_copy(update={"oldest_uncategorised": oldest})) != numbers(active)


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("", "count", 3),
        ("", "opened", 4),
        ("", "unclosed", 6),
        ("before", "opened", 5),
        ("before", "count", 2),
        ("buckets", "opened", 4),
        ("buckets", "active", 2),
        ("ages", "open", 3),
        ("oldest", "status", Status.ACTIVE),
        ("oldest", "title", "Older"),
        ("oldest", "category", Category.TECHNICAL_IT),
    ],
)
def test_each_number_of_a_report_is_news(part: str, field: str, value: object) -> None:
    report = unclosed(NOON)
    if not part:
        changed = report.model_copy(update={field: value})
    else:
        old = getattr(report, part)
        one = old[0] if isinstance(old, list) else old
        new = one.model_copy(update={field: value})
        changed = report.model_copy(update={part: [new] if isinstance(old, list) else new})
    assert numbers(changed) != numbers(report)
