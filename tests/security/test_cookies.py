"""Every cookie that is ever set: which ones, and how a browser is told to keep them."""

import re
from http.cookies import SimpleCookie
from uuid import uuid4

import pytest

from tests.web.conftest import Api, MakePerson, Serve
from web.browser import read_key, sign
from web.settings import Settings

# What a person may be given in a cookie; there is no session and no secret in one.
VALUES = {
    "role": {"user", "helpdesk", ""},
    "said": {"reported", "description", "category", "active", "closed", "message", ""},
}
TLS = {"X-Forwarded-Proto": "https"}
JOURNEY = (
    ("POST", "/enter", {"role": "user"}, "role"),
    ("POST", "/enter", {"role": "helpdesk"}, "role"),
    ("POST", "/tickets", {"text": "It is set on success"}, "said"),
    ("POST", "/tickets/{id}/messages", {"text": "hello"}, "said"),
    ("GET", "/tickets/{id}", None, "said"),
    ("POST", "/tickets/{id}/description", {"text": "Edited", "version": "2"}, "said"),
    (
        "POST",
        "/tickets/{id}/category",
        {"category": "facility_management", "version": "3"},
        "said",
    ),
    ("POST", "/tickets/{id}/status", {"status": "active"}, "said"),
    ("POST", "/tickets/{id}/status", {"status": "closed"}, "said"),
    ("GET", "/tickets/{id}", None, "said"),
    ("POST", "/leave", {}, "role"),
)


@pytest.mark.parametrize("headers", [{}, TLS], ids=["plain", "over TLS"])
@pytest.mark.parametrize("is_behind_proxy", [False, True])
async def test_every_cookie_is_out_of_scripts_reach_and_for_this_site(
    people: MakePerson,
    serve: Serve,
    settings: Settings,
    api: Api,
    is_behind_proxy: bool,
    headers: dict[str, str],
) -> None:
    ticket = await api.open("With cookies")
    person = people(None, await serve(is_behind_proxy=is_behind_proxy))
    key = sign(settings.secret, uuid4())
    is_secure = bool(headers) and is_behind_proxy
    role, said = "helpdesk", ""
    for method, address, form, name in JOURNEY:
        cookies = f"role={role}; browser={key}" + (f"; said={said}" if said else "")
        sent = headers | {"Cookie": cookies}
        # A jar would keep a Secure cookie from this plain connection; the test carries them.
        person.session.cookie_jar.clear()
        path = address.replace("{id}", str(ticket.id))
        seen = await person.ask(method, path, data=form, headers=sent)
        given = [SimpleCookie(text) for text in seen.headers.getall("Set-Cookie", [])]
        assert [list(cookie) for cookie in given] == [[name]], (method, path, seen.status)
        morsel = given[0][name]
        assert morsel.value in VALUES[name]
        assert morsel["httponly"]
        assert morsel["samesite"] == "Lax"
        assert morsel["path"] == "/"
        assert not morsel["domain"]
        assert bool(morsel["secure"]) is is_secure
        said = morsel.value if name == "said" else said


async def test_what_a_browser_is_known_by_is_a_random_key_and_numbers_of_tickets(
    people: MakePerson, serve: Serve, settings: Settings, api: Api
) -> None:
    ticket = await api.open("Known browsers")
    person = people("user", await serve(is_behind_proxy=True))
    for headers in ({}, TLS):
        person.session.cookie_jar.clear()
        page = await person.see("/", headers=headers)
        key = page.cookies["browser"].value
        found = read_key(settings.secret, key)
        assert found
        assert found.version == 4
        cookie = {"Cookie": f"role=user; browser={key}"}
        seen = await person.send(f"/tickets/{ticket.id}/affected", headers=headers | cookie)
        given = seen.cookies
        assert set(given) == {"said", "browser", "affected"}
        assert given["browser"].value == key
        assert given["affected"].value == str(ticket.id)
        for morsel in (page.cookies["browser"], given["browser"], given["affected"]):
            assert morsel["httponly"]
            assert morsel["samesite"] == "Lax"
            assert morsel["path"] == "/"
            assert not morsel["domain"]
            assert bool(morsel["secure"]) is bool(headers)


@pytest.mark.parametrize("role", [None, "user", "helpdesk"])
async def test_looking_and_failing_set_one_cookie_once(
    people: MakePerson, api: Api, role: str | None
) -> None:
    ticket = await api.open("Without cookies")
    person = people(role)
    first = await person.see("/")
    assert list(first.cookies) == ["browser"]
    assert first.headers["Cache-Control"] == "private, no-cache"
    for path in ("/", "/tickets", f"/tickets/{ticket.id}", "/analytics", "/nope", "/metrics"):
        assert "Set-Cookie" not in (await person.see(path)).headers
    for path, form in (("/enter", {"role": "root"}), ("/tickets", {"text": ""})):
        assert "Set-Cookie" not in (await person.send(path, **form)).headers


async def test_what_others_may_keep_sets_no_cookie(people: MakePerson) -> None:
    person = people("user")
    page = await person.see("/")
    asset = re.search(r"/static/[^\"]+", page.html)
    assert asset
    person.session.cookie_jar.clear()
    for path in (asset[0], "/metrics", "/health/live", "/health/ready"):
        seen = await person.see(path)
        assert seen.status == 200
        assert "Set-Cookie" not in seen.headers
