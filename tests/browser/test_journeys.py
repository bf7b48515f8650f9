"""What people do from the entry to the end, with a mouse, a finger, and without JavaScript."""

import re
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import Locator, expect

from tests.browser.conftest import DESK, PHONE, OpenPage
from tests.web.conftest import Api
from web.pages.tickets_page import PAGE_ROWS

WAYS: dict[str, dict[str, Any]] = {
    "mouse": {"viewport": DESK},
    "touch": {"viewport": PHONE, "has_touch": True, "is_mobile": True},
    "no script": {"viewport": PHONE, "java_script_enabled": False},
}
every_way = pytest.mark.parametrize("way", WAYS)


async def press(target: Locator, way: str) -> None:
    """Press something with a finger or a mouse."""
    await (target.tap() if way == "touch" else target.click())


@every_way
async def test_a_user_reports_and_follows(open_page: OpenPage, api: Api, way: str) -> None:
    page = await open_page(None, "/", **WAYS[way])
    await press(page.get_by_role("button", name="Enter as user"), way)
    text = f"The projector in room B204 shows no picture {uuid4().hex}\nSince Monday"
    await page.get_by_label("Describe the problem").fill(text)
    await press(page.get_by_role("button", name="Report problem"), way)
    await page.wait_for_url(re.compile(r"/tickets/\d+$"))
    await expect(page.get_by_role("status")).to_contain_text("The problem is reported")
    await expect(page.locator("#head .category")).to_have_text("Technical / IT")
    await page.get_by_label("Message").fill("It is the big one")
    await press(page.get_by_role("button", name="Send message"), way)
    await expect(page.locator("#thread")).to_contain_text("It is the big one")
    await expect(page.get_by_label("Message")).to_have_value("")
    await press(page.get_by_text("Edit description"), way)
    await page.get_by_label("Describe the problem").fill(f"{text}\nStill")
    await press(page.get_by_role("button", name="Save description"), way)
    await expect(page.locator("#description")).to_contain_text("Still")
    [found] = await api.find(text.split()[-3])
    assert found["description"] == f"{text}\nStill"
    assert found["messages"] == 1


@every_way
async def test_helpdesk_works_a_ticket_and_reads_a_report(
    open_page: OpenPage, api: Api, way: str
) -> None:
    word = uuid4().hex
    ticket = await api.open(f"Printer {word} eats paper", category="facility_management")
    page = await open_page(None, "/", **WAYS[way])
    await press(page.get_by_role("button", name="Enter as helpdesk"), way)
    await page.get_by_label("Search").fill(f"printe {word}")
    if way == "no script":
        await press(page.get_by_role("button", name="Apply"), way)
    await expect(page.locator("#rows li")).to_have_count(1)
    assert word in page.url
    await press(page.get_by_role("link", name=re.compile(word)), way)
    await press(page.get_by_label("Category").get_by_role("button", name="Technical / IT"), way)
    await expect(page.locator("#head")).to_contain_text("set by helpdesk")
    await press(page.get_by_role("button", name="Start work"), way)
    await expect(page.locator("#head .status")).to_have_text("Active")
    await press(page.get_by_role("button", name="Close ticket"), way)
    await expect(page.locator("#head .status")).to_have_text("Closed")
    assert (await api.fetch(ticket.id)).status == "closed"
    assert (await api.fetch(ticket.id)).category == "technical_it"
    await press(page.get_by_role("link", name="Reports"), way)
    await page.get_by_label("Last").fill("0")
    await press(page.get_by_role("button", name="Show"), way)
    await expect(page.locator("#last-error")).to_contain_text("Last must be")
    await page.get_by_label("Last").fill("3")
    await page.get_by_label("Unit").select_option("hours")
    await press(page.get_by_role("button", name="Show"), way)
    await expect(page.locator("svg.chart").first).to_be_visible()
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
    # Not scrolled to, or it would be followed by itself before it is pressed.
    await page.get_by_role("link", name="Show more").evaluate(
        "link => { link.focus({ preventScroll: true }); link.click(); }"
    )
    await expect(page.locator("#rows li")).to_have_count(PAGE_ROWS + 5)
    ids = await page.locator("#rows li").evaluate_all("rows => rows.map(row => row.id)")
    assert len(set(ids)) == PAGE_ROWS + 5
    assert await page.evaluate("document.activeElement.id") == "more-link"


RIGHT_TO_LEFT = "جهاز العرض في القاعة لا يعمل منذ يوم الاثنين والطلاب ينتظرون المساعدة " * 4


async def test_a_long_foreign_text_runs_its_own_way_and_moves_nothing(
    open_page: OpenPage, api: Api
) -> None:
    word = uuid4().hex
    text = f"{RIGHT_TO_LEFT}{word}\n{RIGHT_TO_LEFT}"
    page = await open_page("user", viewport=PHONE)
    box = page.get_by_label("Describe the problem")
    await box.fill(text)
    await expect(box).to_have_css("direction", "rtl")
    await page.get_by_role("button", name="Report problem").click()
    await page.wait_for_url(re.compile(r"/tickets/\d+$"))
    for place in ("h1", "#description"):
        await expect(page.locator(place)).to_have_css("direction", "rtl")
    await expect(page.get_by_role("button", name="Send message")).to_have_css("direction", "ltr")
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    await page.goto(f"/tickets?q={word}")
    await expect(page.locator("#rows li > a").first).to_have_css("direction", "rtl")
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


async def test_a_problem_is_reported_by_keyboard_alone(open_page: OpenPage, api: Api) -> None:
    page = await open_page(None, "/")

    async def tab_to(name: str, role: Any = "button") -> None:
        target = page.get_by_role(role, name=name, exact=True)
        for _ in range(40):
            await page.keyboard.press("Tab")
            assert await page.evaluate("document.activeElement !== document.body"), "focus is lost"
            if await target.evaluate("element => element === document.activeElement"):
                return
        raise AssertionError(f"{name} is not reached")

    await tab_to("Enter as user")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/tickets")
    word = uuid4().hex
    await tab_to("Describe the problem", "textbox")
    await page.keyboard.type(f"The tap {word} drips")
    await tab_to("Report problem")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(r"/tickets/\d+$"))
    await tab_to("Tickets", "link")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/tickets")
    await tab_to("Search", "searchbox")
    await page.keyboard.type(word)
    await expect(page.locator("#rows li")).to_have_count(1)
    await tab_to(f"The tap {word} drips", "link")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_contain_text(word)
    assert len(await api.find(word)) == 1


async def test_what_one_line_says_stands_on_its_page_once(open_page: OpenPage, api: Api) -> None:
    text = f"The tap drips {uuid4().hex}"
    ticket = await api.open(text)
    page = await open_page("user", f"/tickets/{ticket.id}")
    await expect(page.get_by_text(text).filter(visible=True)).to_have_count(1)
    await expect(page.locator("h1")).to_have_text(text)
    # The rest of a longer one is shown at once, and so is that it is short again.
    await api.edit(ticket, description=f"{text}\nSince Monday")
    await expect(page.locator("#description")).to_be_visible()
    await expect(page.locator("#description")).to_contain_text("Since Monday")
    await api.edit(await api.fetch(ticket.id), description=text)
    await expect(page.locator("#description")).to_be_hidden()
