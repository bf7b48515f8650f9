"""Everybody can use it: by keyboard, on a phone, in both colour schemes, with a screen reader."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import DESK, PHONE, OpenPage
from tests.web.conftest import Api

AXE = Path(__file__).resolve().parent.parent.parent / "node_modules/axe-core/axe.min.js"
# A desk of 1280 px at 400 %.
ZOOMED = {"width": 320, "height": 256}
# WCAG 2.2 AA is what we promise; best practices come free.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


async def pages_of(api: Api) -> list[tuple[str | None, str]]:
    """Return every kind of page with the role that sees it."""
    word = uuid4().hex
    open_ = await api.open(f"A {word}\nwith lines")
    await api.say(open_.id, "An answer")
    await api.edit(await api.fetch(open_.id), description=f"An edited {word}")
    active = await api.open(f"An active {word}", category="services_complaints")
    await api.move(active.id, "active")
    closed = await api.open(f"A closed {word}", category="facility_management")
    await api.move(closed.id, "active", "closed")
    original = await api.open(f"The lift of {word} is stuck", category="facility_management")
    duplicate = await api.open(f"Lift stuck in {word}", category="facility_management")
    long = await api.open(f"Donau{'dampfschiff' * 20} {word}\nhttps://example.org/{'a' * 300}")
    await api.say(long.id, "لا توجد صورة على الشاشة " * 9)
    reply = {"title": f"Reply {word}", "body": "Somebody comes today."}
    await api.ask("POST", "/replies", json=reply)
    mark = {"ticket": original.id}
    await api.ask("PUT", f"/tickets/{duplicate.id}/duplicate_of", json=mark)
    return [
        (None, "/"),
        ("user", "/tickets"),
        ("helpdesk", f"/tickets?q={word}&status=all"),
        ("user", "/tickets?q=nothing-at-all"),
        ("user", f"/tickets/{open_.id}"),
        ("user", f"/tickets/{long.id}"),
        ("helpdesk", f"/tickets/{active.id}"),
        ("helpdesk", f"/tickets/{closed.id}"),
        ("user", f"/tickets/{closed.id}"),
        ("helpdesk", f"/tickets/{original.id}"),
        ("helpdesk", f"/tickets/{original.id}/similar"),
        ("helpdesk", f"/tickets/{duplicate.id}"),
        ("user", f"/tickets/{duplicate.id}"),
        ("helpdesk", "/replies"),
        ("helpdesk", "/classifier"),
        ("helpdesk", "/classifier?text=The+lift+is+stuck"),
        ("helpdesk", "/classifier?text=+"),
        ("helpdesk", "/analytics"),
        ("helpdesk", "/analytics/unclosed?last=3&unit=hours"),
        ("helpdesk", "/analytics/unclosed?last=0"),
        ("helpdesk", "/analytics/unclosed?last=90&unit=days&category=services_complaints"),
        ("helpdesk", "/analytics/resolution"),
        ("helpdesk", "/analytics/resolution?since=2026-05&until=2026-04&months=x"),
        ("helpdesk", "/analytics/active"),
        ("helpdesk", "/analytics/active?category=none"),
        ("helpdesk", "/analytics/all?last=48&unit=hours"),
        ("user", "/analytics"),
        ("user", "/tickets/999999999"),
    ]


async def violations(page: Page) -> list[Any]:
    await page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    await page.evaluate(AXE.read_text())
    found = await page.evaluate("rules => axe.run({runOnly: rules})", RULES)
    return [
        (page.url, rule["id"], [(node["html"], node["failureSummary"]) for node in rule["nodes"]])
        for rule in found["violations"]
    ]


@pytest.mark.parametrize(
    ("scheme", "viewport"),
    [("light", DESK), ("dark", DESK), ("dark", PHONE), ("light", ZOOMED), ("dark", ZOOMED)],
    ids=["light-desk", "dark-desk", "dark-phone", "light-zoomed", "dark-zoomed"],
)
async def test_no_page_has_a_barrier_or_scrolls_sideways(
    open_page: OpenPage, api: Api, scheme: str, viewport: Any
) -> None:
    found: list[Any] = []
    page = await open_page(
        None, "/", color_scheme=scheme, viewport=viewport, bypass_csp=True, reduced_motion="reduce"
    )
    for role, path in await pages_of(api):
        await page.context.clear_cookies()
        if role:
            url = page.url.split("/", 3)
            cookie = {"name": "role", "value": role, "url": "/".join(url[:3])}
            await page.context.add_cookies([cookie])  # type: ignore[list-item]
        await page.goto(path)
        found += await violations(page)
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= viewport["width"], path
        assert await page.locator("h1").count() == 1
    assert not found


async def test_the_refused_forms_have_no_barrier(open_page: OpenPage, api: Api) -> None:
    page = await open_page("user", bypass_csp=True)
    box = page.get_by_label("Describe the problem")
    await box.fill("   ")
    await page.get_by_role("button", name="Report problem").click()
    await expect(page.locator("#report-error")).to_contain_text("must not be empty")
    await expect(box).to_be_focused()
    await expect(box).to_have_accessible_description(
        "What is wrong, and where? The first line becomes the title. The text must not be empty."
    )
    assert not await violations(page)


async def test_a_conflict_has_no_barrier(open_page: OpenPage, api: Api) -> None:
    ticket = await api.open("One\ntext")
    page = await open_page("user", f"/tickets/{ticket.id}", bypass_csp=True, viewport=PHONE)
    await page.get_by_text("Edit description").click()
    await page.get_by_label("Describe the problem").fill("My text")
    await api.edit(ticket, description="Their text")
    await expect(page.locator("#changed")).to_be_visible()
    assert not await violations(page)
    await page.get_by_role("button", name="Save description").click()
    await expect(page.locator(".theirs")).to_be_visible()
    assert not await violations(page)
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


async def test_the_hints_have_no_barrier(open_page: OpenPage, api: Api) -> None:
    ticket = await api.open("The lift in building C is stuck", category="facility_management")
    await api.known(ticket)
    page = await open_page("user", bypass_csp=True)
    await page.get_by_label("Describe the problem").fill("The lift in building C is stuck")
    await expect(page.locator("#hints a").first).to_be_visible()
    assert not await violations(page)


async def test_a_ticket_is_worked_by_keyboard_alone(open_page: OpenPage, api: Api) -> None:
    ticket = await api.open("Keyboard")
    page = await open_page("helpdesk", f"/tickets/{ticket.id}")

    async def tab_to(name: str, role: Any = "button") -> None:
        target = page.get_by_role(role, name=name)
        for _ in range(25):
            await page.keyboard.press("Tab")
            if await target.evaluate("element => element === document.activeElement"):
                return
        raise AssertionError(f"{name} is not reached")

    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")
    await tab_to("Message", "textbox")
    await page.keyboard.type("By keyboard")
    await tab_to("Send message")
    await page.keyboard.press("Enter")
    await expect(page.locator("#thread")).to_contain_text("By keyboard")
    await expect(page.get_by_role("button", name="Send message")).to_be_focused()
    await tab_to("Start work")
    await page.keyboard.press("Enter")
    await expect(page.locator("#head .status")).to_have_text("Active")
    await expect(page.locator("h1")).to_be_focused()
    await tab_to("Close ticket")
    await page.keyboard.press("Space")
    await expect(page.locator("#head .status")).to_have_text("Closed")
    await expect(page.get_by_role("link", name="Next ticket")).to_be_focused()
