"""The reports' pages: for helpdesk, with chart, table, definition and downloads."""

import asyncio
import csv
import json
import re
from html import unescape

import pytest

from tests.web.conftest import NO_BROKER, Api, MakePerson, Person, Seen, Serve

ANALYSES = ("unclosed", "resolution", "active")
QUESTIONS = (
    "unclosed",
    "unclosed?last=48&unit=hours&category=technical_it",
    "resolution",
    "resolution?months=12&category=none",
    "resolution?since=2026-01&until=2026-03",
    "active",
    "active?category=services_complaints",
    "active?category=none",
)


async def open_counted(helpdesk: Person, api: Api, **fields: str) -> int:
    """Open a ticket, start its work, and wait until the reports know of all there are."""
    ticket = await api.open("Counted", **fields)
    await api.move(ticket.id, "active")
    counts = await api.ask("GET", "/tickets/counts")
    async with asyncio.timeout(20):
        while True:
            seen = await helpdesk.see("/analytics/unclosed", headers={"Accept": "application/json"})
            ages = json.loads(seen.html)["ages"]
            if all(sum(a[name] for a in ages) == counts[name] for name in ("open", "active")):
                return ticket.id
            await asyncio.sleep(0.05)


def tables(seen: Seen) -> list[list[list[str]]]:
    """Return the texts of the cells of each row of each table."""
    found = re.findall(r"<table>.*?</table>", seen.html, re.DOTALL)
    rows = [re.findall(r"<tr>(.*?)</tr>", table) for table in found]
    return [
        [
            [re.sub("<[^>]*>", "", c) for c in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row)]
            for row in table
        ]
        for table in rows
    ]


async def test_a_user_reads_why_there_are_no_reports(user: Person) -> None:
    for path in ("/analytics", "/analytics/all"):
        assert "for helpdesk only" in (await user.see(path)).text


@pytest.mark.parametrize("name", ANALYSES)
async def test_a_report_shows_chart_table_and_definition(
    helpdesk: Person, api: Api, name: str
) -> None:
    await open_counted(helpdesk, api)
    seen = await helpdesk.see(f"/analytics/{name}")
    assert seen.status == 200
    assert '<svg xmlns="http://www.w3.org/2000/svg"' in seen.html
    assert "<table>" in seen.html
    assert "n = " in seen.text
    assert "Time zone Europe/Rome, as of " in seen.text
    assert seen.html.count("as of <time") == seen.html.count("<svg xmlns")
    fragment = await helpdesk.see(f"/analytics/{name}", htmx=True)
    assert fragment.html.startswith('<hx-partial hx-target="#analysis"')


@pytest.mark.parametrize("question", QUESTIONS)
async def test_the_downloads_hold_the_same(helpdesk: Person, api: Api, question: str) -> None:
    await open_counted(helpdesk, api)
    name, _, query = question.partition("?")
    for part in ("", "ages") if name == "unclosed" else ("",):
        asked = "&".join(filter(None, (query, part and f"part={part}")))
        table = await helpdesk.see(f"/analytics/{name}.csv?{asked}")
        assert table.headers["Content-Type"].startswith("text/csv")
        file = f"{name}-{part}" if part else name
        assert table.headers["Content-Disposition"] == f'attachment; filename="{file}.csv"'
        rows = list(csv.reader(table.html.splitlines()))
        assert len({len(row) for row in rows}) == 1
        assert table.html.endswith("\r\n")
        chart = await helpdesk.see(f"/analytics/{name}.svg?{asked}")
        assert chart.headers["Content-Type"].startswith("image/svg+xml")
        assert chart.headers["Content-Disposition"] == f'attachment; filename="{file}.svg"'
        assert chart.html.startswith("<svg")
        page = await helpdesk.see(f"/analytics/{question}")
        for end in ("csv", "svg"):
            assert f'href="/analytics/{name}.{end}' in page.html
        shown = tables(page)[1 if part else 0]
        assert len(shown) == len(rows)
        # Numbers alone: names, times and lengths are for people there and for programs here.
        cells = [[cell.replace(",", "") for cell in row[1:]] for row in shown[1:]]
        counts = [[cell for cell in row if cell.isdigit()] for row in cells]
        wanted = {"opened", "open", "active", "closed", "still_open"}
        columns = [place for place, column in enumerate(rows[0]) if column in wanted]
        kept = [[row[place] for place in columns] for row in rows[1:]]
        is_latest_first = name != "active" and not part
        assert counts == (kept[::-1] if is_latest_first else kept)


@pytest.mark.parametrize("end", ["", ".csv", ".svg"])
@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("unclosed?last=0", "Last must be at least 1"),
        ("unclosed?last=-1", "Last must be at least 1"),
        ("unclosed?last=1000000000", "Last must be at most"),
        ("unclosed?last=999999999999999999999", "Last must be a whole number"),
        ("unclosed?last=abc", "Last must be a whole number"),
        ("unclosed?last=", "Last must be a whole number"),
        ("unclosed?last=1.5", "Last must be a whole number"),
        ("unclosed?last=٣", "Last must be a whole number"),
        ("unclosed?last=7&unit=weeks", "Unit must be"),
        ("unclosed?unit=", "Unit must be"),
        ("unclosed?category=lifts", "Category must be one of facility_management"),
        ("resolution?category=lifts", "Category must be one of facility_management"),
        ("active?category=lifts", "Category must be one of facility_management"),
        ("resolution?since=2026", "Since must be a month such as 2026-05"),
        ("resolution?since=2026-5", "Since must be a month such as 2026-05"),
        ("resolution?since=0000-05", "Since must be a month such as 2026-05"),
        ("resolution?until=May", "Until must be a month such as 2026-05"),
        ("resolution?until=2026-13", "Until must be a month such as 2026-05"),
        ("resolution?since=2026-05&until=2026-04", "Until must not be before the first month"),
    ],
)
async def test_a_bad_question_is_explained(
    helpdesk: Person, question: str, reason: str, end: str
) -> None:
    name, _, query = question.partition("?")
    seen = await helpdesk.see(f"/analytics/{name}{end}?{query}")
    assert seen.status == 422
    assert reason in seen.text
    assert seen.html.count('aria-invalid="true"') == 1
    assert seen.html.count(" autofocus") == 1
    if not end:
        together = await helpdesk.see(f"/analytics/all?{query}")
        assert together.status == 422
        assert reason in together.text
        assert (await helpdesk.see(f"/live?report={name}&{query}")).status == 400


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("resolution?months=0", "Months must be at least 1"),
        ("resolution?months=1201", "Months must be less than or equal to 1200"),
        ("resolution?months=x", "Months must be a whole number"),
        ("unclosed.csv?part=x", "Part must be one of the choices"),
        ("active.svg?part=ages", "Part must be one of the choices"),
    ],
)
async def test_what_has_no_field_is_explained_too(helpdesk: Person, path: str, reason: str) -> None:
    seen = await helpdesk.see(f"/analytics/{path}")
    assert seen.status == 422
    assert reason in seen.text


@pytest.mark.parametrize(
    "question", ["since=1800-01&until=1800-02", "since=9999-11", "months=1200"]
)
async def test_months_without_a_ticket_are_no_mistake(helpdesk: Person, question: str) -> None:
    for end in ("", ".csv", ".svg"):
        assert (await helpdesk.see(f"/analytics/resolution{end}?{question}")).status == 200


async def test_presets_are_links_and_the_chosen_one_is_marked(helpdesk: Person) -> None:
    for path, said, chosen in [
        ("unclosed", "24 hours 3 days 7 days 30 days 90 days 1 year", "7 days"),
        (
            "unclosed?last=24&unit=hours",
            "24 hours 3 days 7 days 30 days 90 days 1 year",
            "24 hours",
        ),
        ("unclosed?last=5", "24 hours 3 days 7 days 30 days 90 days 1 year", None),
        ("resolution", "12 months 24 months All months", "All months"),
        ("resolution?months=24", "12 months 24 months All months", "24 months"),
        ("resolution?since=2026-01", "12 months 24 months All months", None),
    ]:
        category = f"{'&' if '?' in path else '?'}category=technical_it"
        seen = await helpdesk.see(f"/analytics/{path}{category}")
        nav = seen.html.split('<nav class="presets"')[1].split("</nav>")[0]
        assert " ".join(re.findall(r">([^<\n]+)</a>", nav)) == said
        current = re.findall(r'aria-current="true">([^<]+)<', nav)
        assert current == ([chosen] if chosen else [])
        for address in re.findall(r'href="([^"]*)"', nav):
            assert "category=technical_it" in address
            assert (await helpdesk.see(unescape(address))).status == 200


async def test_the_form_shows_which_months_are_shown(helpdesk: Person, api: Api) -> None:
    await open_counted(helpdesk, api)
    seen = await helpdesk.see("/analytics/resolution?months=1")
    first = tables(seen)[0][-1][0]
    assert seen.field("since") in seen.html.split("<table>")[0]
    since = seen.field("since")
    again = await helpdesk.see(f"/analytics/resolution?since={since}")
    assert tables(again)[0][-1][0] == first
    # What was asked for stays in the address that the files and the other pages have.
    assert 'href="/analytics/resolution.csv?months=1"' in seen.html
    assert "/analytics/all?last=7&amp;unit=days&amp;months=1" in seen.html


async def test_months_since_and_until_are_those_of_the_table(helpdesk: Person) -> None:
    rows = (await helpdesk.see("/analytics/resolution.csv?until=2026-01")).html.splitlines()
    assert all(row[:7] <= "2026-01" for row in rows[1:])


async def test_a_missing_worker_is_said_on_its_page_only(people: MakePerson, serve: Serve) -> None:
    person = people("helpdesk", await serve(amqp_url=NO_BROKER))
    assert (await person.see("/analytics")).status == 200
    for name in (*ANALYSES, "all"):
        seen = await person.see(f"/analytics/{name}")
        assert seen.status == 503
        assert "cannot be made at the moment" in seen.text
        assert "Try again" in seen.text
    for name in ANALYSES:
        assert (await person.see(f"/analytics/{name}.csv")).status == 503
    ready = await person.see("/health/ready")
    assert ready.status == 200
    assert "degraded" in ready.html


async def test_all_three_stand_on_one_page(helpdesk: Person) -> None:
    question = "last=48&unit=hours&months=2&category=technical_it"
    seen = await helpdesk.see(f"/analytics/all?{question}")
    assert seen.status == 200
    assert seen.html.count("<svg xmlns") == 4
    assert seen.html.count("Category: Technical / IT.") == 4
    assert "<script" not in seen.html
    for name, asked in [
        ("unclosed", "last=48&unit=hours&category=technical_it"),
        ("resolution", "months=2&category=technical_it"),
        ("active", "category=technical_it"),
    ]:
        assert f'href="/analytics/{name}?{asked}"' in unescape(seen.html)
        alone = await helpdesk.see(f"/analytics/{name}?{asked}")
        assert 'href="/analytics/all?' in alone.html
        assert tables(alone)[0] in tables(seen)
    ids = re.findall(r' id="([^"]*)"', seen.html)
    assert len(ids) == len(set(ids))
    assert "/analytics/all" in (await helpdesk.see("/analytics")).html


async def test_numbers_lead_to_their_tickets(helpdesk: Person, api: Api) -> None:
    ticket_id = await open_counted(helpdesk, api, category="services_complaints")
    seen = await helpdesk.see("/analytics/active")
    link = "/tickets?status=active&amp;category=services_complaints"
    assert link in seen.html
    listed = await helpdesk.see(link.replace("&amp;", "&"))
    assert f"/tickets/{ticket_id}" in listed.html
    period = (await helpdesk.see("/analytics/unclosed")).html.split('class="figure"')[1]
    listed = await helpdesk.see(period.split('href="')[1].split('"')[0].replace("&amp;", "&"))
    assert listed.status == 200
    assert "Show any age" in listed.text
