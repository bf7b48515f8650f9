"""The server enforces what each role may do, at every address and every call there is.

A new address belongs into the table: a test fails as long as it is not there.
"""

import json
from typing import Any, NamedTuple

import pytest

from contracts.fields import ID_MAX
from contracts.rest import Ticket
from tests.security.conftest import Rest
from tests.web.conftest import Api, MakePerson
from ticket_svc.routes import OPERATORS, REST
from web.routes import ROUTES

FORGED = ("root", "Helpdesk", "HELPDESK", "helpdesk,user", "%68elpdesk", "user%20", "", "x" * 4_000)
TEXT = {"text": "written by a row of the table"}
ENTRY = 303  # for who has no role: to the entry page
OPEN_TO_ALL = ("/enter", "/leave", "/preferences")


class Page(NamedTuple):
    """One row: `ticket` is how the ticket of the address stands; the statuses are by role."""

    address: str
    without: int
    user: int
    helpdesk: int
    path: str = ""
    ticket: str = "open"
    form: dict[str, str] | None = None


PAGES = (
    Page("GET /", 200, 200, 200),
    Page("POST /enter", 303, 303, 303, form={"role": "user"}),
    Page("POST /enter", 422, 422, 422, form={"role": "root"}),
    Page("POST /leave", 303, 303, 303, form={}),
    Page("POST /preferences", 303, 303, 303, form={"language": "it", "theme": "dark"}),
    Page("POST /preferences", 303, 303, 303, form={"language": "xx"}),
    Page("GET /tickets", ENTRY, 200, 200),
    Page("GET /tickets", ENTRY, 200, 200, "/tickets?status=open&status=active"),
    Page("GET /tickets", ENTRY, 403, 200, "/tickets?status=closed"),
    Page("GET /tickets", ENTRY, 403, 200, "/tickets?status=open&status=closed"),
    Page("POST /tickets", ENTRY, 303, 303, form=TEXT),
    Page("POST /tickets/bulk", ENTRY, 403, 303, form={"ticket": "{id}", "do": "active"}),
    Page(
        "POST /tickets/bulk", ENTRY, 403, 303, ticket="active",
        form={"ticket": "{id}", "do": "closed"},
    ),
    Page("POST /tickets/bulk", ENTRY, 403, 422, form={"do": "active"}),
    Page("POST /tickets/bulk", ENTRY, 403, 400, form={"ticket": "{id}", "do": "open"}),
    Page("GET /tickets/hints", ENTRY, 200, 200, "/tickets/hints?text=the+printer+burns"),
    Page("GET /tickets/{id}", ENTRY, 200, 200),
    Page("GET /tickets/{id}", ENTRY, 200, 200, ticket="closed"),
    Page("GET /tickets/{id}/similar", ENTRY, 403, 200),
    Page("POST /tickets/{id}/typing", ENTRY, 204, 204, form={"page": "0123456789abcdef"}),
    Page("POST /tickets/{id}/description", ENTRY, 303, 303, form=TEXT | {"version": "1"}),
    Page("POST /tickets/{id}/description", ENTRY, 409, 409, ticket="closed", form=TEXT),
    Page(
        "POST /tickets/{id}/category", ENTRY, 403, 303,
        form={"category": "facility_management", "version": "1"},
    ),
    Page(
        "POST /tickets/{id}/category", ENTRY, 403, 409, ticket="closed",
        form={"category": "facility_management", "version": "3"},
    ),
    Page("POST /tickets/{id}/status", ENTRY, 403, 303, form={"status": "active"}),
    Page("POST /tickets/{id}/status", ENTRY, 403, 303, ticket="active", form={"status": "closed"}),
    Page("POST /tickets/{id}/status", ENTRY, 403, 409, ticket="closed", form={"status": "open"}),
    Page("POST /tickets/{id}/messages", ENTRY, 303, 303, form=TEXT),
    Page("POST /tickets/{id}/messages", ENTRY, 409, 409, ticket="closed", form=TEXT),
    Page("POST /tickets/{id}/duplicate", ENTRY, 403, 303, form={"of": ""}),
    Page("POST /tickets/{id}/duplicate", ENTRY, 403, 422, form={"of": "999999999"}),
    Page("POST /tickets/{id}/duplicate", ENTRY, 403, 409, ticket="closed", form={"of": ""}),
    Page("POST /tickets/{id}/affected", ENTRY, 303, 303, form={}),
    Page("POST /tickets/{id}/affected", ENTRY, 409, 409, ticket="closed", form={}),
    Page("GET /tickets/next", ENTRY, 403, 303),
    Page("POST /tickets/{id}/messages", ENTRY, 403, 200, form=TEXT | {"insert": "1"}),
    Page("GET /replies", ENTRY, 403, 200),
    Page("POST /replies", ENTRY, 403, 422, form={"title": "", "text": "by a row"}),
    Page("GET /replies/{id}", ENTRY, 403, 404, "/replies/999999999"),
    Page(
        "POST /replies/{id}", ENTRY, 403, 404, "/replies/999999999",
        form={"title": "A row of the table", "text": "by a row"},
    ),
    Page("POST /replies/{id}/delete", ENTRY, 403, 303, "/replies/999999999/delete", form={}),
    Page("GET /classifier", ENTRY, 403, 200),
    Page("GET /classifier", ENTRY, 403, 200, "/classifier?text=the+printer+burns"),
    Page("GET /analytics", ENTRY, 403, 200),
    Page("GET /analytics/all", ENTRY, 403, 200),
    Page("GET /analytics/{analysis}", ENTRY, 403, 200, "/analytics/unclosed?last=1&unit=days"),
    Page("GET /analytics/{analysis}", ENTRY, 403, 200, "/analytics/resolution"),
    Page("GET /analytics/{analysis}", ENTRY, 403, 200, "/analytics/active"),
    Page("GET /analytics/{analysis}.{kind}", ENTRY, 403, 200, "/analytics/unclosed.svg?last=1"),
    Page("GET /analytics/{analysis}.{kind}", ENTRY, 403, 200, "/analytics/unclosed.csv?last=1"),
    Page("GET /analytics/{analysis}.{kind}", ENTRY, 403, 200, "/analytics/resolution.svg"),
    Page("GET /analytics/{analysis}.{kind}", ENTRY, 403, 200, "/analytics/resolution.csv"),
    Page("GET /analytics/{analysis}.{kind}", ENTRY, 403, 200, "/analytics/active.svg"),
    Page("GET /analytics/{analysis}.{kind}", ENTRY, 403, 200, "/analytics/active.csv"),
    Page("GET /live", 401, 200, 200),
    Page("GET /health/live", 200, 200, 200),
    Page("GET /health/ready", 200, 200, 200),
    Page("GET /metrics", 200, 200, 200),
    Page("GET /static/{name}", 404, 404, 404, "/static/nothing.css"),
)  # fmt: skip


class Call(NamedTuple):
    """One row: the statuses for a user and for helpdesk; without a role it is always 400."""

    address: str
    user: int
    helpdesk: int
    path: str = ""
    ticket: str = "open"
    body: Any = None


WORDS = {"body": "written by a row of the table"}
REPLY = {"title": "A row of the table", "body": "written by it"}
KEY = "00000000-0000-4000-8000-000000000001"
CALLS = (
    Call("POST /v1/tickets", 201, 201, body={"description": "written by a row of the table"}),
    Call("GET /v1/tickets", 200, 200),
    Call("GET /v1/tickets", 200, 200, "/v1/tickets?status=open&status=active&q=row"),
    Call("GET /v1/tickets", 403, 200, "/v1/tickets?status=closed"),
    Call("GET /v1/tickets", 403, 200, "/v1/tickets?status=open&status=closed"),
    Call("GET /v1/tickets/counts", 200, 200),
    Call("GET /v1/tickets/export", 403, 200),
    Call("GET /v1/tickets/similar", 200, 200, "/v1/tickets/similar?text=row"),
    Call("GET /v1/tickets/{id}", 200, 200),
    Call("GET /v1/tickets/{id}", 403, 200, ticket="closed"),
    Call("PATCH /v1/tickets/{id}", 200, 200, body={"description": "edited"}),
    Call("PATCH /v1/tickets/{id}", 403, 200, body={"category": "facility_management"}),
    Call(
        "PATCH /v1/tickets/{id}", 403, 200,
        body={"category": "facility_management", "description": "edited"},
    ),
    Call("PATCH /v1/tickets/{id}", 409, 409, ticket="closed", body={"description": "edited"}),
    Call("PUT /v1/tickets/{id}/status", 403, 200, body={"status": "active"}),
    Call("PUT /v1/tickets/{id}/status", 403, 200, ticket="active", body={"status": "closed"}),
    Call("PUT /v1/tickets/{id}/status", 403, 200, ticket="closed", body={"status": "closed"}),
    Call("PUT /v1/tickets/{id}/status", 403, 409, ticket="closed", body={"status": "open"}),
    Call("PUT /v1/tickets/{id}/affected/{key}", 200, 200, f"/v1/tickets/{{id}}/affected/{KEY}"),
    Call(
        "PUT /v1/tickets/{id}/affected/{key}", 409, 409, f"/v1/tickets/{{id}}/affected/{KEY}",
        ticket="closed",
    ),
    Call("GET /v1/tickets/{id}/similar", 200, 200),
    Call("GET /v1/tickets/{id}/similar", 403, 200, ticket="closed"),
    Call("GET /v1/tickets/{id}/duplicates", 200, 200),
    Call("GET /v1/tickets/{id}/duplicates", 403, 200, ticket="closed"),
    Call("PUT /v1/tickets/{id}/duplicate_of", 403, 422, body={"ticket": ID_MAX}),
    Call("PUT /v1/tickets/{id}/duplicate_of", 403, 409, ticket="closed", body={"ticket": ID_MAX}),
    Call("DELETE /v1/tickets/{id}/duplicate_of", 403, 200),
    Call("DELETE /v1/tickets/{id}/duplicate_of", 403, 409, ticket="closed"),
    Call("GET /v1/tickets/{id}/messages", 200, 200),
    Call("GET /v1/tickets/{id}/messages", 403, 200, ticket="closed"),
    Call("POST /v1/tickets/{id}/messages", 201, 201, body=WORDS),
    Call("POST /v1/tickets/{id}/messages", 409, 409, ticket="closed", body=WORDS),
    Call("GET /v1/tickets/{id}/history", 200, 200),
    Call("GET /v1/tickets/{id}/history", 403, 200, ticket="closed"),
    Call("GET /v1/replies", 403, 200),
    Call("POST /v1/replies", 403, 201, body=REPLY),
    Call("PUT /v1/replies/{id}", 403, 404, f"/v1/replies/{ID_MAX}", body=REPLY),
    Call("DELETE /v1/replies/{id}", 403, 204, f"/v1/replies/{ID_MAX}"),
)  # fmt: skip
SERVED_WITHOUT_ROLE = {
    "GET /health/live", "GET /health/ready", "GET /metrics", "GET /openapi.json",
}  # fmt: skip


def _named(rows: tuple[Any, ...]) -> list[Any]:
    return [pytest.param(row, id=f"{row.address} {row.path} {row.ticket}") for row in rows]


def test_the_tables_name_every_address() -> None:
    served = {f"{route.method} {_template(route.path)}" for route in ROUTES}
    assert served == {row.address for row in PAGES}
    assert {f"{r.method} {r.path}" for r in REST} == {row.address for row in CALLS}
    assert {f"{r.method} {r.path}" for r in OPERATORS} == SERVED_WITHOUT_ROLE


def _template(path: str) -> str:
    parts = path.replace("{kind:svg|csv}", "{kind}").replace("{id:[0-9]{1,16}}", "{id}")
    return parts.replace("{analysis:unclosed|resolution|active}", "{analysis}")


async def _prepared(api: Api, status: str) -> Ticket:
    ticket = await api.open("A ticket that stands in nobody's way")
    steps = {"open": (), "active": ("active",), "closed": ("active", "closed")}
    await api.move(ticket.id, *steps[status])
    return ticket


def _filled(form: dict[str, str] | None, ticket: Ticket) -> dict[str, str] | None:
    return form and {name: value.replace("{id}", str(ticket.id)) for name, value in form.items()}


async def _state(api: Api, ticket: Ticket) -> list[Any]:
    """Return everything that is kept of a ticket."""
    place = f"/tickets/{ticket.id}"
    return [await api.ask("GET", place + part) for part in ("", "/messages", "/history")]


@pytest.mark.parametrize("row", _named(PAGES))
@pytest.mark.parametrize("role", [None, "user", "helpdesk"])
async def test_a_page_does_for_a_role_what_the_table_says(
    people: MakePerson, api: Api, row: Page, role: str | None
) -> None:
    method, address = row.address.split(" ")
    ticket = await _prepared(api, row.ticket)
    path = (row.path or address).replace("{id}", str(ticket.id))
    expected = {None: row.without, "user": row.user, "helpdesk": row.helpdesk}[role]
    before = await _state(api, ticket)
    person = people(role)
    await person.see("/")  # where a browser gets its key
    async with person.session.request(
        method, path, data=_filled(row.form, ticket), allow_redirects=False
    ) as answer:
        assert answer.status == expected
        if role is None and row.without == ENTRY and address not in OPEN_TO_ALL:
            assert answer.headers["Location"].partition("?")[0] == "/"
        is_refused = expected >= 400 or role is None
    if method == "GET" and address != "/live":
        assert (await people(role).ask("HEAD", path)).status == expected
    if is_refused or method == "GET":
        assert await _state(api, ticket) == before


@pytest.mark.parametrize("cookie", FORGED)
async def test_a_forged_role_is_none(people: MakePerson, api: Api, cookie: str) -> None:
    ticket = await api.open("Not for strangers")
    before = await _state(api, ticket)
    for row in PAGES:
        method, address = row.address.split(" ")
        path = (row.path or address).replace("{id}", str(ticket.id))
        headers = {"Cookie": f"role={cookie}"}
        seen = await people(None).ask(method, path, data=_filled(row.form, ticket), headers=headers)
        assert seen.status == row.without, row
        assert "Not for strangers" not in seen.html
    assert await _state(api, ticket) == before


@pytest.mark.parametrize("row", _named(CALLS))
@pytest.mark.parametrize("role", ["user", "helpdesk"])
async def test_a_call_does_for_a_role_what_the_table_says(
    rest: Rest, api: Api, row: Call, role: str
) -> None:
    method, path = row.address.split(" ")
    ticket = await _prepared(api, row.ticket)
    before = await _state(api, ticket)
    expected = {"user": row.user, "helpdesk": row.helpdesk}[role]
    path = (row.path or path).replace("{id}", str(ticket.id))
    answer = await rest.as_role(role, method, path, row.body)
    assert answer.status == expected
    if expected == 403:
        problem = json.loads(answer.text)
        assert problem["code"] in ("forbidden", "ticket_closed")
        assert "stands in nobody's way" not in answer.text
    if expected >= 400 or method == "GET":
        assert await _state(api, ticket) == before


@pytest.mark.parametrize("role", [None, *FORGED])
async def test_a_call_without_a_role_does_nothing(rest: Rest, api: Api, role: str | None) -> None:
    ticket = await api.open("Nobody asks")
    before = await _state(api, ticket)
    for row in CALLS:
        method, path = row.address.split(" ")
        path = (row.path or path).replace("{id}", str(ticket.id))
        answer = await rest.as_role(role, method, path, row.body)
        assert (answer.status, json.loads(answer.text)["code"]) == (400, "bad_role"), row
    assert await _state(api, ticket) == before
