"""Light or dark: as the system is, or as the reader chose, and what is printed is light."""

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.web.conftest import Api


async def is_dark(page: Page) -> bool:
    color = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    channels = [int(part) for part in color.removeprefix("rgb(").removesuffix(")").split(",")]
    return sum(channels) < 3 * 128


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_theme_once_chosen_stays_whatever_the_system_says(
    open_page: OpenPage, scheme: str
) -> None:
    page = await open_page("user", color_scheme=scheme)
    assert await is_dark(page) is (scheme == "dark")
    for name in ("Dark", "Light"):
        await page.get_by_role("button", name=name, exact=True).click()
        await expect(page.get_by_role("button", name=name, exact=True)).to_have_attribute(
            "aria-pressed", "true"
        )
        assert await is_dark(page) is (name == "Dark")
        await page.goto("/")
        assert await is_dark(page) is (name == "Dark")
    await page.get_by_role("button", name="As the system").click()
    assert await is_dark(page) is (scheme == "dark")


async def test_a_ticket_on_paper_has_all_that_was_said_and_nothing_to_press(
    open_page: OpenPage, api: Api
) -> None:
    ticket = await api.open("A ticket for paper", category="technical_it")
    await api.say(ticket.id, "What was said")
    page = await open_page("helpdesk", f"/tickets/{ticket.id}", color_scheme="dark")
    await page.emulate_media(media="print")
    assert not await is_dark(page)
    for text in ("What was said", "reported the problem"):
        await expect(page.get_by_text(text)).to_be_visible()
    for control in await page.locator("button, textarea, select, summary").all():
        await expect(control).to_be_hidden()
