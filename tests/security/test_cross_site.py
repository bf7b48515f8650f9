"""Another site's page changes nothing here, whatever a browser sends along for it."""

from typing import Any

import pytest

from tests.web.conftest import Api, MakePerson
from web.routes import ROUTES

ELSEWHERE: dict[str, dict[str, str]] = {
    "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "same-site": {"Sec-Fetch-Site": "same-site"},
    "cross-site, sent by htmx": {"Sec-Fetch-Site": "cross-site", "HX-Request": "true"},
    "cross-site, and an origin that looks like ours": {
        "Sec-Fetch-Site": "cross-site",
        "Origin": "http://{here}",
    },
    "an unknown value": {"Sec-Fetch-Site": "SAME-ORIGIN"},
    "a foreign origin": {"Origin": "https://evil.example"},
    "a foreign origin that starts like ours": {"Origin": "http://{here}.evil.example"},
    "a foreign origin that ends like ours": {"Origin": "http://evil.example:80@{here}.example"},
    "our host in the user's place": {"Origin": "http://{here}@evil.example"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "a null origin": {"Origin": "null"},
    "an empty origin": {"Origin": ""},
    "an origin that is none": {"Origin": "http://["},
    "an origin without scheme": {"Origin": "{here}"},
}
# What would change something for helpdesk, at each address that takes a POST.
FORMS = {
    "/enter": {"role": "user"},
    "/leave": {},
    "/preferences": {"language": "it", "theme": "dark"},
    "/tickets": {"text": "from another site"},
    "/tickets/bulk": {"ticket": "{id}", "do": "active"},
    "/tickets/{id}/description": {"text": "from another site", "version": "1"},
    "/tickets/{id}/category": {"category": "facility_management", "version": "1"},
    "/tickets/{id}/status": {"status": "active"},
    "/tickets/{id}/messages": {"text": "from another site"},
    "/tickets/{id}/typing": {"page": "0123456789abcdef"},
    "/tickets/{id}/duplicate": {"of": "1"},
    "/tickets/{id}/affected": {},
    "/replies": {"title": "From another site", "text": "from another site"},
    "/replies/{id}": {"title": "From another site", "text": "from another site"},
    "/replies/{id}/delete": {},
}


def test_the_table_names_every_address_that_takes_a_post() -> None:
    changing = [route.path for route in ROUTES if route.method not in ("GET", "HEAD")]
    assert {path.replace("{id:[0-9]{1,16}}", "{id}") for path in changing} == set(FORMS)


@pytest.mark.parametrize("headers", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("address", FORMS)
async def test_another_site_changes_nothing(
    people: MakePerson, api: Api, address: str, headers: dict[str, str]
) -> None:
    ticket = await api.open("Cross-site")
    person = people("helpdesk", is_browser=False)
    here = person.session._base_url
    assert here is not None
    filled = {name: value.replace("{here}", here.authority) for name, value in headers.items()}
    before = await _kept(api, ticket.id)
    number = str(ticket.id)
    form = {name: value.replace("{id}", number) for name, value in FORMS[address].items()}
    seen = await person.ask("POST", address.replace("{id}", number), data=form, headers=filled)
    assert seen.status == 403
    assert "another site" in seen.text
    assert not seen.cookies
    assert await _kept(api, ticket.id) == before


async def _kept(api: Api, ticket_id: int) -> list[Any]:
    place = f"/tickets/{ticket_id}"
    addresses = (
        *(place, f"{place}/messages", f"{place}/history"),
        *("/tickets/counts", "/replies"),
    )
    return [await api.ask("GET", address) for address in addresses]


@pytest.mark.parametrize(
    "headers",
    [
        {},  # a program: it has borrowed nobody's cookie
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://{here}"},
        {"Origin": "HTTP://{here}"},
    ],
    ids=str,
)
async def test_our_own_pages_and_programs_are_served(
    people: MakePerson, api: Api, headers: dict[str, str]
) -> None:
    person = people("user", is_browser=False)
    here = person.session._base_url
    assert here is not None
    filled = {name: value.replace("{here}", here.authority) for name, value in headers.items()}
    ticket = await api.open("From here")
    place = f"/tickets/{ticket.id}/messages"
    seen = await person.ask("POST", place, data={"text": "hello"}, headers=filled)
    assert seen.status == 303


async def test_no_get_changes_anything(people: MakePerson, api: Api) -> None:
    ticket = await api.open("Only looked at")
    person = people("helpdesk")
    before = await _kept(api, ticket.id)
    for path in ("", "?status=active", "?text=x&version=1"):
        await person.see(f"/tickets/{ticket.id}{path}")
    for address, form in FORMS.items():
        if address in ("/tickets", "/leave", "/enter", "/replies", "/replies/{id}"):
            continue
        seen = await person.see(address.replace("{id}", str(ticket.id)), params=form)
        assert seen.status == 405
    assert await _kept(api, ticket.id) == before


@pytest.mark.parametrize(
    "address", ["/", "/tickets", "/analytics", "/live", "/health/ready", "/gone"]
)
async def test_another_site_can_neither_frame_a_page_nor_read_it(
    people: MakePerson, address: str
) -> None:
    person = people("helpdesk", is_browser=False)
    async with person.session.get(address, headers={"Origin": "https://evil.example"}) as answer:
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
