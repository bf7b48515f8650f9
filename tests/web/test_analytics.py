"""The reports' pages: for helpdesk, with chart, table, definition and downloads."""

import csv

import pytest

from tests.web.conftest import NO_BROKER, Api, MakePerson, Person, Serve

ANALYSES = ("unclosed", "resolution", "active")


async def test_a_user_reads_why_there_are_no_reports(user: Person) -> None:
    assert "for helpdesk only" in (await user.see("/analytics")).text


@pytest.mark.parametrize("name", ANALYSES)
async def test_a_report_shows_chart_table_and_definition(
    helpdesk: Person, api: Api, name: str
) -> None:
    ticket = await api.open("Counted")
    await api.move(ticket.id, "active")
    seen = await helpdesk.see(f"/analytics/{name}")
    assert seen.status == 200
    assert '<svg xmlns="http://www.w3.org/2000/svg"' in seen.html
    assert "<table>" in seen.html
    assert "n = " in seen.text
    assert "Time zone Europe/Rome, as of " in seen.text
    fragment = await helpdesk.see(f"/analytics/{name}", htmx=True)
    assert fragment.html.startswith('<hx-partial hx-target="#analysis"')


@pytest.mark.parametrize("name", ANALYSES)
async def test_the_downloads_hold_the_same(helpdesk: Person, name: str) -> None:
    table = await helpdesk.see(f"/analytics/{name}.csv")
    assert table.headers["Content-Type"].startswith("text/csv")
    assert table.headers["Content-Disposition"] == f'attachment; filename="{name}.csv"'
    rows = list(csv.reader(table.html.splitlines()))
    assert len({len(row) for row in rows}) == 1
    assert table.html.endswith("\r\n")
    chart = await helpdesk.see(f"/analytics/{name}.svg")
    assert chart.headers["Content-Type"].startswith("image/svg+xml")
    assert chart.html.startswith("<svg")
    page = await helpdesk.see(f"/analytics/{name}")
    assert page.html.count("<tr>") == len(rows)


@pytest.mark.parametrize("end", ["", ".csv", ".svg"])
@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("last=0", "Last must be at least 1"),
        ("last=-1", "Last must be at least 1"),
        ("last=1000000000", "Last must be at most"),
        ("last=999999999999999999999", "Last must be a whole number"),
        ("last=abc", "Last must be a whole number"),
        ("last=", "Last must be a whole number"),
        ("last=1.5", "Last must be a whole number"),
        ("last=٣", "Last must be a whole number"),
        ("last=7&unit=weeks", "Unit must be"),
    ],
)
async def test_a_bad_period_is_explained(
    helpdesk: Person, query: str, reason: str, end: str
) -> None:
    seen = await helpdesk.see(f"/analytics/unclosed{end}?{query}")
    assert seen.status == 422
    assert reason in seen.text
    assert 'aria-invalid="true"' in seen.html


async def test_a_missing_worker_is_said_on_its_page_only(people: MakePerson, serve: Serve) -> None:
    person = people("helpdesk", await serve(amqp_url=NO_BROKER))
    assert (await person.see("/analytics")).status == 200
    for name in ANALYSES:
        seen = await person.see(f"/analytics/{name}")
        assert seen.status == 503
        assert "cannot be made at the moment" in seen.text
        assert "Try again" in seen.text
        assert (await person.see(f"/analytics/{name}.csv")).status == 503
    ready = await person.see("/health/ready")
    assert ready.status == 200
    assert "degraded" in ready.html


async def test_numbers_lead_to_their_tickets(helpdesk: Person, api: Api) -> None:
    ticket = await api.open("Behind the bar", category="services_complaints")
    await api.move(ticket.id, "active")
    seen = await helpdesk.see("/analytics/active")
    link = "/tickets?status=active&amp;category=services_complaints"
    assert link in seen.html
    listed = await helpdesk.see(link.replace("&amp;", "&"))
    assert f"/tickets/{ticket.id}" in listed.html
    period = (await helpdesk.see("/analytics/unclosed")).html.split('class="figure"')[1]
    listed = await helpdesk.see(period.split('href="')[1].split('"')[0].replace("&amp;", "&"))
    assert listed.status == 200
    assert "Show any age" in listed.text
