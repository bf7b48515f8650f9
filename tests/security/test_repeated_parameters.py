"""Whoever sends nonsense by the thousand gets a short answer, and each mistake told once.

An address has at most 64 kB, and a body 128; none of it comes back larger than it was sent.
"""

import json
from collections.abc import Callable

import pytest

from contracts.rest import ERRORS_MAX
from runtime.http import PARAMETERS_MAX
from tests.security.conftest import Rest
from tests.web.conftest import Api, MakePerson, Person

ADDRESS_BYTES = 60_000
ANSWER_MAX_BYTES = 60_000
PAGE_MAX_BYTES = 110_000
HEADERS_MAX_BYTES = 4_000
LONG = "x" * ADDRESS_BYTES
# What takes most room in HTML and in an address.
QUOTES = '"' * (ADDRESS_BYTES // 3)


def many(name: str, n: int = 5_000) -> str:
    return "&".join(f"{name}={number}" for number in range(n))


def different(n: int = 8_000) -> str:
    return "&".join(f"p{number}" for number in range(n))


QUERIES = {
    "unknown categories": many("category"),
    "unknown statuses": many("status"),
    "one category": "&".join(["category=none"] * 4_000),
    "one search": "&".join(["q=x"] * 9_000),
    "unknown names": different(),
    "nothing": "&" * ADDRESS_BYTES,
}
PATHS = (
    *("/v1/tickets", "/v1/tickets/similar", "/v1/tickets/{id}/similar"),
    *("/v1/tickets/{id}/messages", "/v1/tickets/{id}/history"),
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("query", QUERIES)
async def test_a_call_with_too_many_parameters_is_refused_in_one_sentence(
    rest: Rest, api: Api, path: str, query: str
) -> None:
    ticket = await api.open("Asked for")
    answer = await rest.as_role("helpdesk", "GET", f"{path.format(id=ticket.id)}?{QUERIES[query]}")
    assert answer.status == 422
    [error] = json.loads(answer.text)["errors"]
    assert (error["field"], error["code"]) == ("query", "too_many_parameters")
    assert error["params"] == {"max": PARAMETERS_MAX}


async def test_each_mistake_of_a_call_is_told_once(rest: Rest) -> None:
    wrong = "&".join((many("category", 20), many("status", 20), "limit=x"))
    answer = await rest.as_role("user", "GET", f"/v1/tickets?{wrong}")
    errors = json.loads(answer.text)["errors"]
    assert sorted(error["field"] for error in errors) == ["category", "limit", "status"]
    assert "2" not in answer.text.replace("422", "")  # a value that was sent


async def test_what_is_named_twice_is_wanted_once(rest: Rest, api: Api) -> None:
    await api.open("Wanted")
    once = await rest.as_role("user", "GET", "/v1/tickets?category=technical_it&status=open")
    repeated = "&".join(["category=technical_it"] * 20 + ["status=open"] * 20)
    twice = await rest.as_role("user", "GET", f"/v1/tickets?{repeated}")
    assert once.status == 200
    assert twice.text == once.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/tickets"),
        ("PATCH", "/v1/tickets/{id}"),
        ("PUT", "/v1/tickets/{id}/status"),
        ("PUT", "/v1/tickets/{id}/duplicate_of"),
        ("POST", "/v1/tickets/{id}/messages"),
        ("POST", "/v1/replies"),
    ],
)
async def test_a_body_of_unknown_fields_is_refused_in_a_few(
    rest: Rest, api: Api, method: str, path: str
) -> None:
    ticket = await api.open("Changed")
    address = path.format(id=ticket.id)
    for body in ({f"f{n}": 1 for n in range(8_000)}, {LONG: 1}, {"a": {LONG: [LONG]}}):
        answer = await rest.as_role("helpdesk", method, address, body)
        assert answer.status == 422
        assert len(json.loads(answer.text)["errors"]) <= ERRORS_MAX
        assert len(answer.text) < 5_000


async def test_no_call_echoes_a_long_name_or_value(rest: Rest) -> None:
    for query in (f"{LONG}=1", f"{LONG}=1&{LONG}=2", f"category={LONG}", f"cursor={LONG}"):
        answer = await rest.as_role("user", "GET", f"/v1/tickets?{query}")
        assert answer.status == 422
        assert len(answer.text) < 2_000


PAGES = (
    *("/tickets", "/tickets/{id}", "/tickets/hints", "/tickets/next", "/replies", "/classifier"),
    *("/analytics", "/analytics/all", "/analytics/unclosed", "/analytics/unclosed.csv"),
    *("/analytics/resolution.svg", "/live", "/"),
)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("query", QUERIES)
async def test_a_page_with_too_many_parameters_is_refused(
    helpdesk: Person, api: Api, path: str, query: str
) -> None:
    ticket = await api.open("Looked at")
    for htmx in (False, True):
        seen = await helpdesk.see(f"{path.format(id=ticket.id)}?{QUERIES[query]}", htmx=htmx)
        assert seen.status == 400
        assert "This address or form cannot be read." in seen.text
        assert len(seen.html) < ANSWER_MAX_BYTES


def listed(name: str) -> Callable[[str], str]:
    return lambda value: f"/tickets?{name}={value}"


ADDRESSES: dict[str, Callable[[str], str]] = {
    name: listed(name)
    for name in ("status", "category", "q", "opened_from", "opened_to", "sort", "cursor", "rows")
} | {
    "hints": lambda value: f"/tickets/hints?text={value}",
    "classifier": lambda value: f"/classifier?text={value}",
    "next": lambda value: f"/?next=/{value}",
    "part": lambda value: f"/analytics/unclosed.csv?part={value}",
    "a chart": lambda value: f"/analytics/resolution.svg?category={value}",
    "a table": lambda value: f"/analytics/active.csv?category={value}",
    "all reports": lambda value: f"/analytics/all?since={value}",
    "a report": lambda value: f"/analytics/unclosed?last={value}",
    "a month": lambda value: f"/analytics/resolution?until={value}",
}


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize("value", [LONG, QUOTES], ids=["letters", "quotes"])
@pytest.mark.parametrize("address", ADDRESSES)
async def test_no_page_echoes_more_of_a_value_than_a_person_types(
    helpdesk: Person, address: str, value: str, htmx: bool
) -> None:
    seen = await helpdesk.see(ADDRESSES[address](value), htmx=htmx)
    assert seen.status < 500
    assert len(seen.html) < PAGE_MAX_BYTES
    assert sum(len(value) for value in seen.headers.values()) < HEADERS_MAX_BYTES


async def test_a_search_that_is_too_long_stays_in_its_field(user: Person) -> None:
    typed = "words " * 40
    seen = await user.see(f"/tickets?q={typed}")
    assert seen.status == 422
    assert f'value="{typed.strip()}"' in seen.html
    assert "39 characters too long" in seen.text


async def test_a_list_names_each_wrong_value_once(user: Person) -> None:
    seen = await user.see(f"/tickets?{many('category', 40)}")
    assert seen.status == 422
    assert seen.text.count("must be one of") == 1


async def test_a_program_is_told_each_mistake_of_a_report_once(people: MakePerson) -> None:
    helpdesk = people("helpdesk")
    query = f"category={LONG}"
    seen = await helpdesk.see(f"/analytics/active?{query}", headers={"Accept": "application/json"})
    assert seen.status == 422
    assert len(json.loads(seen.html)["errors"]) == 1
    assert len(seen.html) < 2_000


@pytest.mark.parametrize(
    "path", ["/tickets/bulk", "/tickets", "/tickets/{id}/messages", "/replies"]
)
async def test_a_form_with_too_many_fields_is_refused(
    helpdesk: Person, api: Api, path: str
) -> None:
    ticket = await api.open("Formed")
    data = many("ticket", 10_000)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    seen = await helpdesk.ask("POST", path.format(id=ticket.id), data=data, headers=headers)
    assert seen.status == 400
    assert len(seen.html) < ANSWER_MAX_BYTES
