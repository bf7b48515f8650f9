"""Who sent too much loses no text and is not made to press twice: pages wait as they are told."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Protocol
from uuid import uuid4

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from playwright.async_api import Page, Request, Route, expect

from runtime.limits import Rate
from tests.browser.conftest import OpenPage
from tests.conftest import Stack
from tests.runtime.test_limits import Clock
from tests.web.conftest import Api
from web.app import build_app
from web.limits import Limits
from web.settings import Kind, read_settings

MINUTE_MS = 60_000
MANY = Rate(1_000, 1_000)
# One, and the next in a minute.
ONE = (Rate(1, 1), MANY)
SENTENCE = "Please try again in 60 seconds."
BOX = "Describe the problem"


class Campus(Protocol):
    async def __call__(self, limits: Mapping[str, tuple[Rate, ...]]) -> str: ...


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture(loop_scope="session")
async def campus(
    stack: Stack, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Campus]:
    """Return a starter of pages with limits and the test's clock; it returns their address."""
    monkeypatch.setattr("web.app.Limits", partial(Limits, clock=clock))
    settings = read_settings(stack.names.of_service("web"))
    async with AsyncExitStack() as exits:

        async def start(limits: Mapping[str, tuple[Rate, ...]]) -> str:
            server = TestServer(build_app(replace(settings, limits=limits)))
            await exits.enter_async_context(server)
            return str(server.make_url("")).rstrip("/")

        yield start


async def enter(open_page: OpenPage, address: str, path: str = "/tickets", **options: bool) -> Page:
    """Open a page of that address as a user, whose time a test can set on."""
    page = await open_page(None, "about:blank", **options)
    await page.context.add_cookies([{"name": "role", "value": "user", "url": address}])
    if not options:
        await page.clock.install()
    await page.goto(address + path)
    return page


def requests_to(page: Page, path: str) -> list[Request]:
    """Return the list into which requests to a path come."""
    seen: list[Request] = []
    page.on("request", lambda request: seen.append(request) if path in request.url else None)
    return seen


@pytest.mark.parametrize("javascript", [True, False])
async def test_a_report_that_came_too_soon_is_kept_and_sent_after_the_wait(
    open_page: OpenPage, api: Api, campus: Campus, clock: Clock, javascript: bool
) -> None:
    address = await campus({Kind.REPORT: ONE})
    options = {} if javascript else {"java_script_enabled": False}
    page = await enter(open_page, address, **options)
    word = f"w{uuid4().hex}"
    box, button = page.get_by_label(BOX), page.get_by_role("button", name="Report problem")
    await box.fill(f"{word} first")
    await button.click()
    await expect(page.locator("#description")).to_have_text(f"{word} first")
    await page.goto(f"{address}/tickets")
    await box.fill(f"{word} second\nwith all that was typed")
    await button.click()
    await expect(page.get_by_text(SENTENCE)).to_be_visible()
    await expect(page.get_by_text("Your text is still here.")).to_be_visible()
    await expect(box).to_have_value(f"{word} second\nwith all that was typed")
    assert len(await api.find(word)) == 1
    clock.now += 60
    await button.click()
    await expect(page.locator("h1")).to_have_text(f"{word} second")
    assert len(await api.find(word)) == 2


async def test_a_search_that_came_too_soon_follows_by_itself_and_asks_once(
    open_page: OpenPage, api: Api, campus: Campus, clock: Clock
) -> None:
    word = f"w{uuid4().hex}"
    await api.open(f"{word} is what is looked for")
    page = await enter(open_page, await campus({Kind.SEARCH: ONE}))
    asked = requests_to(page, "/tickets?q=")
    box = page.get_by_label("Search")
    await box.fill("nothing of the kind")
    await expect(page.get_by_text("No ticket matches.")).to_be_visible()
    await box.fill(word[:8])
    await expect(page.get_by_role("alert")).to_contain_text(SENTENCE)
    await expect(page.get_by_text("No ticket matches.")).to_be_visible()
    before = len(asked)
    for letters in (9, 12, 20, len(word)):
        await box.fill(word[:letters])
        await page.clock.run_for(1_000)
    await box.press("Enter")
    assert len(asked) == before
    clock.now += 60
    await page.clock.run_for(MINUTE_MS)
    await expect(page.locator("#rows .row")).to_have_count(1)
    await expect(page.get_by_role("alert")).to_be_empty()
    await expect(box).to_have_value(word)
    assert len(asked) == before + 1


async def test_hints_that_came_too_soon_stay_as_they_are(
    open_page: OpenPage, campus: Campus, clock: Clock
) -> None:
    page = await enter(open_page, await campus({Kind.HINT: ONE}))
    asked = requests_to(page, "/tickets/hints")
    box, hints = page.get_by_label(BOX), page.locator("#hints")
    await box.fill("The lift in building C is stuck")
    await expect(hints).to_contain_text("Facility management")
    before = await hints.inner_text()
    async with page.expect_response(lambda answer: answer.status == 429):
        await box.fill("My password for the wifi does not work")
    for letter in "abc":
        await box.press(letter)
        await page.clock.run_for(1_000)
    assert len(asked) == 2
    assert await hints.inner_text() == before
    await expect(page.get_by_role("alert")).to_be_empty()
    clock.now += 60
    await page.clock.run_for(MINUTE_MS)
    await box.press("d")
    await expect(hints).to_contain_text("Technical / IT")


async def test_typing_is_told_no_more_until_the_wait_is_over(
    open_page: OpenPage, api: Api, campus: Campus, clock: Clock
) -> None:
    ticket = await api.open("Typed about")
    page = await enter(open_page, await campus({Kind.TYPING: ONE}), f"/tickets/{ticket.id}")
    told = requests_to(page, "/typing")
    box = page.get_by_label("Message")

    async def press(letter: str) -> None:
        await page.clock.run_for(4_000)
        await box.press(letter)

    async with page.expect_response(lambda answer: answer.status == 204):
        await press("a")
    async with page.expect_response(lambda answer: answer.status == 429):
        await press("b")
    for letter in "cdef":
        await press(letter)
    assert len(told) == 2
    await expect(page.get_by_role("alert")).to_be_empty()
    clock.now += 60
    await page.clock.run_for(MINUTE_MS)
    async with page.expect_response(lambda answer: answer.status == 204):
        await press("g")
    await expect(box).to_have_value("abcdefg")


# What whoever is in between may say of when to come back, and how long a page waits then.
ANSWERS = [
    (None, 5_000),
    ("Wed, 21 Oct 2099 07:28:00 GMT", 5_000),
    ("0", 5_000),
    ("-7", 5_000),
    ("9", 9_000),
    ("4000000", 600_000),
]
every_answer = pytest.mark.parametrize(("said", "wait_ms"), ANSWERS)


def refusal(said: str | None) -> Callable[[Route], Awaitable[None]]:
    headers = {} if said is None else {"Retry-After": said}

    async def refuse(route: Route) -> None:
        await route.fulfill(status=429, headers=headers, content_type="text/html", body="<p>Slow")

    return refuse


@every_answer
async def test_a_search_that_a_proxy_refuses_follows_after_a_sane_pause(
    open_page: OpenPage, campus: Campus, said: str | None, wait_ms: int
) -> None:
    page = await enter(open_page, await campus({}))
    asked = requests_to(page, "/tickets?q=")
    await page.route("**/tickets?q=*", refusal(said))
    async with page.expect_response(lambda answer: answer.status == 429):
        await page.get_by_label("Search").fill("lift")
        await page.clock.run_for(400)
    await page.clock.run_for(wait_ms - 1_000)
    assert len(asked) == 1
    async with page.expect_response(lambda answer: answer.status == 429):
        await page.clock.run_for(2_000)
    assert len(asked) == 2


@every_answer
async def test_typing_that_a_proxy_refuses_is_told_again_after_a_sane_pause(
    open_page: OpenPage, api: Api, campus: Campus, said: str | None, wait_ms: int
) -> None:
    ticket = await api.open("Typed about")
    page = await enter(open_page, await campus({}), f"/tickets/{ticket.id}")
    told = requests_to(page, "/typing")
    await page.route("**/typing", refusal(said))
    box = page.get_by_label("Message")

    async def press(letter: str) -> None:
        async with page.expect_response(lambda answer: answer.status == 429):
            await box.press(letter)

    await press("a")
    await page.clock.run_for(3_000 + wait_ms - 1_000)
    await box.press("b")
    await page.clock.run_for(2_000)
    await press("c")
    assert len(told) == 2


async def test_what_has_no_id_waits_for_itself_alone(open_page: OpenPage, campus: Campus) -> None:
    page = await enter(open_page, await campus({}))
    await page.get_by_label("Search").focus()
    await page.evaluate(
        """() => {
          const links = ["a", "b"].map((name) => `<a hx-get="/${name}" hx-swap="none">${name}</a>`);
          document.getElementById("main").insertAdjacentHTML("beforeend", links.join(" "));
          htmx.process(document.getElementById("main"));
        }"""
    )
    asked = {name: requests_to(page, f"/{name}") for name in ("a", "b")}
    await page.route("**/a", refusal("60"))
    await page.route("**/b", refusal("60"))
    for name in ("a", "b"):
        async with page.expect_response(f"**/{name}"):
            await page.get_by_text(name, exact=True).click()
    for name in ("a", "b"):
        await page.get_by_text(name, exact=True).click()
    assert {name: len(seen) for name, seen in asked.items()} == {"a": 1, "b": 1}


async def test_similar_tickets_that_came_too_soon_are_left_out_without_an_alert(
    open_page: OpenPage, api: Api, campus: Campus
) -> None:
    tickets = [await api.open(f"The lift in building C is stuck {n}") for n in range(2)]
    address = await campus({Kind.HINT: ONE})
    page = await open_page(None, "about:blank")
    await page.context.add_cookies([{"name": "role", "value": "helpdesk", "url": address}])
    for ticket, status in zip(tickets, (200, 429), strict=True):
        path = f"/tickets/{ticket.id}"
        async with page.expect_response(f"**{path}/similar") as answer:
            await page.goto(address + path)
        assert (await answer.value).status == status
    show = page.get_by_role("link", name="Show them")
    await expect(show).to_be_visible()
    await expect(page.get_by_role("alert")).to_be_empty()
    # Who asks by hand gets an answer.
    await show.click()
    await expect(page.get_by_text(SENTENCE)).to_be_visible()
