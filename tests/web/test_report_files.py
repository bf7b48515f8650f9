"""A report's file says the same to every spreadsheet, whatever its language."""

from datetime import UTC, datetime

from contracts.reports import ResolutionMonth, ResolutionReport
from web.pages.report_files import rows_of, to_csv


def test_lengths_of_time_are_whole_seconds() -> None:
    month = ResolutionMonth(
        month="2026-05",
        closed=3,
        still_open=0,
        mean_seconds=415948.928,
        median_seconds=0.4,
        provisional=False,
    )
    empty = ResolutionMonth(
        month="2026-06",
        closed=0,
        still_open=1,
        mean_seconds=None,
        median_seconds=None,
        provisional=True,
    )
    report = ResolutionReport(
        months=[month, empty],
        closed=3,
        still_open=1,
        mean_seconds=415948.928,
        before=None,
        median_error=0.01,
        as_of=datetime(2026, 6, 2, tzinfo=UTC),
        timezone="Europe/Rome",
        svg="",
    )
    assert to_csv(rows_of(report, "")).splitlines() == [
        "month,closed,still_open,mean_seconds,median_seconds,provisional",
        "2026-05,3,0,415949,0,0",
        "2026-06,0,1,,,1",
    ]
