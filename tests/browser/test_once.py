"""Nothing is made twice, whatever fingers do: double click, F5, back; also without JavaScript."""

import re
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.web.conftest import Api

BOTH = pytest.mark.parametrize("js", [True, False], ids=["js", "no-js"])


async def report(page: Page, text: str, clicks: int = 1) -> None:
    await page.get_by_label("Describe the problem").fill(text)
    button = page.get_by_role("button", name="Report problem")
    await button.click(click_count=clicks, no_wait_after=True)
    await page.wait_for_url(re.compile(r"/tickets/\d+$"))


@BOTH
async def test_a_double_click_reports_once(open_page: OpenPage, api: Api, js: bool) -> None:
    page = await open_page("user", java_script_enabled=js)
    text = f"Double click {uuid4().hex}"
    await report(page, text, clicks=2)
    await page.reload()
    assert len(await api.find(text)) == 1


@BOTH
async def test_back_and_send_again_reports_once(open_page: OpenPage, api: Api, js: bool) -> None:
    page = await open_page("user", java_script_enabled=js)
    text = f"Back {uuid4().hex}"
    await report(page, text)
    place = page.url
    await page.go_back()
    await report(page, text)
    assert page.url == place
    assert len(await api.find(text)) == 1


@BOTH
async def test_a_double_click_sends_one_message(open_page: OpenPage, api: Api, js: bool) -> None:
    ticket = await api.open("Double message")
    page = await open_page("user", f"/tickets/{ticket.id}", java_script_enabled=js)
    await page.get_by_label("Message").fill("only once")
    await page.get_by_role("button", name="Send message").click(click_count=2)
    await expect(page.locator("#thread .message")).to_have_count(1)
    await expect(page.get_by_label("Message")).to_have_value("")
    await page.reload()
    assert (await api.fetch(ticket.id)).messages == 1


async def test_back_and_send_again_sends_one_message(open_page: OpenPage, api: Api) -> None:
    ticket = await api.open("Message and back")
    page = await open_page("user", f"/tickets/{ticket.id}", java_script_enabled=False)
    box, button = page.get_by_label("Message"), page.get_by_role("button", name="Send message")
    await box.fill("only once")
    await button.click()
    await expect(page.locator("#thread .message")).to_have_count(1)
    await page.go_back()
    await expect(box).to_have_value("only once")
    await button.click()
    await expect(page.locator("#thread .message")).to_have_count(1)
    await expect(box).to_have_value("")
    assert (await api.fetch(ticket.id)).messages == 1


@BOTH
async def test_i_have_this_too_counts_once(open_page: OpenPage, api: Api, js: bool) -> None:
    ticket = await api.open("The lift is stuck")
    page = await open_page("user", f"/tickets/{ticket.id}", java_script_enabled=js)
    button = page.get_by_role("button", name="I have this too")
    await button.click(click_count=2, no_wait_after=True)
    await expect(page.locator("#head")).to_contain_text("1 other has this too")
    await expect(page.get_by_text("You said that you have this too.")).to_be_visible()
    await expect(button).to_have_count(0)
    await page.reload()
    await page.go_back()
    if await button.count():
        await button.click()
        await expect(page.get_by_text("You said that you have this too.")).to_be_visible()
    assert (await api.fetch(ticket.id)).affected == 1


async def test_a_double_click_on_start_does_not_close(open_page: OpenPage, api: Api) -> None:
    ticket = await api.open("Double step")
    page = await open_page("helpdesk", f"/tickets/{ticket.id}")
    await page.get_by_role("button", name="Start work").click(click_count=3, delay=40)
    await expect(page.locator("#head .status")).to_have_text("Active")
    await expect(page.get_by_role("button", name="Close ticket")).to_be_visible()
    assert (await api.fetch(ticket.id)).status == "active"
