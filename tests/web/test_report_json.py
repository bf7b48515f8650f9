"""The reports for other tools (docs/reports.md): what the worker answers, and what went wrong."""

import asyncio
import json
from typing import Any

import pytest

from contracts.reports import ActiveReport, ResolutionReport, UnclosedReport
from tests.web.conftest import NO_BROKER, Api, MakePerson, Person, Seen, Serve
from web import reports
from web.accept import prefers_json
from web.keys import RPC
from web.pages.report_question import Question

REPORTS = {"unclosed": UnclosedReport, "resolution": ResolutionReport, "active": ActiveReport}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
# The moments of two questions differ, and with them the bounds of the period.
MOMENTS = {"as_of", "since", "before", "buckets"}


async def ask(person: Person, path: str, accept: str = "application/json") -> Seen:
    return await person.see(path, headers={"Accept": accept})


def problem(seen: Seen) -> dict[str, Any]:
    assert seen.headers["Content-Type"] == "application/problem+json; charset=utf-8"
    assert seen.headers["Cache-Control"] == "private, no-cache"
    assert "Accept" in seen.headers["Vary"].split(", ")
    said: dict[str, Any] = json.loads(seen.html)
    assert said["status"] == seen.status
    return said


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("category", ["", "technical_it", "none"])
async def test_json_is_what_the_worker_answers(
    helpdesk: Person, api: Api, serve: Serve, name: str, category: str
) -> None:
    await api.move((await api.open("Counted")).id, "active")
    rpc = (await serve()).app[RPC]
    while not rpc.is_connected:
        await asyncio.sleep(0.01)
    question = Question(category=category)
    async with asyncio.timeout(10):
        while True:  # the ticket is counted a moment after it was opened
            seen = await ask(helpdesk, question.address(name))
            assert seen.status == 200
            said = json.loads(seen.html)
            report = await reports.ask(rpc, question.request(name))
            known = report.model_dump(mode="json", exclude={"svg", "ages_svg"})
            assert said.keys() == known.keys()
            if all(said[field] == known[field] for field in said.keys() - MOMENTS):
                break
    assert seen.headers["Content-Type"] == "application/json; charset=utf-8"
    assert seen.headers["Cache-Control"] == "private, no-cache"
    assert "Accept" in seen.headers["Vary"].split(", ")
    assert REPORTS[name].model_validate(said | {"svg": "", "ages_svg": ""})


@pytest.mark.parametrize(
    ("path", "bad"),
    [
        ("unclosed?last=0&unit=days", {"last": "greater_than_equal"}),
        ("unclosed?last=x&unit=weeks", {"last": "int_type", "unit": "enum"}),
        ("unclosed?last=&category=y", {"last": "int_type", "category": "category"}),
        ("resolution?months=0", {"months": "greater_than_equal"}),
        ("resolution?since=2026-13&until=soon", {"since": "month", "until": "month"}),
        ("resolution?since=2026-05&until=2026-04", {"until": "until_before_since"}),
        ("active?category=lifts", {"category": "category"}),
    ],
)
async def test_a_bad_question_is_a_problem_with_each_field(
    helpdesk: Person, path: str, bad: dict[str, str]
) -> None:
    seen = await ask(helpdesk, f"/analytics/{path}")
    assert seen.status == 422
    said = problem(seen)
    assert said["code"] == "invalid"
    assert {error["field"]: error["code"] for error in said["errors"]} == bad
    assert all(error["message"].startswith("must ") for error in said["errors"])
    assert said["detail"].endswith(".")


@pytest.mark.parametrize("role", [None, "user"])
async def test_a_program_is_told_that_reports_are_for_helpdesk(
    people: MakePerson, role: str | None
) -> None:
    seen = await ask(people(role), "/analytics/active")
    assert seen.status == 403
    assert problem(seen)["code"] == "forbidden"


async def test_a_worker_that_is_away_is_a_problem(people: MakePerson, serve: Serve) -> None:
    person = people("helpdesk", await serve(amqp_url=NO_BROKER))
    seen = await ask(person, "/analytics/active")
    assert seen.status == 503
    assert problem(seen)["code"] == "unavailable"
    assert seen.headers["Retry-After"]


async def test_who_asks_for_a_page_gets_one(helpdesk: Person) -> None:
    for accept in (BROWSER, "*/*", "application/json;q=0.5, text/html"):
        seen = await ask(helpdesk, "/analytics/active", accept)
        assert seen.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "Accept" in seen.headers["Vary"].split(", ")


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("", False),
        ("*/*", False),
        (BROWSER, False),
        ("text/html", False),
        ("application/*", False),
        ("text/html, application/json", False),
        ("application/json;q=0.8, */*", False),
        ("application/json;q=0", False),
        ("application/json;q=x", False),
        ("text/event-stream", False),
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/json, text/plain, */*", True),
        ("application/json, text/html;q=0.9", True),
    ],
)
def test_json_is_preferred_where_it_is_named_and_a_page_is_not(accept: str, is_json: bool) -> None:
    assert prefers_json(accept) is is_json
