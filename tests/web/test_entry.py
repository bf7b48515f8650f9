"""The role: chosen at the entry, kept in a cookie, enforced on every address."""

import pytest

from tests.web.conftest import MakePerson, Serve
from web.role import safe_next


async def test_the_two_roles_are_kept_in_a_cookie(people: MakePerson) -> None:
    person = people(None)
    page = await person.see("/")
    assert "Enter as user" in page.text
    assert "Enter as helpdesk" in page.text
    entered = await person.send("/enter", role="helpdesk")
    assert (entered.status, entered.location) == (303, "/tickets")
    cookie = entered.cookies["role"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert not cookie["secure"]
    assert int(cookie["max-age"]) > 300 * 24 * 3600
    assert (await person.see("/analytics")).status == 200
    left = await person.send("/leave")
    assert left.location == "/"
    assert (await person.see("/tickets")).location == "/"


@pytest.mark.parametrize("role", [None, "root", "Helpdesk", "user "])
async def test_a_forged_role_is_none(people: MakePerson, role: str | None) -> None:
    seen = await people(role).see("/tickets/12?x=1")
    assert (seen.status, seen.location) == (303, "/?next=/tickets/12?x%3D1")
    assert (await people(role).send("/tickets", text="no")).location == "/"
    assert (await people(role).see("/live")).status == 303


async def test_an_unknown_role_is_not_entered(people: MakePerson) -> None:
    seen = await people(None).send("/enter", role="root")
    assert seen.status == 422
    assert "role" not in seen.cookies


async def test_the_wanted_page_is_reached_after_entering(people: MakePerson) -> None:
    person = people(None)
    page = await person.see((await person.see("/tickets/12?x=1&y=%26")).location)
    entered = await person.send("/enter", role="user", next=page.field("next"))
    assert entered.location == "/tickets/12?x=1&y=%26"


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "/",
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/tickets\r\nSet-Cookie: a=b",
        "tickets",
        "http:///evil.example",
        "//[",
    ],
)
def test_no_page_leads_to_another_site(wanted: str) -> None:
    assert safe_next(wanted) == "/tickets"


async def test_a_cookie_over_tls_is_secure_only_behind_our_proxy(
    people: MakePerson, serve: Serve
) -> None:
    for is_behind_proxy in (False, True):
        person = people(None, await serve(is_behind_proxy=is_behind_proxy))
        headers = {"X-Forwarded-Proto": "https"}
        entered = await person.ask("POST", "/enter", data={"role": "user"}, headers=headers)
        assert bool(entered.cookies["role"]["secure"]) is is_behind_proxy
