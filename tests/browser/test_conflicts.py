"""Two people edit one description: the second is warned early, sees both texts, loses nothing."""

from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.conftest import DESK, PHONE, OpenPage
from tests.web.conftest import Api

BOX = "Describe the problem"


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
async def test_the_second_is_warned_and_takes_theirs_or_keeps_both(
    open_page: OpenPage, api: Api, viewport: Any
) -> None:
    ticket = await api.open("The lift in B is stuck")
    pages = [await open_page("user", f"/tickets/{ticket.id}", viewport=viewport) for _ in "12"]
    for page, text in zip(pages, ("The lift in C is stuck", "The lift in B hangs"), strict=True):
        await page.get_by_text("Edit description").click()
        await page.get_by_label(BOX).fill(text)
        await expect(page.locator("#changed")).to_be_hidden()
    first, second = pages
    await first.get_by_role("button", name="Save description").click()
    await expect(first.locator("#description")).to_have_text("The lift in C is stuck")
    await expect(first.locator("#changed")).to_be_hidden()
    await expect(second.locator("#changed")).to_contain_text("by User while you write")
    await expect(second.get_by_label(BOX)).to_be_focused()
    await expect(second.get_by_label(BOX)).to_have_value("The lift in B hangs")
    await second.get_by_role("button", name="Save description").click()
    theirs, mine = second.locator(".theirs"), second.locator(".mine")
    await expect(theirs.locator("mark")).to_have_text(["C is stuck"])
    await expect(second.get_by_label(BOX)).to_have_value("The lift in B hangs")
    await expect(second.get_by_label(BOX)).to_be_focused()
    left, right = await theirs.bounding_box(), await mine.bounding_box()
    assert left
    assert right
    is_beside = left["x"] + left["width"] <= right["x"]
    assert is_beside == (viewport is DESK)
    if viewport is DESK:
        await second.get_by_role("button", name="Take theirs").click()
        await expect(second.locator("#editor-summary")).to_be_focused()
        await expect(second.get_by_role("status")).to_have_text("The other text stays.")
    else:
        await second.get_by_label(BOX).fill("The lift in C hangs")
        await second.get_by_role("button", name="Save description").click()
        await expect(first.locator("#description")).to_have_text("The lift in C hangs")
    kept = "The lift in C is stuck" if viewport is DESK else "The lift in C hangs"
    assert (await api.fetch(ticket.id)).description == kept


async def test_without_scripts_both_texts_are_shown_too(open_page: OpenPage, api: Api) -> None:
    ticket = await api.open("Original")
    page = await open_page("user", f"/tickets/{ticket.id}", java_script_enabled=False)
    for button, kept in (("Save description", "Mine"), ("Take theirs", "Theirs 1")):
        await page.get_by_text("Edit description").click()
        await page.get_by_label(BOX).fill("Mine")
        theirs = f"Theirs {button == 'Take theirs':d}"
        await api.edit(await api.fetch(ticket.id), description=theirs)
        await page.get_by_role("button", name="Save description").click()
        await expect(page.locator(".theirs")).to_contain_text(theirs)
        await expect(page.get_by_label(BOX)).to_have_value("Mine")
        await page.get_by_role("button", name=button).click()
        await expect(page.locator("#description")).to_have_text(kept)
