"""What is being typed is still there after a reload, a crash or a failed send; gone once sent."""

import asyncio
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import Error, Page, async_playwright, expect

from tests.browser.conftest import DESK, OpenPage
from tests.conftest import Stack
from tests.web.conftest import Api

BOX = "Describe the problem"
DAY_MS = 24 * 3_600_000


async def drafts(page: Page) -> list[str]:
    names = await page.evaluate("Object.keys(localStorage).filter(n => n.startsWith('draft-'))")
    return sorted(names)


async def keeps(page: Page, names: list[str]) -> None:
    """Wait until these are the drafts; a page may show what was sent before its answer is there."""
    async with asyncio.timeout(5):
        while await drafts(page) != names:
            await asyncio.sleep(0.02)


async def test_a_draft_survives_a_reload_and_stays_one_ticket(
    open_page: OpenPage, api: Api
) -> None:
    page = await open_page("user")
    text = f"Draft {uuid4().hex}"
    await page.get_by_label("Describe the problem").press_sequentially(text)
    await page.reload()
    await expect(page.get_by_label("Describe the problem")).to_have_value(text)
    # The answer to the first try is lost on its way back.
    await page.route(
        re.compile(r"/tickets\?report$"), lambda route: route.abort("connectionreset"), times=1
    )
    await page.get_by_role("button", name="Report problem").click()
    await expect(page.get_by_role("alert")).to_contain_text("Your text is still here")
    await expect(page.get_by_label("Describe the problem")).to_have_value(text)
    await page.get_by_role("button", name="Report problem").click()
    await page.wait_for_url(re.compile(r"/tickets/\d+$"))
    assert len(await api.find(text)) == 1
    await page.goto("/tickets")
    await expect(page.get_by_label("Describe the problem")).to_have_value("")


async def test_each_ticket_keeps_its_own_message(open_page: OpenPage, api: Api) -> None:
    tickets = [await api.open(f"Ticket {n}") for n in range(2)]
    page = await open_page("helpdesk", f"/tickets/{tickets[0].id}")
    for ticket in tickets:
        await page.goto(f"/tickets/{ticket.id}")
        await page.get_by_label("Message").press_sequentially(f"For {ticket.id}")
    for ticket in tickets:
        await page.goto(f"/tickets/{ticket.id}")
        await expect(page.get_by_label("Message")).to_have_value(f"For {ticket.id}")
        await expect(page.locator("#reply .draft")).to_be_visible()
    await page.get_by_role("button", name="Send message").click()
    await expect(page.locator("#thread")).to_contain_text(f"For {tickets[1].id}")
    await expect(page.locator("#reply .draft")).to_be_hidden()
    await keeps(page, [f"draft-message-{tickets[0].id}"])
    await page.reload()
    await expect(page.get_by_label("Message")).to_have_value("")


async def test_a_draft_of_the_description_still_finds_the_conflict(
    open_page: OpenPage, api: Api
) -> None:
    ticket = await api.open("Original")
    page = await open_page("user", f"/tickets/{ticket.id}")
    await page.get_by_text("Edit description").click()
    await page.get_by_label(BOX).fill("Mine")
    await page.goto("/tickets")
    await api.edit(ticket, description="Theirs")
    await page.goto(f"/tickets/{ticket.id}")
    await expect(page.get_by_label(BOX)).to_have_value("Mine")
    await expect(page.locator("#changed")).to_contain_text("by Helpdesk while you write")
    await page.get_by_role("button", name="Save description").click()
    await expect(page.locator(".theirs mark")).to_have_text("Theirs")
    await expect(page.locator("#changed")).to_be_hidden()
    await page.get_by_role("button", name="Save description").click()
    await expect(page.locator("#description")).to_have_text("Mine")
    await keeps(page, [])
    assert (await api.fetch(ticket.id)).description == "Mine"


async def test_a_draft_can_be_discarded(open_page: OpenPage, api: Api) -> None:
    ticket = await api.open("Saved text")
    page = await open_page("user", f"/tickets/{ticket.id}")
    await page.get_by_text("Edit description").click()
    await page.get_by_label(BOX).fill("Not worth it")
    await page.reload()
    await page.get_by_role("button", name="Discard it").click()
    await expect(page.get_by_label(BOX)).to_have_value("Saved text")
    await expect(page.get_by_label(BOX)).to_be_focused()
    await keeps(page, [])
    await page.reload()
    await expect(page.get_by_label(BOX)).to_be_hidden()


async def test_a_box_with_text_is_not_overwritten_by_another_window(
    open_page: OpenPage, api: Api
) -> None:
    one = await open_page("user")
    await one.get_by_label(BOX).press_sequentially("In one window")
    other = await one.context.new_page()
    await other.goto("/tickets")
    await expect(other.get_by_label(BOX)).to_have_value("In one window")
    await other.get_by_label(BOX).fill(f"In the other {uuid4().hex}")
    await expect(one.get_by_label(BOX)).to_have_value("In one window")
    text = await other.get_by_label(BOX).input_value()
    await one.get_by_role("button", name="Report problem").click()
    await one.wait_for_url(re.compile(r"/tickets/\d+$"))
    # Only what was sent is gone.
    await one.goto("/tickets")
    await expect(one.get_by_label(BOX)).to_have_value(text)


async def test_a_draft_is_gone_when_the_form_went_without_htmx(
    open_page: OpenPage, api: Api
) -> None:
    page = await open_page("user")
    await page.get_by_label(BOX).fill(f"Plain form {uuid4().hex}\nsecond line")
    await page.wait_for_function("localStorage['draft-report']")
    # `submit` on the way down, then the browser itself, as where htmx has not started yet.
    await page.evaluate(
        "addEventListener('submit', event => event.stopImmediatePropagation(), true)"
    )
    await page.get_by_role("button", name="Report problem").click()
    await page.wait_for_url(re.compile(r"/tickets/\d+$"))
    await keeps(page, [])
    await page.get_by_label("Message").fill("Plain message")
    await page.evaluate(
        "addEventListener('submit', event => event.stopImmediatePropagation(), true)"
    )
    await page.get_by_role("button", name="Send message").click()
    await expect(page.locator("#thread")).to_contain_text("Plain message")
    await keeps(page, [])


async def test_a_hinted_ticket_is_opened_without_losing_the_draft(
    open_page: OpenPage, api: Api
) -> None:
    text = f"The tap in room {uuid4().hex[:8]} drips"
    ticket = await api.open(text, category="facility_management")
    await api.known(ticket)
    page = await open_page("user")
    await page.get_by_label(BOX).press_sequentially(text)
    await page.locator(f'#hints a[href="/tickets/{ticket.id}"]').click()
    await page.wait_for_url(f"**/tickets/{ticket.id}")
    await page.goto("/tickets")
    await expect(page.get_by_label(BOX)).to_have_value(text)
    # Having the same problem is all that there was to say.
    await page.get_by_label(BOX).press_sequentially(".")
    await page.get_by_role("button", name=f"I have this too: #{ticket.id}").click()
    await page.wait_for_url(f"**/tickets/{ticket.id}")
    await expect(page.get_by_role("status")).to_contain_text("counted that you have this too")
    await keeps(page, [])
    assert (await api.fetch(ticket.id)).affected == 1


async def test_old_drafts_and_all_above_fifty_are_thrown_away(open_page: OpenPage) -> None:
    page = await open_page("user")
    await page.evaluate(
        """day => {
          const keep = (name, age) => localStorage.setItem(
            `draft-message-${name}`,
            JSON.stringify({ text: "x", at: Date.now() - age, fields: {} }));
          for (let n = 0; n < 60; n++) keep(n, n * 1000);
          keep("old", 31 * day);
          localStorage.setItem("draft-report", "no JSON");
        }""",
        DAY_MS,
    )
    await page.reload()
    assert await drafts(page) == sorted(f"draft-message-{n}" for n in range(50))


@asynccontextmanager
async def lasting_browser(stack: Stack, folder: Path) -> AsyncIterator[Page]:
    """Open a browser that keeps what it knows in `folder`; it may end however it likes."""
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            folder,
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            args=["--no-sandbox"],
            base_url=stack["WEB_URL"],
            viewport=DESK,  # type: ignore[arg-type]
        )
        cookie: Any = {"name": "role", "value": "user", "url": stack["WEB_URL"]}
        await context.add_cookies([cookie])
        yield context.pages[0]
        with suppress(Error):  # it was killed
            await context.close()


def processes_of(folder: Path) -> list[int]:
    """Return the browser's main process, known by the folder that only this test has."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = place.read_bytes()
        except OSError:
            continue
        if f"--user-data-dir={folder}".encode() in command and b"--type=" not in command:
            found.append(int(place.parent.name))
    return found


@pytest.mark.timeout(90)
async def test_a_draft_survives_a_browser_that_is_killed(
    stack: Stack, api: Api, tmp_path: Path
) -> None:
    text = f"Killed {uuid4().hex}"
    async with lasting_browser(stack, tmp_path) as page:
        await page.goto("/tickets")
        await page.get_by_label(BOX).press_sequentially(text)
        key = await page.locator("#report [name=key]").input_value()
        # Browsers write to the disk some seconds later.
        async with asyncio.timeout(30):
            while not any(
                text.encode() in file.read_bytes()
                for file in tmp_path.glob("Default/Local Storage/leveldb/*.log")
            ):
                await asyncio.sleep(0.1)
        [process] = processes_of(tmp_path)
        os.kill(process, signal.SIGKILL)
        async with asyncio.timeout(30):
            while processes_of(tmp_path):
                await asyncio.sleep(0.05)
    async with lasting_browser(stack, tmp_path) as page:
        await page.goto("/tickets")
        await expect(page.get_by_label(BOX)).to_have_value(text)
        assert await page.locator("#report [name=key]").input_value() == key
        await page.get_by_role("button", name="Report problem").click()
        await page.wait_for_url(re.compile(r"/tickets/\d+$"))
    assert len(await api.find(text)) == 1
