"""Behind which proxies the pages work, and that nobody else's word on addresses counts."""

from ipaddress import ip_network
from typing import Any, NamedTuple

import pytest
from multidict import CIMultiDict

from tests.conftest import ROOT
from tests.web.conftest import GOOD, MakePerson, Serve
from web.origin import read_origin
from web.settings import SettingsError, read_settings

HERE = (ip_network("127.0.0.1"),)
INNER = (*HERE, ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
UNDECLARED: dict[str, Any] = {}
BEHIND: dict[str, Any] = {"is_behind_proxy": True}
NAMED: dict[str, Any] = {"trusted_proxies": HERE}
TWO: dict[str, Any] = {"trusted_proxies": INNER}
ELSEWHERE: dict[str, Any] = {"trusted_proxies": (ip_network("192.0.2.1"),), "is_behind_proxy": True}
ORIGINS: dict[str, Any] = {"origins": (read_origin("https://h.example"), read_origin("http://h"))}
# Which names are ours is another matter: tests/security/test_hosts.py.
KNOWN: dict[str, Any] = {"hosts": ("h", "h.example", "up", "evil.example")}


class Case(NamedTuple):
    """`origin` is what the browser says; with `secure` cookies are kept for TLS only."""

    settings: dict[str, Any]
    host: str
    origin: str
    more: dict[str, str | list[str]]
    status: int
    secure: bool = False


def x(**more: str) -> dict[str, str | list[str]]:
    return {f"X-Forwarded-{name.capitalize()}": value for name, value in more.items()}


CASES = {
    # Without a word about proxies: one address, in any spelling.
    "the same": Case(UNDECLARED, "h:8080", "http://h:8080", {}, 303),
    "TLS ended before": Case(UNDECLARED, "h", "https://h", {}, 303),
    "TLS ended before, with its port": Case(UNDECLARED, "h:443", "https://h", {}, 303),
    "port 80 said": Case(UNDECLARED, "h:80", "http://h", {}, 303),
    "port 443 said by the browser": Case(UNDECLARED, "h", "https://h:443", {}, 303),
    "capitals": Case(UNDECLARED, "H.Example", "http://h.eXample", {}, 303),
    "a dot at the end": Case(UNDECLARED, "h.example.", "http://h.example", {}, 303),
    "IPv6": Case(UNDECLARED, "[::1]:8080", "http://[0:0::1]:8080", {}, 303),
    "another port": Case(UNDECLARED, "h:8080", "http://h:8081", {}, 403),
    "a port left out": Case(UNDECLARED, "h", "http://h:8080", {}, 403),
    "a host put in its place": Case(UNDECLARED, "127.0.0.1:8080", "http://h", {}, 403),
    "nobody declared": Case(UNDECLARED, "up", "https://h", x(host="h", proto="https"), 403),
    "a name of more letters": Case(UNDECLARED, "h", "http://h@h", {}, 403),
    "an origin with a path": Case(UNDECLARED, "h", "http://h/x", {}, 403),
    "another scheme": Case(UNDECLARED, "h", "ftp://h", {}, 403),
    "no host": Case(UNDECLARED, "", "http://h", {}, 403),
    # A declared proxy says what the browser sees.
    "TLS": Case(BEHIND, "h", "https://h", x(proto="https"), 303, True),
    "TLS, in capitals": Case(BEHIND, "h", "https://h", x(proto="HTTPS"), 303, True),
    "TLS, two hops": Case(BEHIND, "h", "https://h", x(proto="https, http"), 303, True),
    "TLS, two lines": Case(
        BEHIND, "h", "https://h", {"X-Forwarded-Proto": ["https", "http"]}, 303, True
    ),
    "plain, two hops": Case(BEHIND, "h", "http://h", x(proto="http,https"), 303, False),
    "an unknown scheme": Case(BEHIND, "h", "http://h", x(proto="gopher"), 303, False),
    "host": Case(BEHIND, "up:1", "http://h:8443", x(host="h:8443"), 303),
    "host, two hops": Case(BEHIND, "up", "http://h", x(host="h, inner:8080"), 303),
    "port": Case(BEHIND, "h", "http://h:8443", x(port="8443"), 303),
    "port of the host, port": Case(BEHIND, "up", "http://h:8443", x(host="h", port="8443"), 303),
    "port inside": Case(BEHIND, "up", "https://h", x(host="h", port="8443"), 303),
    "not a port": Case(BEHIND, "h", "http://h", x(port="any"), 303),
    "another host": Case(BEHIND, "up", "http://h", x(host="evil.example"), 403),
    "the host inside": Case(BEHIND, "up", "http://up", x(host="h"), 403),
    "Forwarded": Case(
        BEHIND, "up", "https://h:1", {"Forwarded": 'for=1.2.3.4;Proto=https;host="h:1"'}, 303, True
    ),
    "Forwarded, two hops": Case(
        BEHIND, "up", "https://h",
        {"Forwarded": 'for="[2001:db8::1]:7";proto=https;host=h, for=_x;proto=http;host=inner'},
        303, True,
    ),
    "Forwarded, two lines": Case(
        BEHIND, "up", "https://h", {"Forwarded": ["host=h;proto=https", "for=10.0.0.1"]}, 303, True
    ),
    "Forwarded, nonsense": Case(BEHIND, "h", "http://h", {"Forwarded": 'for="; host==,,'}, 303),
    "one family of headers": Case(
        BEHIND, "h", "http://h", x(proto="http") | {"Forwarded": "proto=https;host=evil"}, 303
    ),
    # Proxies by their addresses: what a client wrote itself is no word of theirs.
    "named": Case(NAMED, "up", "https://h", x(proto="https", host="h"), 303, True),
    "named, a forged beginning": Case(
        NAMED, "up", "http://h",
        {"X-Forwarded-For": "9.9.9.9, 1.2.3.4", "X-Forwarded-Host": "evil.example, h",
         "X-Forwarded-Proto": "https, http"}, 303,
    ),
    "named, the forged one": Case(
        NAMED, "up", "http://evil.example",
        {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Host": "evil.example, h"}, 403,
    ),
    "two, each adds": Case(
        TWO, "up", "https://h",
        {"X-Forwarded-For": "9.9.9.9, 1.2.3.4, 10.0.0.1",
         "X-Forwarded-Host": "evil.example, h, inner", "X-Forwarded-Proto": "http, https, http"},
        303, True,
    ),
    "two, the outer one says": Case(
        TWO, "up", "https://h",
        {"X-Forwarded-For": "1.2.3.4, [fd00::1]:4711", "X-Forwarded-Host": "h",
         "X-Forwarded-Proto": "https"}, 303, True,
    ),
    "two, Forwarded": Case(
        TWO, "up", "https://h",
        {"Forwarded": 'for=9.9.9.9;host=evil;proto=http, for=1.2.3.4;host=h;proto=https, '
         'for="[fd00::1]";host=inner;proto=http'}, 303, True,
    ),
    "another proxy": Case(ELSEWHERE, "up", "https://h", x(proto="https", host="h"), 403),
    # This site's addresses by name, for a proxy that says nothing.
    "declared": Case(ORIGINS, "127.0.0.1:8080", "https://h.example", {}, 303, True),
    "declared, as the second": Case(ORIGINS, "h", "http://h", {}, 303, False),
    "declared, another": Case(ORIGINS, "127.0.0.1:8080", "https://evil.example", {}, 403),
    "declared, and forged": Case(
        ORIGINS, "h", "http://evil.example", x(host="evil.example", proto="https"), 403
    ),
}  # fmt: skip


@pytest.mark.parametrize("declared", [UNDECLARED, BEHIND, NAMED, TWO, ELSEWHERE, ORIGINS], ids=str)
async def test_a_form_is_taken_at_the_address_that_the_browser_sees_and_at_no_other(
    people: MakePerson, serve: Serve, declared: dict[str, Any]
) -> None:
    session = people("user", await serve(**declared, **KNOWN), is_browser=False).session
    for name, case in CASES.items():
        if case.settings is not declared:
            continue
        headers = CIMultiDict({"Host": case.host, "Origin": case.origin})
        for header, values in case.more.items():
            headers.extend((header, v) for v in ([values] if isinstance(values, str) else values))
        async with session.post("/leave", headers=headers, allow_redirects=False) as seen:
            assert seen.status == case.status, name
            if case.status == 303:
                assert bool(seen.cookies["role"]["secure"]) is case.secure, name


CLIENTS = [
    (UNDECLARED, "1.2.3.4", "127.0.0.1"),
    (BEHIND, "9.9.9.9, 1.2.3.4", "1.2.3.4"),
    (BEHIND, "", "127.0.0.1"),
    (NAMED, "9.9.9.9, 1.2.3.4:5678", "1.2.3.4"),
    (NAMED, "1.2.3.4, unknown", "127.0.0.1"),
    (TWO, "9.9.9.9, 2001:db8::7, 10.1.1.1", "2001:db8::7"),
    (TWO, "1.2.3.4, ::ffff:10.1.1.1", "1.2.3.4"),
    (TWO, "10.2.2.2, 10.1.1.1", "10.2.2.2"),
    (ELSEWHERE, "1.2.3.4", "127.0.0.1"),
]


@pytest.mark.parametrize("declared", [UNDECLARED, BEHIND, NAMED, TWO, ELSEWHERE], ids=str)
async def test_a_refusal_says_in_the_log_who_asked_and_both_addresses(
    people: MakePerson, serve: Serve, caplog: pytest.LogCaptureFixture, declared: dict[str, Any]
) -> None:
    person = people("user", await serve(**declared, **KNOWN), is_browser=False)
    for settings, said, client in CLIENTS:
        if settings is not declared:
            continue
        caplog.clear()
        headers = {"Host": "up:8080", "Origin": "https://h", "X-Forwarded-For": said}
        seen = await person.ask("POST", "/leave?x=whispered%0a", headers=headers)
        assert (seen.status, "another site" in seen.text) == (403, True)
        refusals = [r for r in caplog.records if r.name == "web.security"]
        assert len(refusals) == 1
        line = refusals[0].getMessage()
        assert f" from {client}," in line
        for value in ("'https://h'", "'http://up:8080'", "WEB_TRUSTED_PROXIES", "docs/proxy.md"):
            assert value in line
        assert "\n" not in line
        assert "whispered" not in line


async def test_a_switch_in_the_footer_leads_back_behind_a_proxy_too(
    people: MakePerson, serve: Serve
) -> None:
    person = people("user", await serve(**NAMED, **KNOWN))
    headers = {"Host": "up"} | x(host="h:8443", proto="https")
    for referer, leads_to in (
        ("https://h:8443/tickets?q=x", "/tickets?q=x"),
        ("https://evil.example/tickets?q=x", "/tickets"),
    ):
        seen = await person.send(
            "/preferences", theme="dark", headers=headers | {"Referer": referer}
        )
        assert seen.location == leads_to


UNDER_A_PATH = [
    {"X-Forwarded-Prefix": "/helpdesk"},
    {"X-Script-Name": "/helpdesk/"},
    {"Forwarded": 'for=1.2.3.4;path="/helpdesk"'},
]


@pytest.mark.parametrize("headers", UNDER_A_PATH)
async def test_a_path_under_which_a_proxy_publishes_the_helpdesk_is_named_once(
    people: MakePerson, serve: Serve, caplog: pytest.LogCaptureFixture, headers: dict[str, str]
) -> None:
    person = people("user", await serve(**NAMED, **KNOWN))
    await person.see("/", headers={"X-Forwarded-Prefix": "/"})
    assert "under the path" not in caplog.text
    for _ in range(3):
        assert (await person.see("/", headers=headers)).status == 200
    assert caplog.text.count("under the path '/helpdesk") == 1


@pytest.mark.parametrize("declared", [UNDECLARED, ELSEWHERE], ids=str)
async def test_a_path_that_no_declared_proxy_names_is_not_believed(
    people: MakePerson,
    serve: Serve,
    caplog: pytest.LogCaptureFixture,
    declared: dict[str, Any],
) -> None:
    person = people("user", await serve(**declared, **KNOWN))
    for headers in UNDER_A_PATH:
        await person.see("/", headers=headers)
    assert "under the path" not in caplog.text


def test_proxies_and_own_addresses_are_read_from_the_environment() -> None:
    settings = read_settings(
        GOOD
        | {
            "WEB_BEHIND_PROXY": "1",
            "WEB_TRUSTED_PROXIES": "127.0.0.1, 10.1.2.3/16 ::1",
            "WEB_ORIGINS": "https://Helpdesk.example.edu:443/,http://[::1]:8080",
        }
    )
    assert settings.is_behind_proxy
    assert [str(n) for n in settings.trusted_proxies] == ["127.0.0.1/32", "10.1.0.0/16", "::1/128"]
    assert [str(o) for o in settings.origins] == [
        "https://helpdesk.example.edu",
        "http://[::1]:8080",
    ]
    bare = read_settings(GOOD)
    assert (bare.is_behind_proxy, bare.trusted_proxies, bare.origins) == (False, (), ())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEB_BEHIND_PROXY", "yes"),
        ("WEB_TRUSTED_PROXIES", "nginx"),
        ("WEB_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("WEB_ORIGINS", "helpdesk.example.edu"),
        ("WEB_ORIGINS", "https://h.example/helpdesk"),
        ("WEB_ORIGINS", "https://h.example, *"),
    ],
)
def test_what_is_wrong_with_them_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} must be"):
        read_settings(GOOD | {name: value})


def test_containers_get_what_the_operator_sets() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    for name in ("WEB_TRUSTED_PROXIES", "WEB_BEHIND_PROXY", "WEB_ORIGINS"):
        assert f"{name}: ${{{name}:-}}" in compose
        # Commented out: `make env` fills each empty name with a random secret.
        assert f"\n# {name}=" in (ROOT / ".env.example").read_text()
