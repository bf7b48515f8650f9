"""What one person does appears on the other's screen by itself."""

from uuid import uuid4

from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.web.conftest import Api

SOON_MS = 1_500


async def test_a_ticket_page_follows(open_page: OpenPage, api: Api) -> None:
    ticket = await api.open("Two windows")
    user = await open_page("user", f"/tickets/{ticket.id}")
    helpdesk = await open_page("helpdesk", f"/tickets/{ticket.id}")
    await helpdesk.get_by_role("button", name="Start work").click()
    await expect(user.locator("#head .status")).to_have_text("Active", timeout=SOON_MS)
    await user.get_by_label("Message").fill("Thank you")
    await user.get_by_role("button", name="Send message").click()
    await expect(helpdesk.locator("#thread")).to_contain_text("Thank you", timeout=SOON_MS)
    await expect(helpdesk.get_by_role("status")).to_contain_text("User sent a message")
    await helpdesk.get_by_role("button", name="Close ticket").click()
    await expect(user.locator("#head")).to_contain_text("is closed", timeout=SOON_MS)


async def test_the_list_says_what_is_new_and_moves_nothing(open_page: OpenPage, api: Api) -> None:
    word = uuid4().hex
    known = await api.open(f"{word} known")
    page = await open_page("helpdesk", f"/tickets?q={word}")
    news = page.locator("#news")
    await expect(news).to_have_text("Refresh")
    await api.open(f"{word} fresh")
    await expect(news).to_contain_text("1 new", timeout=SOON_MS)
    await api.say(known.id, "hello")
    await expect(news).to_contain_text("1 changed", timeout=SOON_MS)
    await expect(page.locator("#rows li")).to_have_count(1)
    await news.click()
    await expect(page.locator("#rows li")).to_have_count(2)
    await expect(news).to_have_text("Refresh")
    await expect(news).to_be_focused()


async def test_a_late_category_appears(open_page: OpenPage, api: Api) -> None:
    ticket = await api.open("The projector in room B204 shows no picture", category=None)
    page = await open_page("user", f"/tickets/{ticket.id}")
    await expect(page.locator("#head .category")).to_have_text("Technical / IT")
