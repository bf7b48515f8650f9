"""Nothing that is pasted is cut, and what is too long is said: by the page, and by the server."""

import asyncio
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.async_api import Page, Request, expect

from tests.browser.conftest import OpenPage
from tests.web.conftest import Api

BOX = "Describe the problem"
EMOJI = "🚿"


async def paste(page: Page, label: str, text: str) -> None:
    await page.get_by_label(label).focus()
    await page.keyboard.insert_text(text)


async def test_a_pasted_text_is_whole_and_the_page_says_how_long(open_page: OpenPage) -> None:
    page = await open_page("user")
    box, count = page.get_by_label(BOX), page.locator("#report .count")
    await box.fill("The lift is stuck")
    await expect(count).to_be_empty()
    text = f"{EMOJI * 5_000}\n{'x' * 4_999}"
    await box.fill("")
    await paste(page, BOX, text)
    await expect(count).to_have_text("10,000 of 10,000 characters")
    await page.keyboard.insert_text(f"{EMOJI * 7}  ")
    await expect(count).to_have_text("7 too long: 10,007 of 10,000 characters")
    await page.get_by_role("button", name="Report problem").click()
    await expect(page.locator("#report-error")).to_have_text(
        "The text is 7 characters too long (10,007; at most 10,000)."
    )
    await expect(box).to_have_value(f"{text}{EMOJI * 7}  ")
    await box.fill(text)
    await expect(count).to_have_text("10,000 of 10,000 characters")
    await page.get_by_role("button", name="Report problem").click()
    await expect(page.locator("#description")).to_have_text(text)


@pytest.mark.parametrize("role", ["user", "helpdesk"])
async def test_a_message_of_emoji_is_sent_whole(open_page: OpenPage, api: Api, role: str) -> None:
    ticket = await api.open("Long messages")
    page = await open_page(role, f"/tickets/{ticket.id}")
    await paste(page, "Message", EMOJI * 5_000)
    await expect(page.locator("#reply .count")).to_have_text("5,000 of 5,000 characters")
    await page.get_by_role("button", name="Send message").click()
    await expect(page.locator("#thread .text")).to_have_text(EMOJI * 5_000)
    await expect(page.locator("#reply .count")).to_be_empty()


async def test_hints_of_a_long_text_ask_with_a_short_address(open_page: OpenPage) -> None:
    page = await open_page("user")
    asked: asyncio.Future[Request] = asyncio.get_running_loop().create_future()
    page.on("request", lambda r: "/hints" in r.url and not asked.done() and asked.set_result(r))
    await paste(page, BOX, "The lift is stuck " + "字" * 9_000)
    request = await asyncio.wait_for(asked, 5)
    assert len(request.url) < 7_000
    assert urlsplit(request.url).query.startswith("text=The+lift")
    await expect(page.locator("#hints")).to_contain_text("goes to")


async def test_what_turns_the_direction_of_a_title_leaves_the_rest_of_its_row(
    open_page: OpenPage, api: Api
) -> None:
    word = uuid4().hex
    await api.open(f"{word} a title")
    await api.open(f"\u202e\u2067{word} a title")
    page = await open_page("user", f"/tickets?q={word}")
    places = await page.locator("#rows .row").evaluate_all(
        """rows => rows.map(row => [...row.querySelectorAll(".status, .category, .meta")]
             .map(part => Math.round(part.getBoundingClientRect().left)))"""
    )
    assert len(places) == 2
    assert places[0] == places[1]
