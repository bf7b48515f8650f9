"""Helpdesk's day in the list: scrolling, coming back, ticking, and where the focus is after it."""

import re
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import DESK, PHONE, OpenPage
from tests.browser.test_accessibility import violations
from tests.web.conftest import Api
from web.pages.tickets_page import PAGE_ROWS

# A scroll position that is right to the eye.
SAME_PX = 2


async def opened(api: Api, word: str, n: int) -> list[int]:
    """Open tickets; return their numbers as the list has them, newest first."""
    return [(await api.open(f"{word} {i}")).id for i in range(n)][::-1]


def row(page: Page, ticket_id: int) -> Locator:
    return page.locator(f"#t{ticket_id}")


def link(page: Page, ticket_id: int) -> Locator:
    return page.locator(f"#t{ticket_id} > a").first


def tick(page: Page, ticket_id: int) -> Locator:
    return page.get_by_role("checkbox", name=f"Select #{ticket_id}", exact=True)


async def top_of(locator: Locator) -> float:
    top: float = await locator.evaluate("element => element.getBoundingClientRect().top")
    return top


async def scroll_to_rows(page: Page, n: int) -> None:
    """Scroll as a person does until so many rows are shown."""
    for shown in range(2 * PAGE_ROWS, n + 1, PAGE_ROWS):
        await page.evaluate("scrollTo(0, document.body.scrollHeight)")
        await expect(page.locator("#rows > .row")).to_have_count(shown)
        await expect(page).to_have_url(re.compile(f"rows={shown}"))


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("way", ["back", "u"])
async def test_back_returns_to_the_same_place(
    open_page: OpenPage, api: Api, viewport: Any, way: str
) -> None:
    word = uuid4().hex
    ids = await opened(api, word, 4 * PAGE_ROWS + 20)
    page = await open_page("helpdesk", f"/tickets?q={word}", viewport=viewport)
    await scroll_to_rows(page, 4 * PAGE_ROWS)
    far = link(page, ids[2 * PAGE_ROWS + 5])
    await far.scroll_into_view_if_needed()
    before = await top_of(far)
    await far.click()
    await expect(page).to_have_url(re.compile(f"/tickets/{ids[2 * PAGE_ROWS + 5]}$"))
    if way == "back":
        await page.go_back()
    else:
        await page.keyboard.press("u")
        await expect(page).to_have_url(re.compile(f"rows={4 * PAGE_ROWS}"))
    await expect(link(page, ids[2 * PAGE_ROWS + 5])).to_be_focused()
    await expect(link(page, ids[2 * PAGE_ROWS + 5])).to_be_in_viewport()
    assert abs(await top_of(link(page, ids[2 * PAGE_ROWS + 5])) - before) <= SAME_PX
    await expect(page.locator("#rows > .row")).to_have_count(4 * PAGE_ROWS)
    await page.reload()
    await expect(page.locator("#rows > .row")).to_have_count(4 * PAGE_ROWS)
    assert abs(await top_of(link(page, ids[2 * PAGE_ROWS + 5])) - before) <= SAME_PX


async def test_show_more_is_a_link_and_the_keyboard_keeps_its_place(
    open_page: OpenPage, api: Api
) -> None:
    word = uuid4().hex
    ids = await opened(api, word, 2 * PAGE_ROWS + 1)
    page = await open_page("user", f"/tickets?q={word}", java_script_enabled=False)
    await page.get_by_role("link", name="Show more").click()
    await expect(row(page, ids[PAGE_ROWS])).to_be_visible()
    await expect(row(page, ids[PAGE_ROWS - 1])).to_have_count(0)
    page = await open_page("user", f"/tickets?q={word}")
    await link(page, ids[PAGE_ROWS - 1]).focus()  # scrolls near the end, so that more comes
    await expect(row(page, ids[PAGE_ROWS])).to_have_count(1)
    await expect(link(page, ids[PAGE_ROWS - 1])).to_be_focused()
    await link(page, ids[2 * PAGE_ROWS - 1]).focus()
    await expect(page.locator("#rows > .row")).to_have_count(2 * PAGE_ROWS + 1)
    await expect(link(page, ids[2 * PAGE_ROWS - 1])).to_be_focused()


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
async def test_many_tickets_are_started_and_closed(
    open_page: OpenPage, api: Api, viewport: Any, script: bool
) -> None:
    word = uuid4().hex
    ids = await opened(api, word, 4)
    page = await open_page(
        "helpdesk", f"/tickets?q={word}", viewport=viewport, java_script_enabled=script
    )
    bar = page.locator(".bulk")
    await expect(bar).to_be_hidden()
    for ticket_id in ids[:3]:
        await tick(page, ticket_id).click()
    await expect(page).to_have_url(re.compile(r"/tickets\?"))  # no row was opened
    await page.get_by_role("button", name="Start work on selected").click()
    await expect(page.get_by_role("status")).to_have_text("3 tickets: work started.")
    assert [(await api.fetch(i)).status.value for i in ids] == ["active"] * 3 + ["open"]
    await expect(tick(page, ids[0])).not_to_be_checked()
    await expect(bar).to_be_hidden()
    await expect(row(page, ids[0]).locator(".status")).to_have_text("Active")
    if script:
        await expect(page.get_by_label("Select all shown")).to_be_focused()
        await page.keyboard.press("Space")
        await expect(page.locator("#ticked")).to_have_text("4 selected")
    else:
        for ticket_id in ids:
            await tick(page, ticket_id).click()
    await page.get_by_role("button", name="Close selected").click()
    if script:
        dialog = page.get_by_role("dialog", name="Close for good?")
        await expect(dialog).to_contain_text(", ".join(f"#{i}" for i in ids))
        await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        await dialog.get_by_role("button", name="Yes, close").click()
    said = f"3 tickets: closed. 1 could not be changed: #{ids[3]} was open."
    await expect(page.get_by_role("status")).to_have_text(said)
    assert [(await api.fetch(i)).status.value for i in ids] == ["closed"] * 3 + ["open"]
    if script:
        await expect(page.get_by_label("Select all shown")).to_be_focused()


async def test_a_question_answered_with_no_changes_nothing(open_page: OpenPage, api: Api) -> None:
    word = uuid4().hex
    [ticket_id] = await opened(api, word, 1)
    await api.move(ticket_id, "active")
    page = await open_page("helpdesk", f"/tickets?q={word}")
    await tick(page, ticket_id).check()
    for way in ("Enter", "Escape"):  # on “Cancel”, and anywhere
        await page.get_by_role("button", name="Close selected").click()
        await page.keyboard.press(way)
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(page.get_by_role("button", name="Close selected")).to_be_focused()
    await expect(tick(page, ticket_id)).to_be_checked()
    assert (await api.fetch(ticket_id)).status.value == "active"


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
async def test_enter_in_a_tick_box_changes_nothing(
    open_page: OpenPage, api: Api, script: bool
) -> None:
    word = uuid4().hex
    [ticket_id] = await opened(api, word, 1)
    page = await open_page("helpdesk", f"/tickets?q={word}", java_script_enabled=script)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    await tick(page, ticket_id).check()
    await tick(page, ticket_id).press("Enter")
    await page.reload()
    assert "POST" not in sent
    assert (await api.fetch(ticket_id)).status.value == "open"


async def test_ticks_stay_on_their_tickets(open_page: OpenPage, api: Api) -> None:
    word = uuid4().hex
    one, two = await opened(api, word, 2)
    page = await open_page("helpdesk", f"/tickets?q={word}")
    await tick(page, two).check()
    [three] = await opened(api, word, 1)
    await page.locator("#news").click()
    await expect(row(page, three)).to_be_visible()
    await expect(tick(page, two)).to_be_checked()
    for ticket_id in (one, three):
        await expect(tick(page, ticket_id)).not_to_be_checked()
    # A browser that restored ticks by their place would put them on other tickets.
    await link(page, one).click()
    await expect(page.locator("#head")).to_be_visible()
    await opened(api, word, 1)
    await page.go_back()
    await expect(link(page, one)).to_be_focused()
    await expect(page.locator("#rows :checked")).to_have_count(0)


async def test_a_category_is_corrected_from_the_list(open_page: OpenPage, api: Api) -> None:
    word = uuid4().hex
    [ticket_id] = await opened(api, word, 1)
    page = await open_page("helpdesk", f"/tickets?q={word}")
    category = row(page, ticket_id).get_by_role("link", name="Technical / IT")
    await category.click()
    dialog = page.get_by_role("dialog", name=f"What is #{ticket_id} about?")
    await dialog.get_by_role("button", name="Facility management").click()
    await expect(page.get_by_role("status")).to_have_text("1 ticket: Facility management.")
    await expect(row(page, ticket_id).locator(".category")).to_have_text("Facility management")
    await expect(row(page, ticket_id).locator(".category")).to_be_focused()
    assert (await api.fetch(ticket_id)).category == "facility_management"
    page = await open_page("helpdesk", f"/tickets?q={word}", java_script_enabled=False)
    await row(page, ticket_id).locator(".category").click()
    await expect(page.get_by_label("Category", exact=True)).to_be_visible()


async def test_the_order_is_chosen_and_comes_back(open_page: OpenPage, api: Api) -> None:
    word = uuid4().hex
    new, old = await opened(api, word, 2)
    for script in (True, False):
        page = await open_page("user", f"/tickets?q={word}", java_script_enabled=script)
        await page.get_by_label("Sort").select_option("Oldest")
        if not script:
            await page.get_by_role("button", name="Apply").click()
        await expect(page.locator("#rows > .row").first).to_have_id(f"t{old}")
        await expect(page).to_have_url(re.compile("sort=opened_at"))
        await page.go_back()
        await expect(page.locator("#rows > .row").first).to_have_id(f"t{new}")


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
async def test_the_bar_and_the_questions_have_no_barrier(
    open_page: OpenPage, api: Api, viewport: Any
) -> None:
    word = uuid4().hex
    ids = await opened(api, word, 20)
    page = await open_page(
        "helpdesk",
        f"/tickets?q={word}",
        viewport=viewport,
        bypass_csp=True,
        reduced_motion="reduce",
    )
    await tick(page, ids[0]).check()
    assert not await violations(page)
    # The focus is never under the bar (WCAG 2.4.11).
    bar = page.locator(".bulk")
    for ticket_id in ids[1:]:
        await tick(page, ticket_id).focus()
        bottom = await tick(page, ticket_id).evaluate("e => e.getBoundingClientRect().bottom")
        assert bottom <= await top_of(bar) + SAME_PX
    await page.get_by_role("button", name="Close selected").click()
    assert not await violations(page)
    await page.keyboard.press("Escape")
    await row(page, ids[3]).locator(".category").click()
    assert not await violations(page)
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"]
