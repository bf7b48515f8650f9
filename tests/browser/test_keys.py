"""Single keys for those who work in the list all day: each does its work, and none surprises."""

import re
from uuid import uuid4

from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.test_accessibility import violations
from tests.browser.test_list import link, opened, row, tick
from tests.web.conftest import Api


async def press(page: Page, *keys: str) -> None:
    for key in keys:
        await page.keyboard.press(key)


async def test_the_list_is_worked_by_single_keys(open_page: OpenPage, api: Api) -> None:
    word = uuid4().hex
    ids = await opened(api, word, 3)
    page = await open_page("helpdesk", f"/tickets?q={word}")
    await press(page, "j")
    await expect(link(page, ids[0])).to_be_focused()
    await press(page, "j", "j", "j")
    await expect(link(page, ids[2])).to_be_focused()
    await press(page, "k")
    await expect(link(page, ids[1])).to_be_focused()
    await press(page, "x")
    await expect(tick(page, ids[1])).to_be_checked()
    await press(page, "x")
    await expect(tick(page, ids[1])).not_to_be_checked()
    await press(page, "s")
    await expect(row(page, ids[1]).locator(".status")).to_have_text("Active")
    await expect(page.get_by_role("status")).to_have_text("1 ticket: work started.")
    await expect(link(page, ids[1])).to_be_focused()
    await press(page, "c")
    dialog = page.get_by_role("dialog", name="Close for good?")
    await expect(dialog).to_contain_text(f"#{ids[1]}")
    await press(page, "c", "s", "Escape")
    await expect(link(page, ids[1])).to_be_focused()
    await press(page, "c")
    await dialog.get_by_role("button", name="Yes, close").press("Enter")
    # The list has no closed tickets: the next row takes the place and the focus.
    await expect(row(page, ids[1])).to_have_count(0)
    await expect(link(page, ids[2])).to_be_focused()
    assert [(await api.fetch(i)).status.value for i in ids] == ["open", "closed", "open"]
    await press(page, "Enter")
    await expect(page).to_have_url(re.compile(f"/tickets/{ids[2]}$"))


async def test_ticked_rows_are_left_alone_by_the_key_of_another(
    open_page: OpenPage, api: Api
) -> None:
    word = uuid4().hex
    ids = await opened(api, word, 2)
    page = await open_page("helpdesk", f"/tickets?q={word}")
    await tick(page, ids[1]).check()
    await link(page, ids[0]).focus()
    await press(page, "s")
    await expect(row(page, ids[0]).locator(".status")).to_have_text("Active")
    await expect(tick(page, ids[1])).to_be_checked()
    assert (await api.fetch(ids[1])).status.value == "open"


async def test_a_ticket_is_worked_by_single_keys(open_page: OpenPage, api: Api) -> None:
    word = uuid4().hex
    [ticket_id] = await opened(api, word, 1)
    page = await open_page("helpdesk", f"/tickets?q={word}&status=all")
    await press(page, "j", "Enter")
    await expect(page.locator("#head")).to_be_visible()
    await press(page, "r")
    await expect(page.get_by_label("Message")).to_be_focused()
    await page.keyboard.type("such keys")
    await expect(page.get_by_label("Message")).to_have_value("such keys")
    await press(page, "Escape")
    # The stream may be faster than the answer, before which the form sends nothing else.
    async with page.expect_response("**/status"):
        await press(page, "s")
    await expect(page.locator("#head .status")).to_have_text("Active")
    await press(page, "c")
    await expect(page.get_by_role("button", name="Close ticket")).to_be_focused()
    await expect(page.locator("#head .status")).to_have_text("Active")
    await press(page, "c")
    await expect(page.locator("#head .status")).to_have_text("Closed")
    await press(page, "u")
    await expect(page).to_have_url(re.compile(f"q={word}"))
    await expect(link(page, ticket_id)).to_be_focused()


async def test_typed_text_and_browsers_keys_are_no_shortcuts(open_page: OpenPage, api: Api) -> None:
    word = uuid4().hex
    [ticket_id] = await opened(api, word, 1)
    page = await open_page("helpdesk", f"/tickets?q={word}")
    await press(page, "/")
    search = page.get_by_label("Search")
    await expect(search).to_be_focused()
    await page.keyboard.type("?jkxsc/")
    await expect(search).to_have_value("?jkxsc/")
    await press(page, "Escape")
    await expect(search).not_to_be_focused()
    await expect(search).to_have_value("?jkxsc/")
    page = await open_page("helpdesk", f"/tickets?q={word}")
    await press(page, "j", "Control+s", "Alt+s", "Meta+s", "Control+c", "Shift+S")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert (await api.fetch(ticket_id)).status.value == "open"


async def test_the_keys_are_listed_and_can_be_switched_off(open_page: OpenPage, api: Api) -> None:
    word = uuid4().hex
    [ticket_id] = await opened(api, word, 1)
    page = await open_page("helpdesk", f"/tickets?q={word}", bypass_csp=True)
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    await press(page, "?")
    await expect(dialog).to_contain_text("Start work")
    assert not await violations(page)
    await dialog.get_by_label("Single keys are on").uncheck()
    await dialog.get_by_role("button", name="Done").click()
    await press(page, "j", "?")
    await expect(dialog).to_be_hidden()
    await expect(link(page, ticket_id)).not_to_be_focused()
    await page.reload()
    await press(page, "j")
    await expect(link(page, ticket_id)).not_to_be_focused()
    await page.get_by_role("button", name="Keyboard shortcuts").click()
    await dialog.get_by_label("Single keys are on").check()
    await press(page, "Escape")
    await expect(page.get_by_role("button", name="Keyboard shortcuts")).to_be_focused()
    await press(page, "j")
    await expect(link(page, ticket_id)).to_be_focused()


async def test_users_have_the_keys_that_are_theirs(open_page: OpenPage, api: Api) -> None:
    word = uuid4().hex
    ids = await opened(api, word, 2)
    page = await open_page("user", f"/tickets?q={word}")
    await press(page, "j", "j", "s", "c", "x")
    await expect(link(page, ids[1])).to_be_focused()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await press(page, "?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    await expect(dialog).to_contain_text("Next or previous ticket")
    await expect(dialog).not_to_contain_text("Start work")
    assert (await api.fetch(ids[1])).status.value == "open"
