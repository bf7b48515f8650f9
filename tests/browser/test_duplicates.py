"""Two tickets about one problem: how helpdesk joins them, and how the reporter finds the other."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import expect

from tests.browser.conftest import DESK, PHONE, OpenPage
from tests.browser.test_once import BOTH
from tests.web.conftest import Api


@BOTH
async def test_helpdesk_marks_a_duplicate_and_takes_it_back(
    open_page: OpenPage, api: Api, js: bool
) -> None:
    word = uuid4().hex[:8]
    original = await api.open(f"The lift of building {word} is stuck")
    duplicate = await api.open(f"Lift stuck in building {word}")
    await api.known(original, duplicate)
    page = await open_page("helpdesk", f"/tickets/{duplicate.id}", java_script_enabled=js)
    number = page.get_by_label("Duplicate of ticket number")
    await number.fill(str(duplicate.id))
    await page.get_by_role("button", name="Mark as duplicate", exact=True).click()
    await expect(page.locator("#of-error")).to_contain_text("must be another ticket")
    await expect(number).to_have_value(str(duplicate.id))
    await expect(number).to_be_focused()
    if not js:
        await page.get_by_role("link", name="Show them").click()
    await page.get_by_role("button", name=f"Mark as duplicate of #{original.id}").click()
    await expect(page.locator("#head")).to_contain_text(f"Duplicate of #{original.id} The lift of")
    await expect(page.get_by_role("status")).to_contain_text("duplicate")
    if js:
        await expect(page.locator("h1")).to_be_focused()
    await page.get_by_role("link", name=f"#{original.id} The lift").click()
    await expect(page.locator("#head")).to_contain_text(f"Duplicates: #{duplicate.id}")
    await page.get_by_role("link", name=f"#{duplicate.id}").click()
    await page.get_by_role("button", name="Not a duplicate").click()
    await expect(page.get_by_role("heading", name="Similar tickets")).to_be_visible()
    assert (await api.fetch(duplicate.id)).duplicate_of is None


@BOTH
async def test_a_reporter_is_led_to_where_helpdesk_goes_on(
    open_page: OpenPage, api: Api, js: bool
) -> None:
    original = await api.open("The lift is stuck")
    duplicate = await api.open("Lift stuck")
    page = await open_page(
        "user", f"/tickets/{duplicate.id}", java_script_enabled=js, viewport=PHONE
    )
    await page.get_by_label("Message").fill("Any news?")
    mark = {"ticket": original.id}
    await api.ask("PUT", f"/tickets/{duplicate.id}/duplicate_of", json=mark)
    if not js:
        await page.reload()
    await expect(page.locator("#head")).to_contain_text(f"Helpdesk goes on in #{original.id}")
    if js:
        await expect(page.get_by_label("Message")).to_have_value("Any news?")
    await api.move(original.id, "active", "closed")
    await page.reload()
    await expect(page.locator("#head")).to_contain_text("which was closed on")
    await page.get_by_role("link", name=f"#{original.id}").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(
        f"Ticket #{original.id} is closed"
    )


async def test_what_is_marked_elsewhere_is_seen_here_and_a_typed_number_stays(
    open_page: OpenPage, api: Api
) -> None:
    ticket = await api.open("The lift is stuck here")
    other = await api.open("The lift is stuck there")
    page = await open_page("helpdesk", f"/tickets/{ticket.id}")
    number = page.get_by_label("Duplicate of ticket number")
    await number.fill("12")
    await api.say(ticket.id, "news")
    await expect(page.locator("#thread")).to_contain_text("news")
    await expect(number).to_have_value("12")
    await api.ask("PUT", f"/tickets/{ticket.id}/duplicate_of", json={"ticket": other.id})
    await expect(page.locator("#head")).to_contain_text(f"Duplicate of #{other.id}")
    await expect(number).to_have_count(0)


async def test_the_deciding_words_are_marked_and_follow_an_edit(
    open_page: OpenPage, api: Api
) -> None:
    ticket = await api.open("The <i>lift</i> is stuck", category="facility_management")
    page = await open_page("user", f"/tickets/{ticket.id}")
    marks = page.locator("#description mark")
    async with asyncio.timeout(20):
        while not await marks.count():  # on a busy machine they may come too late for the page
            await page.reload()
    await expect(marks.first).to_have_text("lift")
    await expect(page.locator("#because")).to_have_text(
        "Facility management because of the marked words"
    )
    await api.edit(await api.fetch(ticket.id), category="technical_it")
    await expect(page.locator("#head")).to_contain_text("set by helpdesk")
    await expect(marks).to_have_count(0)
    await expect(page.locator("#because")).to_be_hidden()


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
async def test_three_similar_tickets_take_a_line_each_and_the_rest_a_press(
    open_page: OpenPage, api: Api, viewport: Any
) -> None:
    text = f"The heating of room {uuid4().hex[:8]} does not get warm however far it is opened"
    tickets = [await api.open(text) for _ in range(6)]
    await api.known(*tickets)
    page = await open_page("helpdesk", f"/tickets/{tickets[0].id}", viewport=viewport)
    lines = page.locator("#similar li")
    await expect(lines).to_have_count(5)
    await expect(lines.filter(visible=True)).to_have_count(3)
    for line in await lines.filter(visible=True).all():
        box = await line.bounding_box()
        assert box
        assert box["height"] < 48
    card = await page.locator("#twins .card").bounding_box()
    button = await lines.first.get_by_role("button").bounding_box()
    assert card
    assert button
    assert button["x"] + button["width"] < card["x"] + card["width"]
    await page.get_by_text("2 more").click()
    await expect(lines.filter(visible=True)).to_have_count(5)
