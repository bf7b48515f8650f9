"""A name of somebody else's that points here is not ours: its pages read and change nothing."""

import socket
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest

from tests.conftest import Stack
from tests.security.conftest import send_raw, status_of
from tests.web.conftest import GOOD, Api, MakePerson, Serve
from web import hosts
from web.routes import ROUTES
from web.settings import SettingsError, read_settings

EVIL = "rebound.evil.example"
OWN = {"hosts": ("helpdesk.example.edu", "desk")}
PROXY: dict[str, Any] = OWN | {"trusted_proxies": (ip_network("127.0.0.1"),)}
ADDRESSES = [
    (route.method, route.path.partition("{")[0].rstrip("/") or "/")
    for route in ROUTES
    if "{" not in route.path
] + [
    ("GET", "/tickets/{id}"),
    ("GET", "/tickets/{id}/similar"),
    ("POST", "/tickets/{id}/status"),
    ("POST", "/tickets/{id}/messages"),
    ("GET", "/live?ticket={id}"),
    ("GET", "/analytics/unclosed.csv"),
    ("GET", "/static/app.js"),
    ("GET", "/nothing-here"),
]


@pytest.mark.parametrize("name", [EVIL, f"{EVIL}:8080", "localhost.evil.example", "x/../", "a b"])
async def test_under_another_name_nothing_is_read_or_changed(
    people: MakePerson, api: Api, stack: Stack, name: str
) -> None:
    ticket = await api.open("Not for another site")
    helpdesk = people("helpdesk")
    for method, address in ADDRESSES:
        seen = await helpdesk.ask(
            method,
            address.replace("{id}", str(ticket.id)),
            headers={"Host": name, "Origin": f"http://{name}", "Sec-Fetch-Site": "same-origin"},
            data={"status": "active", "text": "mine"} if method == "POST" else None,
        )
        assert seen.status == 421, (method, address)
        assert "Not for another site" not in seen.html
        assert not seen.cookies
    assert (await api.fetch(ticket.id)).version == ticket.version


@pytest.mark.parametrize(
    "name",
    [
        *("127.0.0.1", "127.0.0.1:1", "192.168.1.5:8080", "[::1]:8080", "[fe80::1]"),
        *("localhost", "LOCALHOST:8080", "localhost.", socket.gethostname()),
        *("helpdesk.example.edu", "Helpdesk.Example.EDU.:443", "desk:8080"),
    ],
)
async def test_under_our_own_names_and_any_address_in_digits_the_pages_are_served(
    people: MakePerson, serve: Serve, name: str
) -> None:
    person = people("user", await serve(**OWN))
    for path in ("/", "/tickets", "/metrics", "/health/live"):
        assert (await person.see(path, headers={"Host": name})).status == 200
    entered = await person.send("/leave", headers={"Host": name, "Origin": f"http://{name}"})
    assert entered.status == 303


@pytest.mark.parametrize(
    ("declared", "headers", "status"),
    [
        (PROXY, {"Host": "up", "X-Forwarded-Host": "helpdesk.example.edu"}, 200),
        (PROXY, {"Host": "helpdesk.example.edu"}, 200),
        (PROXY, {"Host": "127.0.0.1:8080", "X-Forwarded-Host": EVIL}, 421),
        (PROXY, {"Host": "desk", "Forwarded": f"for=1.2.3.4;host={EVIL}"}, 421),
        (PROXY, {"Host": EVIL}, 421),
        # Nobody is declared: what is said of another host counts nothing.
        (OWN, {"Host": EVIL, "X-Forwarded-Host": "helpdesk.example.edu"}, 421),
        (OWN, {"Host": "desk", "X-Forwarded-Host": EVIL}, 200),
    ],
)
async def test_behind_a_proxy_the_name_that_the_browser_knows_counts(
    people: MakePerson,
    serve: Serve,
    declared: dict[str, Any],
    headers: dict[str, str],
    status: int,
) -> None:
    person = people("user", await serve(**declared))
    assert (await person.see("/tickets", headers=headers)).status == status


@pytest.mark.parametrize("head", [b"HTTP/1.0\r\n", b"HTTP/1.0\r\nHost:\r\n"])
async def test_who_names_no_host_is_no_browser_and_is_answered(stack: Stack, head: bytes) -> None:
    request = b"GET /health/ready " + head + b"Connection: close\r\n\r\n"
    assert status_of(await send_raw(stack["WEB_URL"], request)) == 200


async def test_the_page_and_the_log_say_what_to_set_and_the_log_not_too_often(
    people: MakePerson, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    person = people("user", await serve())
    for n in range(5):
        seen = await person.see("/tickets?q=whispered", headers={"Host": f"{n}.{EVIL}"})
        assert "Use the address that you were given." in seen.text
        assert "For whoever runs it: WEB_HOSTS" in seen.text
        # Its style sheet is refused, too, and cannot hide what is said of that.
        assert "style sheet" not in seen.text
    said = [record.getMessage() for record in caplog.records if record.name == hosts.log.name]
    assert len(said) == 1
    assert f"'0.{EVIL}'" in said[0]
    assert "WEB_HOSTS" in said[0]
    assert "whispered" not in said[0]


async def test_the_ticket_service_takes_any_name_and_always_its_token(stack: Stack) -> None:
    async with aiohttp.ClientSession(stack["TICKET_API_URL"]) as session:
        headers = {"Host": EVIL, "X-Role": "helpdesk"}
        async with session.get("/v1/tickets", headers=headers) as seen:
            assert seen.status == 401


def test_own_names_come_from_all_settings_that_name_one() -> None:
    settings = read_settings(
        GOOD
        | {
            "WEB_HOST": "Desk.local",
            "WEB_ORIGINS": "https://campus.example:8443",
            "WEB_HOSTS": "a.example, Bücher.example",
        }
    )
    known = {"localhost", socket.gethostname().lower(), "desk.local", "campus.example"}
    assert settings.own_hosts == known | {"a.example", "xn--bcher-kva.example"}


@pytest.mark.parametrize(
    "value", ["https://h.example", "h.example:8080", "h.example:443", "h.example/x", "a@h.example"]
)
def test_what_is_no_name_is_refused_at_the_start(value: str) -> None:
    with pytest.raises(SettingsError, match=r"^WEB_HOSTS must be names"):
        read_settings(GOOD | {"WEB_HOSTS": value})
