"""Canned replies come into a message without losing a letter of it."""

from uuid import uuid4

import pytest
from playwright.async_api import expect

from tests.browser.conftest import PHONE, OpenPage
from tests.web.conftest import Api


@pytest.mark.parametrize("js", [True, False], ids=["js", "no-js"])
async def test_a_reply_is_added_and_put_into_a_message(
    open_page: OpenPage, api: Api, js: bool
) -> None:
    title = f"On our way {uuid4().hex[:8]}"
    ticket = await api.open("Please come")
    page = await open_page(
        "helpdesk", f"/tickets/{ticket.id}", java_script_enabled=js, viewport=PHONE
    )
    await page.get_by_role("link", name="Canned replies").click()
    await page.get_by_label("Title").first.fill(title)
    await page.get_by_label("Text").first.fill("somebody comes today")
    await page.get_by_role("button", name="Add reply").click()
    await expect(page.get_by_role("status")).to_have_text("The reply is added.")
    await page.goto(f"/tickets/{ticket.id}")
    box = page.get_by_label("Message")
    await box.fill("Hello, !")
    if js:
        await box.press("End")
        await box.press("ArrowLeft")
    await page.get_by_label("Canned reply").select_option(title)
    await page.get_by_role("button", name="Insert").click()
    await expect(box).to_be_focused()
    whole = "Hello, somebody comes today!" if js else "Hello, !\n\nsomebody comes today"
    await expect(box).to_have_value(whole)
    await page.get_by_role("button", name="Send message").click()
    await expect(page.locator("#thread .text")).to_have_text(whole)
    [message] = (await api.ask("GET", f"/tickets/{ticket.id}/messages"))["items"]
    assert message["body"] == whole
