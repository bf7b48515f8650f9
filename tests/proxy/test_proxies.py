"""The helpdesk behind nginx and HAProxy, as docs/proxy.md configures them: everything works."""

import asyncio
import shutil
import time
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest
from playwright.async_api import async_playwright, expect

from runtime.buffers import READ_SECONDS
from runtime.heads import FIELD_MAX_BYTES, HEAD_MAX_BYTES, HEAD_SECONDS, LINE_MAX_BYTES
from runtime.http import BODY_SECONDS, KEEPALIVE_SECONDS
from tests.proxy.conftest import DOCUMENT, HOST, Start, Visit, block, installed
from tests.web.conftest import Api, MakePerson, Serve
from web.forms import FORM_MAX_BYTES
from web.live import PING_SECONDS
from web.origin import read_origin

HERE: dict[str, Any] = {"trusted_proxies": (ip_network("127.0.0.1"),), "hosts": (HOST,)}
# Sooner than any proxy that collects would let it through.
PROMPT_SECONDS = 3.0
both = pytest.mark.parametrize(
    "program",
    [pytest.param(program, marks=installed(program)) for program in ("nginx", "haproxy")],
)


async def _journey(session: aiohttp.ClientSession, api: Api) -> None:
    """Enter, look at a ticket live, write under it, move it, leave."""
    port = session._base_url.port if session._base_url else 0
    ticket = await api.open("Seen through a proxy")
    place = f"/tickets/{ticket.id}"
    async with session.post("/enter", data={"role": "helpdesk"}, allow_redirects=False) as entered:
        assert (entered.status, entered.headers["Location"]) == (303, "/tickets")
        assert entered.cookies["role"]["secure"]
    async with session.get("/live", params={"ticket": str(ticket.id), "since": "0"}) as stream:
        assert stream.content_type == "text/event-stream"
        for path, form in (
            ("/messages", {"text": "Through two ends"}),
            ("/status", {"status": "active"}),
        ):
            async with session.post(place + path, data=form) as done:
                assert done.status == 200
                assert str(done.url).partition("?")[0] == f"https://{HOST}:{port}{place}"
            started = time.monotonic()
            async with asyncio.timeout(2 * PROMPT_SECONDS):
                while place.rpartition("/")[2] not in (await stream.content.readline()).decode():
                    pass
            assert time.monotonic() - started < PROMPT_SECONDS
    async with session.post("/tickets", data={"text": "Reported through a proxy"}) as reported:
        assert reported.status == 200
        assert reported.url.host == HOST
    async with session.post("/leave", allow_redirects=False) as left:
        assert left.status == 303


@both
async def test_a_day_s_work_through_a_proxy_of_the_document(
    serve: Serve, start: Start, visit: Visit, api: Api, program: str
) -> None:
    server = await serve(**HERE)
    session = visit(await start(program, block(program), server.port))
    await _journey(session, api)
    # What a browser is made to send along, and what somebody sends who wants to be another.
    for headers in (
        {"Cookie": "sso=" + "x" * 16_384},
        {"Authorization": "Negotiate " + "x" * 60_000},
        {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example"},
        {"Forwarded": "for=1.2.3.4;proto=http;host=evil.example", "X-Forwarded-Port": "1"},
    ):
        form = {"role": "user"}
        async with session.post(
            "/enter", data=form, headers=headers, allow_redirects=False
        ) as entered:
            assert (entered.status, bool(entered.cookies["role"]["secure"])) == (303, True)
    for origin in ("https://evil.example", f"https://{HOST}"):
        async with session.post("/leave", headers={"Origin": origin}) as refused:
            assert refused.status == 403
    async with session.post("/tickets", data={"text": "x" * 200_000}) as refused:
        assert refused.status == 413
        assert "more than a form may hold" in await refused.text()
    text = "%20" * 30_000
    async with session.get(f"/tickets/hints?text={text}") as hints:
        assert hints.status == 200


@installed("nginx")
@installed("haproxy")
async def test_a_day_s_work_through_two_proxies(
    serve: Serve, start: Start, visit: Visit, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(**HERE)
    inner = await start("nginx", block("nginx-inner"), server.port)
    outer = block("haproxy").replace(" alpn h2,http/1.1", "")
    session = visit(await start("haproxy", outer, inner))
    await _journey(session, api)
    headers = {"Origin": "https://evil.example", "X-Forwarded-For": "9.9.9.9"}
    async with session.post("/leave", headers=headers) as refused:
        assert refused.status == 403
    assert "from 127.0.0.1, with Origin 'https://evil.example'" in caplog.text


BARE = """
server {
    listen 443 ssl;
    ssl_certificate /etc/ssl/certs/helpdesk.pem;
    ssl_certificate_key /etc/ssl/private/helpdesk.key;
    location / { proxy_pass http://127.0.0.1:8080; }
}
"""
UNDER_A_PATH = BARE.replace("location / ", "location /kept/ ").replace(
    "location",
    "location /helpdesk/ { proxy_pass http://127.0.0.1:8080/; }\n    location",
    1,
)


@installed("nginx")
async def test_nginx_s_own_proxy_pass_needs_the_pages_address_and_the_log_says_so(
    serve: Serve, start: Start, visit: Visit, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve()
    port = await start("nginx", BARE, server.port)
    async with visit(port).post("/enter", data={"role": "user"}) as refused:
        assert (refused.status, "another site" in await refused.text()) == (403, True)
    own = f"https://{HOST}:{port}"
    for said in (f"'{own}'", f"'http://127.0.0.1:{server.port}'", "WEB_ORIGINS"):
        assert said in caplog.text
    declared = await serve(origins=(read_origin(own),))
    session = visit(await start("nginx", BARE, declared.port))
    session.headers["Origin"] = own
    async with session.post("/enter", data={"role": "user"}, allow_redirects=False) as entered:
        assert (entered.status, bool(entered.cookies["role"]["secure"])) == (303, True)


@installed("nginx")
async def test_a_browser_works_over_http_2_and_reads_under_a_path_what_is_wrong(
    serve: Serve, start: Start, api: Api
) -> None:
    server = await serve(**HERE)
    port = await start("nginx", block("nginx"), server.port)
    wrong = await start("nginx", UNDER_A_PATH, server.port)
    path = shutil.which("chromium") or shutil.which("google-chrome")
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"]) as browser,
        await browser.new_context(ignore_https_errors=True) as context,
    ):
        page = await context.new_page()
        page.set_default_timeout(10_000)
        await page.goto(f"https://127.0.0.1:{port}/")
        protocol = "performance.getEntriesByType('navigation')[0].nextHopProtocol"
        assert await page.evaluate(protocol) == "h2"
        await expect(page.locator(".unstyled")).to_be_hidden()
        await page.get_by_role("button", name="Enter as user").click()
        await page.get_by_label("Describe the problem").fill("The lift stands, over HTTP/2")
        await page.get_by_role("button", name="Report problem").click()
        await expect(page.locator("#description")).to_have_text("The lift stands, over HTTP/2")
        ticket_id = int(page.url.partition("?")[0].rpartition("/")[2])
        assert {cookie["secure"] for cookie in await context.cookies()} == {True}
        await expect(page.locator("#freshness")).to_be_visible()
        await api.say(ticket_id, "Somebody is on the way")
        await expect(page.locator("#thread")).to_contain_text("Somebody is on the way")
        for under in ("/helpdesk/", "/kept/"):
            await page.goto(f"https://127.0.0.1:{wrong}{under}")
            await expect(page.locator(".unstyled")).to_be_visible()
            await expect(page.locator(".unstyled")).to_contain_text("at the root of a host name")


async def test_who_forges_a_proxy_s_headers_gains_nothing(people: MakePerson, serve: Serve) -> None:
    person = people("user", await serve(), is_browser=False)
    for forged in (
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"},
        {"Forwarded": "host=evil.example;proto=https"},
    ):
        seen = await person.ask(
            "POST", "/leave", headers=forged | {"Origin": "https://evil.example"}
        )
        assert seen.status == 403
        seen = await person.ask("POST", "/leave", headers=forged)
        assert (seen.status, seen.cookies["role"]["secure"]) == (303, "")


def test_the_document_says_the_sizes_and_times_that_hold() -> None:
    rows = {line.split("|")[1].strip(): line for line in DOCUMENT.splitlines() if line[:1] == "|"}
    for row, said in {
        "address": f"{LINE_MAX_BYTES // 1024} KiB, else 414",
        "one header, such as all cookies": f"{FIELD_MAX_BYTES // 1024} KiB, else 431",
        "all headers and the address": f"{HEAD_MAX_BYTES // 1024} KiB, else 431",
        "answer": f"1 kB/s, within {READ_SECONDS:g} s",
        "head, from its first byte": f"{HEAD_SECONDS:g} s",
        "idle connection": f"kept {KEEPALIVE_SECONDS:g} s",
        "live updates, `/live`": f"every {PING_SECONDS:g} s",
    }.items():
        assert said in rows[row]
    assert f"| body | {FORM_MAX_BYTES // 1024} KiB, else 413 |" in DOCUMENT
    assert f"| body | {BODY_SECONDS:g} s, else 408 |" in DOCUMENT
