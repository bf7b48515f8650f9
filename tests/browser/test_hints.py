"""Hints while typing: in five languages, never in the way, and given up with the next letters."""

import asyncio
from uuid import uuid4

import pytest
from playwright.async_api import Request, Route, expect

from tests.browser.conftest import PHONE, OpenPage
from tests.web.conftest import Api

BOX = "Describe the problem"


@pytest.mark.parametrize(
    ("text", "label", "category"),
    [
        ("The lift in building C is stuck", "Facility management", "facility_management"),
        ("Non riesco ad accedere al wifi della biblioteca", "Technical / IT", "technical_it"),
        ("Die Heizung im Hörsaal ist kaputt", "Facility management", "facility_management"),
        ("El proyector del aula 12 no funciona", "Technical / IT", "technical_it"),
        (
            "La personne à l'accueil était très impolie avec moi",
            "Services & complaints",
            "services_complaints",
        ),
    ],
    ids=["English", "Italian", "German", "Spanish", "French"],
)
async def test_hints_say_what_why_and_what_is_known(
    open_page: OpenPage, api: Api, text: str, label: str, category: str
) -> None:
    ticket = await api.open(f"{text} {uuid4().hex[:6]}", category=category)
    await api.known(ticket)
    page = await open_page("user", viewport=PHONE)
    await page.get_by_label(BOX).press_sequentially(text)
    hints = page.locator("#hints")
    await expect(hints).to_contain_text(f"goes to {label} – quite sure. Because of: ")
    words = await hints.locator("mark").all_inner_texts()
    assert 1 <= len(words) <= 5
    assert all(word in text for word in words)
    await expect(hints.locator(f'a[href="/tickets/{ticket.id}"]')).to_be_visible()


async def test_hints_move_neither_caret_nor_button(open_page: OpenPage) -> None:
    page = await open_page("user")
    box, button = page.get_by_label(BOX), page.get_by_role("button", name="Report problem")
    await box.press_sequentially("stuck is the lift")
    await box.press("Home")
    before = await button.bounding_box()
    await expect(page.locator("#hints mark").first).to_be_visible()
    await expect(page.locator("#hints")).to_have_attribute("aria-live", "polite")
    assert await button.bounding_box() == before
    await expect(box).to_be_focused()
    assert await box.evaluate("box => box.selectionStart") == 0
    await box.fill("stuck")
    await expect(page.locator("#hints > *")).to_have_count(0)


async def test_the_next_letters_give_up_what_was_asked_before(open_page: OpenPage) -> None:
    page = await open_page("user")
    held = asyncio.Event()
    asked: list[str] = []
    given_up: list[str] = []

    async def slowly(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            await held.wait()
        await route.continue_()

    def note(request: Request) -> None:
        given_up.append(request.url)
        held.set()

    await page.route("**/tickets/hints*", slowly)
    page.on("requestfailed", note)
    box = page.get_by_label(BOX)
    async with page.expect_request("**/tickets/hints*"):
        await box.press_sequentially("The projector")
    await box.press_sequentially(" shows no picture")
    await expect(page.locator("#hints")).to_contain_text("Technical / IT")
    assert len(asked) == 2
    assert given_up == asked[:1]
