"""What other sites, broken clients and strangers get: a clear refusal, never a traceback."""

import re

import pytest

from tests.web.conftest import Api, MakePerson, Person


async def test_every_answer_has_the_headers(user: Person) -> None:
    for path in ("/", "/tickets", "/nope", "/health/live", "/live"):
        async with user.session.get(path) as response:
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "same-origin"


async def test_pages_have_nothing_inline(helpdesk: Person, api: Api) -> None:
    ticket = await api.open("Nothing inline")
    for path in ("/", "/tickets", f"/tickets/{ticket.id}", "/analytics", "/analytics/active"):
        html = (await helpdesk.see(path)).html
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script>|javascript:", html)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "HX-Request": "true"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_another_site_changes_nothing(
    people: MakePerson, api: Api, headers: dict[str, str]
) -> None:
    ticket = await api.open("Cross-site")
    person = people("helpdesk", is_browser=False)
    place = f"/tickets/{ticket.id}/status"
    seen = await person.ask("POST", place, data={"status": "active"}, headers=headers)
    assert seen.status == 403
    assert "another site" in seen.text
    assert (await api.fetch(ticket.id)).status == "open"


async def test_a_program_without_browser_headers_is_served(people: MakePerson, api: Api) -> None:
    person = people("user", is_browser=False)
    ticket = await api.open("From a program")
    sent = await person.send(f"/tickets/{ticket.id}/messages", text="hello")
    assert sent.status == 303


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"text=%FF%FE", "application/x-www-form-urlencoded", 400),
        (b"text=\xff\xfe", "application/x-www-form-urlencoded", 400),
        (b"&".join([b"a=1"] * 30), "application/x-www-form-urlencoded", 400),
        (b'{"text": "x"}', "application/json", 415),
        (b"--b\r\n\r\nx\r\n--b--", "multipart/form-data; boundary=b", 415),
        (b"text=" + b"x" * 200_000, "application/x-www-form-urlencoded", 413),
        (b"text=a%00b", "application/x-www-form-urlencoded", 422),
        (b"", "application/x-www-form-urlencoded", 422),
    ],
)
async def test_a_broken_form_is_refused_with_a_page(
    user: Person, body: bytes, content_type: str, status: int
) -> None:
    headers = {"Content-Type": content_type}
    seen = await user.ask("POST", "/tickets", data=body, headers=headers)
    assert seen.status == status
    assert "<h1>" in seen.html


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nope", 404),
        ("/tickets/0", 404),
        ("/tickets/999999999", 404),
        ("/tickets/9999999999999999", 404),
        ("/tickets/99999999999999999999", 404),
        ("/tickets/%D9%A1", 404),
        ("/tickets/1%00", 404),
        ("/tickets?cursor=bad", 422),
        ("/tickets?status=bad", 422),
        ("/tickets?q=%00", 422),
        ("/tickets?q=" + "x" * 300, 422),
        ("/tickets?opened_from=yesterday", 422),
        ("/static/style.css", 404),
        ("/static/..%2Fapp.py", 404),
        ("/leave", 405),
    ],
)
async def test_a_bad_address_is_refused_with_a_page(user: Person, path: str, status: int) -> None:
    seen = await user.see(path)
    assert seen.status == status
    assert "<h1>" in seen.html
    assert "Traceback" not in seen.html


async def test_a_refusal_for_htmx_replaces_no_typed_text(user: Person) -> None:
    seen = await user.send("/tickets/999999999/messages", htmx=True, text="typed")
    assert seen.status == 404
    assert re.findall(r'hx-target="#(\w+)"', seen.html) == ["alert"]
