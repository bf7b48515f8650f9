"""Whatever is typed or sent is shown as text: every field, on every page and fragment."""

from typing import Any

import pytest
from aiohttp import ClientResponse

from tests.security.conftest import Rest
from tests.security.inert import PAYLOAD, SHORT, assert_locked, find_foreign, shows
from tests.web.conftest import HTMX, NOWHERE, Api, MakePerson, Person, Serve

ANALYSES = ("unclosed", "resolution", "active")


async def ask(
    person: Person, method: str, path: str, *, htmx: bool = False, **options: Any
) -> tuple[ClientResponse, str]:
    """Return an answer whose headers and markup hold nothing foreign."""
    headers = {"Sec-Fetch-Site": "same-origin"} | (HTMX if htmx else {})
    async with person.session.request(
        method, path, headers=headers, allow_redirects=False, **options
    ) as answer:
        html = await answer.text()
    assert_locked(answer)
    assert find_foreign(html) == []
    return answer, html


@pytest.fixture
async def poisoned(api: Api) -> int:
    """Return the id of a ticket each of whose texts is the payload."""
    ticket = await api.open(f"{PAYLOAD} first")
    await api.edit(ticket, description=f"{PAYLOAD} second")
    for role in ("user", "helpdesk"):
        await api.say(ticket.id, PAYLOAD, role)
    return ticket.id


def test_the_payloads_would_act_if_they_were_no_text() -> None:
    assert len(find_foreign(PAYLOAD)) >= 7
    assert find_foreign(SHORT)
    assert not shows(SHORT, SHORT)


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize("role", ["user", "helpdesk"])
async def test_what_is_stored_is_shown_as_text(
    people: MakePerson, api: Api, poisoned: int, role: str, htmx: bool
) -> None:
    person = people(role)
    for path in ("/tickets", "/tickets?q=window.hacked", "/tickets?q=%3Cscript%3E+onerror"):
        _, html = await ask(person, "GET", path, htmx=htmx)
        assert f"/tickets/{poisoned}" in html
    _, html = await ask(person, "GET", f"/tickets/{poisoned}?seen=1", htmx=htmx)
    assert shows(html, f"{PAYLOAD} second"), "the description"
    assert shows(html, f"{PAYLOAD} first"), "the history"
    assert html.count("window.hacked=1&lt;/script&gt;") >= 4
    await api.known(await api.fetch(poisoned))
    if role == "helpdesk":
        other = await api.open(f"{PAYLOAD} again")
        await api.known(other)
        _, html = await ask(person, "GET", f"/tickets/{other.id}/similar", htmx=htmx)
        assert shows(html, "<script>window.hacked")
    hints = {"text": f"{PAYLOAD} printer network"}
    _, html = await ask(person, "GET", "/tickets/hints", htmx=htmx, params=hints)
    assert shows(html, "<script>window.hacked")


async def test_a_closed_ticket_shows_helpdesk_text_too(
    helpdesk: Person, api: Api, poisoned: int
) -> None:
    await api.move(poisoned, "active", "closed")
    for path in (f"/tickets/{poisoned}", "/tickets?status=closed", "/tickets?status=all"):
        await ask(helpdesk, "GET", path)


REFLECTED = [
    ("/tickets", "q", SHORT),
    ("/tickets", "q", "<script>window.hacked=1</script>"),
    *[("/tickets", name, PAYLOAD) for name in ("q", "status", "category", "cursor", "nothing")],
    *[("/tickets", name, PAYLOAD) for name in ("opened_from", "opened_to", "sort", "limit")],
    ("/tickets", "status", f"open&status={SHORT}"),
    ("/tickets/hints", "text", PAYLOAD),
    ("/classifier", "text", PAYLOAD),
    ("/classifier", "text", f"{PAYLOAD} the printer burns"),
    ("/classifier", "text", f"{PAYLOAD}\x07"),
    ("/analytics/unclosed", "last", PAYLOAD),
    ("/analytics/unclosed", "unit", PAYLOAD),
    ("/analytics/unclosed.svg", "last", PAYLOAD),
    ("/analytics/unclosed.csv", "unit", PAYLOAD),
    *[("/analytics/resolution", name, PAYLOAD) for name in ("months", "since", "until")],
    *[("/analytics/all", name, PAYLOAD) for name in ("last", "unit", "since", "category")],
    ("/analytics/active", "category", PAYLOAD),
    ("/analytics/unclosed.csv", "part", PAYLOAD),
    ("/analytics/active", "nothing", PAYLOAD),
    ("/", "next", f"/{PAYLOAD}"),
    ("/", "next", PAYLOAD),
    ("/nothing", "q", PAYLOAD),
]


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(("path", "name", "value"), REFLECTED)
async def test_what_stands_in_an_address_is_shown_as_text(
    helpdesk: Person, path: str, name: str, value: str, htmx: bool
) -> None:
    answer, html = await ask(helpdesk, "GET", path, htmx=htmx, params={name: value})
    assert answer.status in (200, 404, 422)
    if (path, name, htmx) == ("/tickets", "q", False) and answer.status == 200:
        assert shows(html, value)


PLACES = ["/{}", "/tickets/{}", "/static/{}", "/analytics/{}", "/analytics/active.{}"]


@pytest.mark.parametrize("place", PLACES)
async def test_a_wrong_address_comes_back_as_text(helpdesk: Person, place: str) -> None:
    for htmx in (False, True):
        answer, _ = await ask(helpdesk, "GET", place.format(PAYLOAD), htmx=htmx)
        assert answer.status == 404


FORMS = [
    ("/enter", {"role": PAYLOAD, "next": f"/{PAYLOAD}"}),
    ("/enter", {"role": "user", "next": f"/{PAYLOAD}"}),
    ("/tickets", {"text": PAYLOAD, "key": PAYLOAD}),
    ("/tickets", {"text": PAYLOAD + "x" * 10_000, "key": PAYLOAD}),
    ("/tickets", {"text": f"{PAYLOAD}\x07", "key": PAYLOAD}),
    ("/tickets/{id}/description", {"text": PAYLOAD, "version": PAYLOAD, "was": PAYLOAD}),
    ("/tickets/{id}/description", {"text": f"{PAYLOAD}\x07", "version": "1", "was": PAYLOAD}),
    ("/tickets/{id}/messages", {"text": PAYLOAD, "key": PAYLOAD}),
    ("/tickets/{id}/messages", {"text": f"{PAYLOAD}\x07", "key": PAYLOAD}),
    ("/tickets/{id}/category", {"category": PAYLOAD, "version": PAYLOAD, "was": PAYLOAD}),
    ("/tickets/{id}/status", {"status": PAYLOAD}),
    ("/tickets/{id}/duplicate", {"of": PAYLOAD}),
    ("/tickets/999999999/messages", {"text": PAYLOAD, "key": PAYLOAD}),
]


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(("address", "form"), FORMS)
async def test_what_a_form_holds_comes_back_as_text(
    helpdesk: Person, poisoned: int, address: str, form: dict[str, str], htmx: bool
) -> None:
    path = address.replace("{id}", str(poisoned))
    answer, html = await ask(helpdesk, "POST", path, htmx=htmx, data=form)
    assert answer.status in (200, 303, 404, 409, 422)
    if answer.status == 422 and "text" in form:
        assert shows(html, form["text"])


@pytest.mark.parametrize("address", ["/tickets", "/tickets/1/messages", "/tickets/1/description"])
async def test_an_unsent_text_comes_back_as_text(
    people: MakePerson, serve: Serve, address: str
) -> None:
    person = people("user", await serve(ticket_api_url=NOWHERE))
    form = dict.fromkeys(("text", "key", "version", "was"), PAYLOAD)
    for htmx in (False, True):
        answer, html = await ask(person, "POST", address, htmx=htmx, data=form)
        assert answer.status == 503
        assert htmx or shows(html, PAYLOAD)


async def test_pages_have_nothing_inline(helpdesk: Person, poisoned: int) -> None:
    for path in ("/", "/tickets", f"/tickets/{poisoned}", "/analytics", "/classifier", "/nope"):
        await ask(helpdesk, "GET", path)
    for name in ANALYSES:
        await ask(helpdesk, "GET", f"/analytics/{name}")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics", "/live"])
async def test_what_is_no_page_has_the_same_headers(user: Person, path: str) -> None:
    async with user.session.get(path) as answer:
        assert_locked(answer)


async def test_a_program_s_errors_hold_no_markup_that_a_browser_would_read(
    rest: Rest, poisoned: int
) -> None:
    for path in (f"/v1/tickets/{PAYLOAD}", "/v1/tickets?status=" + SHORT, f"/v1/{SHORT}"):
        answer = await rest.as_role("user", "GET", path)
        assert answer.headers["Content-Type"].partition(";")[0] == "application/problem+json"
    answer = await rest.as_role("user", "GET", f"/v1/tickets/{poisoned}")
    assert answer.headers["Content-Type"].partition(";")[0] == "application/json"
