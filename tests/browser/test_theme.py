"""Light or dark: as the system is, or as the reader chose, and what is printed is light."""

import re

import pytest
from playwright.async_api import Page, Route, expect

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


CONTRAST = """([selector, property, around]) => {
  const luminance = (element, property) => {
    const [r, g, b] = getComputedStyle(element)[property].match(/[\\d.]+/g).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [dark, light] = [
    luminance(document.querySelector(selector), property),
    luminance(document.querySelector(around), "backgroundColor"),
  ].sort((one, other) => one - other);
  return (light + 0.05) / (dark + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_browser_without_light_dark_shows_readable_pages(
    open_page: OpenPage, api: Api, scheme: str
) -> None:
    ticket = await api.open("An old browser")

    async def drop(route: Route) -> None:
        style = await (await route.fetch()).text()
        style = re.sub(r"[^{};]*light-dark\([^;}]*", "", style)
        await route.fulfill(body=style, content_type="text/css")

    page = await open_page("helpdesk", "about:blank", color_scheme=scheme)
    await page.route("**/*.css", drop)
    for path in ("/tickets", f"/tickets/{ticket.id}"):
        await page.goto(path)
        assert await is_dark(page) is (scheme == "dark")
        for what, least in (
            ((".brand", "color", "header.site"), 4.5),
            (("h1", "color", "body"), 4.5),
            ((".crumb, .help", "color", "body"), 4.5),
            (("button.primary", "color", "button.primary"), 4.5),
            ((".badges .status, #rows .status", "color", ".badges .status, #rows .status"), 4.5),
            (("textarea", "borderTopColor", "textarea"), 3),
            (("textarea", "color", "textarea"), 4.5),
        ):
            assert await page.evaluate(CONTRAST, what) >= least, (path, what)
