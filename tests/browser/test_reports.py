"""Reports in a browser: explored, followed without being disturbed, and printed."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import PHONE, OpenPage
from tests.web.conftest import Api

UNCLOSED = "/analytics/unclosed?last=48&unit=hours"
TARGET_PX = 24


async def open_active(api: Api, count: int = 1) -> None:
    for _ in range(count):
        await api.move((await api.open("Reported")).id, "active")


async def position(page: Page) -> list[Any]:
    return list(
        await page.evaluate(
            """() => [
                document.activeElement.outerHTML.split("?")[0],
                document.activeElement.closest("tr")?.rowIndex,
                document.querySelector(".table-frame").scrollTop,
                scrollY,
            ]"""
        )
    )


async def test_news_move_neither_focus_nor_scroll(open_page: OpenPage, api: Api) -> None:
    await open_active(api, 2)
    page = await open_page("helpdesk", UNCLOSED)
    await page.locator("#numbers table a").last.focus()
    await page.evaluate("document.querySelector('.table-frame').scrollTop = 30; scrollTo(0, 40)")
    before = await position(page)
    assert before[0].startswith("<a ")
    figure = page.locator("#numbers .figure").first
    said = await figure.inner_text()
    await open_active(api)
    await expect(figure).not_to_have_text(said, timeout=3_000)
    assert await position(page) == before
    oldest = page.locator(".oldest a").nth(1)
    await oldest.focus()
    title = await oldest.get_attribute("href")
    first = await page.locator(".oldest a").first.get_attribute("href")
    assert first
    await api.move(int(first.rsplit("/", 1)[1]), "active", "closed")
    await expect(page.locator(".oldest a").first).to_have_attribute("href", title or "")
    assert await page.evaluate("document.activeElement.getAttribute('href')") == title


@pytest.mark.parametrize("js", [True, False], ids=["js", "no-js"])
async def test_a_question_is_asked_step_by_step(open_page: OpenPage, api: Api, js: bool) -> None:
    await open_active(api)
    page = await open_page("helpdesk", "/analytics/unclosed", java_script_enabled=js)
    await page.get_by_role("link", name="24 hours").click()
    await expect(page.get_by_role("link", name="24 hours")).to_have_attribute(
        "aria-current", "true"
    )
    await page.get_by_label("Category").select_option("Technical / IT")
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("#numbers")).to_contain_text("Category: Technical / IT.")
    assert page.url.endswith("/analytics/unclosed?last=24&unit=hours&category=technical_it")
    await page.get_by_role("link", name="Resolution time").click()
    await expect(page.get_by_label("Category")).to_have_value("technical_it")
    await page.get_by_role("link", name="12 months").click()
    await expect(page.locator("#numbers")).to_contain_text("Category: Technical / IT.")
    await page.get_by_label("Since").fill("2026-05")
    await page.get_by_label("Until").fill("2026-04")
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("#until-error")).to_have_text(
        "Until must not be before the first month."
    )
    await page.get_by_label("Until").fill("")
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("#numbers table")).to_be_visible()
    assert page.url.endswith("since=2026-05&until=&category=technical_it")
    await page.get_by_role("link", name="All", exact=True).click()
    await expect(page.get_by_label("Since")).to_have_value("2026-05")
    await expect(page.locator("svg.chart")).to_have_count(4)


async def test_a_bar_is_a_link_for_the_pointer_only(open_page: OpenPage, api: Api) -> None:
    await open_active(api)
    page = await open_page("helpdesk", UNCLOSED)
    bars = page.locator("svg.chart a")
    assert await bars.count() > 1
    for bar in await bars.all():
        assert await bar.get_attribute("tabindex") == "-1"
    await page.locator("svg.chart .active a rect").first.click()
    await expect(page.locator("#rows li").first).to_be_visible()
    await expect(page.get_by_text("Show any age")).to_be_visible()


@pytest.mark.parametrize("viewport", [PHONE, {"width": 1280, "height": 800}])
async def test_what_can_be_pressed_is_large_enough(
    open_page: OpenPage, api: Api, viewport: Any
) -> None:
    await open_active(api)
    page = await open_page("helpdesk", "/", viewport=viewport)
    for path in (UNCLOSED, "/analytics/resolution", "/analytics/active"):
        await page.goto(path)
        small = await page.evaluate(
            """px => [...document.querySelectorAll(
                "main :is(nav, td, .oldest, .downloads) a, main :is(button, input, select)"
            )].filter((link) => {
                const { width, height } = link.getBoundingClientRect();
                return width < px || height < px;
            }).map((link) => link.outerHTML)""",
            TARGET_PX,
        )
        assert not small, path


async def test_paper_has_everything_and_nothing_to_press(open_page: OpenPage, api: Api) -> None:
    await open_active(api)
    page = await open_page("helpdesk", "/analytics/all?last=90&unit=days", color_scheme="dark")
    await page.emulate_media(media="print", color_scheme="dark")
    await page.set_viewport_size({"width": 718, "height": 1_000})  # A4 between its margins
    cut = await page.evaluate(
        """() => [...document.querySelectorAll("main *")].filter((part) =>
            !part.closest("svg, .hidden") && getComputedStyle(part).overflow !== "visible"
            && (part.scrollHeight > part.clientHeight || part.scrollWidth > part.clientWidth)
        ).map((part) => part.outerHTML.slice(0, 80))"""
    )
    assert not cut
    assert await page.evaluate("document.documentElement.scrollWidth") <= 718
    for pressed in ("button", "input", "select", "nav a", ".downloads a"):
        for part in await page.locator(pressed).all():
            await expect(part).to_be_hidden()
    breaks = await page.evaluate(
        "[...document.querySelectorAll('.numbers')].map((r) => getComputedStyle(r).breakBefore)"
    )
    assert breaks == ["auto", "page", "page"]
    assert len(await page.pdf(format="A4")) > 10_000
