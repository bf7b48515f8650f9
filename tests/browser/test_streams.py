"""Many pages of one browser, and streams that are refused: what is open, and what is said."""

import asyncio
import re
import time

import pytest
from playwright.async_api import Page, Request, Route, expect

from tests.browser.conftest import OpenPage
from tests.web.conftest import Api

SOON_MS = 2_000
NOT_LIVE = "Not live at the moment"


def count_streams(page: Page) -> list[float]:
    """Return the moments at which a page asks for its stream, which go on."""
    asked: list[float] = []

    def on_request(request: Request) -> None:
        if "/live?" in request.url:
            asked.append(time.monotonic())

    page.on("request", on_request)
    return asked


async def test_more_pages_than_a_browser_has_connections_load_and_are_live(
    open_page: OpenPage, api: Api
) -> None:
    tickets = [await api.open(f"Page {n}") for n in range(8)]
    first = await open_page("helpdesk", f"/tickets/{tickets[0].id}")
    pages = [first]
    for ticket in tickets[1:]:
        page = await first.context.new_page()
        await page.goto(f"/tickets/{ticket.id}", timeout=3_000)
        pages.append(page)
    await api.say(tickets[-1].id, "to the last one")
    await expect(pages[-1].locator("#thread")).to_contain_text("to the last one", timeout=SOON_MS)
    # Without the keyboard it would look in now and then.
    await api.say(tickets[0].id, "to the first one")
    await first.bring_to_front()
    await first.keyboard.press("Shift")
    await expect(first.locator("#thread")).to_contain_text("to the first one", timeout=SOON_MS)
    # Those in sight that have no place are current too, a moment later.
    await api.say(tickets[3].id, "to one in between")
    await expect(pages[3].locator("#thread")).to_contain_text("to one in between", timeout=10_000)
    await pages[3].get_by_label("Message").fill("It still sends")
    await pages[3].get_by_role("button", name="Send message").click()
    await expect(pages[3].locator("#thread")).to_contain_text("It still sends")


async def test_a_page_that_is_not_seen_has_no_stream_and_is_current_when_it_is_seen(
    open_page: OpenPage, api: Api
) -> None:
    ticket = await api.open("Hidden")
    page = await open_page("helpdesk", "about:blank")
    await page.add_init_script(
        "Object.defineProperty(document, 'hidden', {get: () => window.isHidden ?? true})"
    )
    asked = count_streams(page)
    await page.goto(f"/tickets/{ticket.id}")
    # Opened in the background: it waits to be seen.
    await api.say(ticket.id, "said behind its back")
    await asyncio.sleep(0.5)
    assert not asked
    await page.evaluate(
        "window.isHidden = false; document.dispatchEvent(new Event('visibilitychange'))"
    )
    await expect(page.locator("#thread")).to_contain_text("said behind its back", timeout=SOON_MS)
    assert len(asked) == 1


@pytest.mark.parametrize("path", ["/tickets", "/tickets/{id}", "/analytics/active"])
async def test_a_page_whose_role_is_gone_says_so_once_and_offers_the_entry(
    open_page: OpenPage, api: Api, path: str
) -> None:
    ticket = await api.open("Left")
    path = path.replace("{id}", str(ticket.id))
    page = await open_page("helpdesk", path)
    await expect(page.get_by_text(NOT_LIVE)).to_be_hidden()
    await page.context.clear_cookies()
    asked = count_streams(page)
    await page.evaluate("dispatchEvent(new Event('online'))")
    status = page.get_by_role("status").first
    await expect(status).to_contain_text("no role any more")
    await expect(page.get_by_text(NOT_LIVE)).to_be_visible()
    await asyncio.sleep(2.5)
    assert len(asked) == 1
    await status.get_by_role("link", name="Choose who you are").click()
    await page.get_by_role("button", name="Enter as helpdesk").click()
    await expect(page).to_have_url(re.compile(f"{re.escape(path)}$"))


async def test_a_report_whose_reader_is_a_user_by_now_says_so_once(
    open_page: OpenPage, api: Api
) -> None:
    page = await open_page("helpdesk", "/analytics/active")
    await expect(page.get_by_text(NOT_LIVE)).to_be_hidden()
    home = page.url.removesuffix("analytics/active")
    await page.context.add_cookies([{"name": "role", "value": "user", "url": home}])
    asked = count_streams(page)
    await page.evaluate("dispatchEvent(new Event('online'))")
    await expect(page.get_by_role("alert")).to_contain_text("for helpdesk only")
    await asyncio.sleep(2.5)
    assert len(asked) == 1


@pytest.mark.parametrize("status", [503, 429, 200, 404, 403, 401])
async def test_a_stream_that_is_refused_is_asked_for_in_growing_pauses(
    open_page: OpenPage, status: int
) -> None:
    page = await open_page("user", "about:blank")
    await page.clock.install()
    asked = count_streams(page)

    async def refuse(route: Route) -> None:
        # Whoever is in between answers with a page of its own.
        await route.fulfill(status=status, content_type="text/html", body="<p>Busy</p>")

    await page.route("**/live?*", refuse)
    await page.goto("/tickets")
    for _ in range(120):
        await page.clock.run_for(1_000)
    await expect(page.get_by_text(NOT_LIVE)).to_be_visible()
    await expect(page.get_by_role("alert")).to_be_empty()
    # 2, 4, 8, 16, 30 s and so on, or half of that.
    assert 6 <= len(asked) <= 12


@pytest.mark.parametrize(("seconds", "pause_ms"), [(50, 50_000), (4_000_000, 600_000)])
async def test_a_server_that_says_when_to_come_back_is_heeded_within_reason(
    open_page: OpenPage, seconds: int, pause_ms: int
) -> None:
    page = await open_page("user", "about:blank")
    await page.clock.install()
    asked = count_streams(page)
    headers = {"Retry-After": str(seconds)}
    await page.route("**/live?*", lambda route: route.fulfill(status=503, headers=headers))
    await page.goto("/tickets")
    # The pause begins when the page has the answer, however long that takes here.
    await expect(page.get_by_text(NOT_LIVE)).to_be_visible()
    await page.clock.run_for(pause_ms - 20_000)
    assert len(asked) == 1
    async with page.expect_request("**/live?*"):
        await page.clock.run_for(20_000)
