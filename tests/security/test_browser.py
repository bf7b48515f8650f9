"""A real browser runs nothing of what people typed: stored, reflected, or brought by an update.

Console errors, and so violations of the content security policy, fail the test (`open_page`).
"""

from urllib.parse import quote

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.conftest import Stack
from tests.promises.person import program
from tests.security.inert import PAYLOAD, SHORT

pytestmark = pytest.mark.asyncio(loop_scope="session")
# What is not a page of ours would stop the whole document if it ran.
DIALOG = "<img src=x onerror=alert(1)><script>alert(1)</script>"


async def _assert_untouched(page: Page) -> None:
    assert await page.evaluate("typeof window.hacked") == "undefined"
    assert await page.locator("img, main script, [onerror], [onload]").count() == 0


async def test_nothing_that_was_typed_runs(open_page: OpenPage, stack: Stack) -> None:
    async with program(stack) as api:
        body = {"description": PAYLOAD + DIALOG, "category": "technical_it"}
        _, ticket = await api.call("POST", "/tickets", body)
        place = f"/tickets/{ticket['id']}"
        page = await open_page("helpdesk", place)
        page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
        await _assert_untouched(page)
        await expect(page.locator("#freshness")).to_be_visible()
        await api.call("POST", f"{place}/messages", {"body": PAYLOAD + DIALOG})
        message = page.locator("#thread .text")
        await expect(message).to_have_text(PAYLOAD + DIALOG)
        await _assert_untouched(page)
        for path in (
            "/tickets",
            f"/tickets?q={quote(SHORT)}",
            f"/tickets?status={quote(PAYLOAD)}",
            f"/tickets?opened_from={quote(PAYLOAD)}",
            f"/analytics/unclosed?last={quote(PAYLOAD)}&unit={quote(PAYLOAD)}",
            f"/?next=/{quote(PAYLOAD)}",
            f"/{quote(PAYLOAD)}",
        ):
            await page.goto(path)
            await _assert_untouched(page)


async def test_nothing_runs_that_htmx_brings_into_the_page(
    open_page: OpenPage, stack: Stack
) -> None:
    async with program(stack) as api:
        body = {"description": f"printer network {PAYLOAD}", "category": "technical_it"}
        await api.call("POST", "/tickets", body)
        page = await open_page("user", "/tickets")
        page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
        await page.get_by_label("Describe the problem").fill(f"printer network {PAYLOAD}")
        await expect(page.locator("#hints")).to_contain_text("window.hacked")
        await _assert_untouched(page)
        await page.get_by_label("Search").fill("window.hacked")
        await expect(page.locator("#rows mark").first).to_be_visible()
        await _assert_untouched(page)
        await page.get_by_role("button", name="Report problem").click()
        await expect(page.locator("#description")).to_have_text(f"printer network {PAYLOAD}")
        await _assert_untouched(page)


async def test_a_chart_is_kept_as_a_file_and_not_opened_as_a_page(open_page: OpenPage) -> None:
    page = await open_page("helpdesk", "/analytics/active")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Chart (SVG)").click()
    assert (await download.value).suggested_filename == "active.svg"
    await _assert_untouched(page)
