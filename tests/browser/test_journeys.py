"""What people do from the entry to the end, with JavaScript and without."""

import re
from uuid import uuid4

import pytest
from playwright.async_api import expect

from tests.browser.conftest import PHONE, OpenPage
from tests.web.conftest import Api
from web.pages.tickets_page import PAGE_ROWS

BOTH = pytest.mark.parametrize("js", [True, False], ids=["js", "no-js"])


@BOTH
async def test_a_user_reports_and_follows(open_page: OpenPage, api: Api, js: bool) -> None:
    page = await open_page(None, "/", java_script_enabled=js, viewport=PHONE)
    await page.get_by_role("button", name="Enter as user").click()
    text = f"The projector in room B204 shows no picture {uuid4().hex}\nSince Monday"
    await page.get_by_label("Describe the problem").fill(text)
    await page.get_by_role("button", name="Report problem").click()
    await page.wait_for_url(re.compile(r"/tickets/\d+$"))
    await expect(page.get_by_role("status")).to_contain_text("The problem is reported")
    await expect(page.locator("#head .category")).to_have_text("Technical / IT")
    await page.get_by_label("Message").fill("It is the big one")
    await page.get_by_role("button", name="Send message").click()
    await expect(page.locator("#thread")).to_contain_text("It is the big one")
    await expect(page.get_by_label("Message")).to_have_value("")
    await page.get_by_text("Edit description").click()
    await page.get_by_label("Describe the problem").fill(f"{text}\nStill")
    await page.get_by_role("button", name="Save description").click()
    await expect(page.locator("#description")).to_contain_text("Still")
    [found] = await api.find(text.split()[-3])
    assert found["description"] == f"{text}\nStill"
    assert found["messages"] == 1


@BOTH
async def test_helpdesk_works_a_ticket_and_reads_a_report(
    open_page: OpenPage, api: Api, js: bool
) -> None:
    word = uuid4().hex
    ticket = await api.open(f"Printer {word} eats paper", category="facility_management")
    page = await open_page(None, "/", java_script_enabled=js)
    await page.get_by_role("button", name="Enter as helpdesk").click()
    await page.get_by_label("Search").fill(f"printe {word}")
    if not js:
        await page.get_by_role("button", name="Apply").click()
    await expect(page.locator("#rows li")).to_have_count(1)
    assert word in page.url
    await page.get_by_role("link", name=re.compile(word)).click()
    await page.get_by_label("Category").select_option("Technical / IT")
    await page.get_by_role("button", name="Save category").click()
    await expect(page.locator("#head")).to_contain_text("set by helpdesk")
    await page.get_by_role("button", name="Start work").click()
    await expect(page.locator("#head .status")).to_have_text("Active")
    await page.get_by_role("button", name="Close ticket").click()
    await expect(page.locator("#head .status")).to_have_text("Closed")
    assert (await api.fetch(ticket.id)).status == "closed"
    assert (await api.fetch(ticket.id)).category == "technical_it"
    await page.get_by_role("link", name="Reports").click()
    await page.get_by_label("Last").fill("0")
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("#last-error")).to_contain_text("Last must be")
    await page.get_by_label("Last").fill("3")
    await page.get_by_label("Unit").select_option("hours")
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("svg.chart")).to_be_visible()
    await expect(page).to_have_url(re.compile(r"last=3&unit=hours"))


async def test_filters_and_back(open_page: OpenPage, api: Api) -> None:
    word = uuid4().hex
    ticket = await api.open(f"Radiator {word}", category="facility_management")
    await api.open(f"Login {word}")
    page = await open_page("helpdesk")
    search = page.get_by_label("Search")
    await search.press_sequentially(word)
    await expect(page.locator("#rows li")).to_have_count(2)
    await expect(search).to_be_focused()
    await page.get_by_label("Category").select_option("Facility management")
    await expect(page.locator("#rows li")).to_have_count(1)
    await page.get_by_role("link", name=re.compile(word)).click()
    await page.wait_for_url(f"**/tickets/{ticket.id}")
    await page.go_back()
    await expect(page.locator("#rows li")).to_have_count(1)
    await expect(page.get_by_label("Category")).to_have_value("facility_management")
    await page.go_back()
    await expect(page.locator("#rows li")).to_have_count(2)
    await expect(page.get_by_label("Search")).to_have_value(word)


async def test_more_rows_are_added_below(open_page: OpenPage, api: Api) -> None:
    word = uuid4().hex
    for n in range(PAGE_ROWS + 5):
        await api.open(f"{word} {n}")
    page = await open_page("user", f"/tickets?q={word}")
    await expect(page.locator("#rows li")).to_have_count(PAGE_ROWS)
    await page.get_by_role("link", name="Show more").click()
    await expect(page.locator("#rows li")).to_have_count(PAGE_ROWS + 5)
    ids = await page.locator("#rows li").evaluate_all("rows => rows.map(row => row.id)")
    assert len(set(ids)) == PAGE_ROWS + 5
    assert await page.evaluate("document.activeElement.id") == "more-link"
