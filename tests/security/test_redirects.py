"""Nothing that somebody else wrote into an address leads to another site, or out of a folder."""

from urllib.parse import quote, urljoin, urlsplit

import pytest

from tests.conftest import Stack
from tests.security.conftest import send_raw, status_of
from tests.web.conftest import Api, MakePerson, Person
from web.role import safe_next

ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "////evil.example/tickets",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "https://evil.example",
    "https:evil.example",
    "http:///evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    " //evil.example",
    "\t//evil.example",
    "\x00//evil.example",
    "/\u2028/evil.example",
    "/tickets\r\nSet-Cookie: a=b",
    "/tickets\nLocation: https://evil.example",
    "tickets",
    "?next=//evil.example",
    "#//evil.example",
    "//[",
    "",
    "/",
    "/?next=/tickets",
]
# Where these end is a path of ours, and browsers keep it one.
OURS = ["/tickets/..//evil.example", "/tickets?next=//evil.example", "/%2F/evil.example", "/@evil"]


@pytest.mark.parametrize("wanted", ELSEWHERE)
def test_no_address_of_another_site_is_wanted(wanted: str) -> None:
    assert safe_next(wanted) == "/tickets"


@pytest.mark.parametrize("wanted", [*ELSEWHERE, *OURS])
async def test_entering_leads_nowhere_else(people: MakePerson, wanted: str) -> None:
    person = people(None)
    here = str(person.session._base_url)
    page = await person.see("/", params={"next": wanted})
    offered = page.field("next")
    for next_ in (wanted, offered):
        entered = await people(None).send("/enter", role="user", next=next_)
        assert entered.status == 303
        led = urlsplit(urljoin(here, entered.location.replace("\\", "/")))
        assert led.netloc == urlsplit(here).netloc
        assert set(entered.cookies) == {"role"}


HOSTS = ["evil.example", "evil.example:80", "[::1]", "", "a\tb", "x/../", "@evil.example"]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/tickets", 200), ("GET", "/", 200), ("POST", "/leave", 303), ("GET", "/nope", 404)],
)
async def test_a_forged_host_is_nowhere_in_the_answer(
    stack: Stack, host: str, method: str, path: str, status: int
) -> None:
    request = (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: evil.example\r\n"
        "Forwarded: host=evil.example\r\nX-Original-URL: /analytics\r\nCookie: role=user\r\n"
        "Content-Length: 0\r\nConnection: close\r\n\r\n"
    )
    answer = await send_raw(stack["WEB_URL"], request.encode())
    assert status_of(answer) in (status, 400, 421)
    assert b"evil.example" not in answer


@pytest.mark.parametrize("target", ["http://evil.example/tickets/7", "//evil.example/tickets/7"])
async def test_an_absolute_address_is_no_way_out(stack: Stack, target: str) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    answer = await send_raw(stack["WEB_URL"], request.encode())
    for line in answer.split(b"\r\n\r\n")[0].split(b"\r\n"):
        if line.lower().startswith(b"location:"):
            place = line.decode().partition(" ")[2]
            assert place == "/" or place.startswith("/?next=")
            assert safe_next(place) == "/tickets"


async def test_no_other_parameter_leads_away(helpdesk: Person, api: Api) -> None:
    ticket = await api.open("Stays here")
    away = "https://evil.example"
    for path in ("/tickets", f"/tickets/{ticket.id}", "/analytics", "/"):
        for name in ("next", "url", "redirect", "return", "to", "report"):
            seen = await helpdesk.see(path, params={name: away})
            assert "Location" not in seen.headers
            assert f'href="{away}' not in seen.html
            assert f'action="{away}' not in seen.html
    for name in ("next", "location", "HX-Redirect"):
        seen = await helpdesk.send(f"/tickets/{ticket.id}/messages", text="hi", **{name: away})
        assert seen.location.partition("?sent=")[0] == f"/tickets/{ticket.id}"


def _encoded(path: str) -> list[str]:
    once = quote(path, safe="")
    return [path, once, quote(once, safe=""), once.replace("%2F", "%5C"), path.replace("/", "\\")]


OUTSIDE = [
    *_encoded("../app.py"),
    *_encoded("../../pyproject.toml"),
    *_encoded("../" * 12 + "etc/passwd"),
    *_encoded("/etc/passwd"),
    *_encoded("./base.css"),
    "..%c0%af..%c0%afetc%c0%afpasswd",
    "%2e%2e/app.py",
    "%2e%2e%2fapp.py",
    "..;/app.py",
    "....//app.py",
    "base.css%00",
    "base.css%00.js",
    "%00",
    ".",
    "..",
    "",
    "~root",
    "file:///etc/passwd",
    "base.css::$DATA",
    "base.css",
    "app.js",
]


@pytest.mark.parametrize("name", OUTSIDE)
async def test_static_files_are_those_that_have_a_name_of_their_own(
    stack: Stack, name: str
) -> None:
    request = f"GET /static/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    answer = await send_raw(stack["WEB_URL"], request.encode())
    assert status_of(answer) in (400, 404)
    for secret in (b"root:", b"[project]", b"import ", b"font-family"):
        assert secret not in answer
