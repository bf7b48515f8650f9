"""Text that somebody types is never lost: not to an error, a reload, a conflict or an update."""

import asyncio
import re
from uuid import uuid4

from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.conftest import Stack
from tests.web.conftest import Api


async def test_a_conflict_shows_both_texts(open_page: OpenPage, api: Api) -> None:
    ticket = await api.open("Original")
    page = await open_page("user", f"/tickets/{ticket.id}")
    await page.get_by_text("Edit description").click()
    box = page.get_by_label("Describe the problem")
    await box.fill("Mine")
    await api.edit(ticket, description="Theirs")
    await expect(page.locator("#description")).to_have_text("Theirs")
    await expect(box).to_have_value("Mine")
    await page.get_by_role("button", name="Save description").click()
    await expect(page.locator(".theirs")).to_contain_text("Theirs")
    await expect(box).to_have_value("Mine")
    await expect(box).to_be_focused()
    await box.fill("Both")
    await page.get_by_role("button", name="Save description").click()
    await expect(page.locator("#description")).to_have_text("Both")
    await expect(page.locator("#editor-summary")).to_be_focused()
    assert (await api.fetch(ticket.id)).description == "Both"


async def test_what_answers_in_place_of_the_site_replaces_no_page(open_page: OpenPage) -> None:
    page = await open_page("helpdesk", "/replies")
    await page.get_by_label("Title").first.fill("Half a title")
    await page.evaluate("window.isStillThere = true")
    home = page.url.removesuffix("replies")
    await page.route(home, lambda route: route.fulfill(body="<p>Log in to this network</p>"))
    come_back = "dispatchEvent(new Event('blur')); dispatchEvent(new Event('focus'))"
    for _ in range(2):
        async with page.expect_response(home):
            await page.evaluate(come_back)
    assert await page.evaluate("window.isStillThere")
    # The site itself is believed.
    await page.unroute(home)
    await page.context.add_cookies([{"name": "role", "value": "user", "url": home}])
    await page.evaluate(come_back)
    await expect(page.get_by_text("This page is for helpdesk only.")).to_be_visible()


async def test_an_update_leaves_the_box_alone(open_page: OpenPage, api: Api) -> None:
    ticket = await api.open("Typing")
    page = await open_page("user", f"/tickets/{ticket.id}")
    box = page.get_by_label("Message")
    await box.press_sequentially("I am writ")
    await api.say(ticket.id, "interruption")
    await expect(page.locator("#thread")).to_contain_text("interruption")
    await expect(box).to_be_focused()
    await box.press_sequentially("ing")
    await expect(box).to_have_value("I am writing")
    await page.get_by_role("button", name="Send message").click()
    await expect(page.locator("#thread")).to_contain_text("I am writing")


async def test_text_survives_a_service_that_is_away(
    open_page: OpenPage, api: Api, stack: Stack
) -> None:
    ticket = await api.open("Service away")
    with_js = await open_page("user", f"/tickets/{ticket.id}")
    without = await open_page("user", java_script_enabled=False)
    await with_js.get_by_label("Message").fill("kept")
    text = f"Kept too {uuid4().hex}"
    await without.get_by_label("Describe the problem").fill(text)
    await asyncio.to_thread(stack.stop, "ticket_svc")
    try:
        await with_js.get_by_role("button", name="Send message").click()
        await expect(with_js.get_by_role("alert")).to_contain_text("Your text is still here")
        await expect(with_js.get_by_label("Message")).to_have_value("kept")
        await without.get_by_role("button", name="Report problem").click()
        await expect(without.get_by_label("Describe the problem")).to_have_value(text)
    finally:
        await asyncio.to_thread(stack.start, "ticket_svc")
    await with_js.get_by_role("button", name="Send message").click()
    await expect(with_js.locator("#thread")).to_contain_text("kept")
    await without.get_by_role("button", name="Report problem").click()
    await without.wait_for_url(re.compile(r"/tickets/\d+$"))
    assert len(await api.find(text)) == 1
