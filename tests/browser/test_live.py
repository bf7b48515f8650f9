"""What one person does appears on the other's screen by itself, and disturbs nobody."""

import asyncio
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.cable import Cable
from tests.conftest import Stack
from tests.web.conftest import Api

SOON_MS = 1_500


async def caret(page: Page, box: str) -> object:
    return await page.evaluate(
        """() => {
            const box = document.activeElement;
            return [box.id, box.value, box.selectionStart, box.selectionEnd];
        }"""
    )


async def test_a_ticket_page_follows(open_page: OpenPage, api: Api) -> None:
    ticket = await api.open("Two windows")
    user = await open_page("user", f"/tickets/{ticket.id}")
    helpdesk = await open_page("helpdesk", f"/tickets/{ticket.id}")
    await helpdesk.get_by_role("button", name="Start work").click()
    await expect(user.locator("#head .status")).to_have_text("Active", timeout=SOON_MS)
    await user.get_by_label("Message").fill("Thank you")
    await user.get_by_role("button", name="Send message").click()
    await expect(helpdesk.locator("#thread")).to_contain_text("Thank you", timeout=SOON_MS)
    await expect(helpdesk.get_by_role("status")).to_contain_text("User sent a message")
    await helpdesk.get_by_role("button", name="Close ticket").click()
    await expect(user.locator("#head")).to_contain_text("is closed", timeout=SOON_MS)


async def test_what_a_page_did_itself_is_not_said_again(open_page: OpenPage, api: Api) -> None:
    ticket = await api.open("One window")
    page = await open_page("helpdesk", f"/tickets/{ticket.id}")
    await page.get_by_role("button", name="Start work").click()
    await expect(page.get_by_role("status")).to_have_text("Work has started.")
    # The next one is certain to come after the page's own.
    other = await open_page("helpdesk", f"/tickets/{ticket.id}")
    await expect(page.get_by_role("status")).to_have_text("Work has started.")
    await api.say(ticket.id, "hello")
    await expect(other.locator("#thread")).to_contain_text("hello", timeout=SOON_MS)


async def test_a_text_with_any_line_end_arrives_whole(open_page: OpenPage, api: Api) -> None:
    ticket = await api.open("Pasted from elsewhere")
    listed = await open_page("helpdesk")
    page = await open_page("helpdesk", f"/tickets/{ticket.id}")
    text = "First\u2028second\u2029third\nlast"
    await api.edit(ticket, description=text)
    await expect(page.get_by_role("heading", level=1)).to_contain_text("third")
    assert await page.locator("#editor-text").input_value() == text
    row = listed.locator(f"#t{ticket.id}")
    await expect(row.get_by_role("link").first).to_contain_text("third")
    await api.say(ticket.id, text)
    await expect(page.locator("#thread .text")).to_have_text(text, use_inner_text=True)


async def test_a_row_changes_in_place(open_page: OpenPage, api: Api) -> None:
    word = uuid4().hex
    first, second = await api.open(f"{word} first"), await api.open(f"{word} second")
    page = await open_page("user", f"/tickets?q={word}")
    row = page.locator(f"#t{first.id}")
    before = await row.bounding_box()
    await row.get_by_role("link").focus()
    await api.move(first.id, "active")
    await expect(row).to_contain_text("Active", timeout=SOON_MS)
    await api.edit(await api.fetch(first.id), category="services_complaints")
    await expect(row).to_contain_text("Services & complaints", timeout=SOON_MS)
    await api.say(first.id, "hello")
    await expect(row).to_contain_text("1 message", timeout=SOON_MS)
    await expect(row.get_by_role("link")).to_be_focused()
    assert await row.bounding_box() == before
    await api.move(first.id, "closed")
    await expect(row).to_contain_text("Closed", timeout=SOON_MS)
    await expect(row).not_to_contain_text(word)
    await expect(page.locator("#rows li")).to_have_count(2)
    await expect(page.get_by_role("status")).to_be_empty()
    assert second.id > first.id


async def test_the_counts_follow(open_page: OpenPage, api: Api) -> None:
    page = await open_page("user")
    count = page.locator("#count-active")
    before = int((await count.inner_text()).replace(",", ""))
    ticket = await api.open("Counted")
    await api.move(ticket.id, "active")
    await expect(count).to_have_text(f"{before + 1:,}", timeout=SOON_MS)


async def test_the_list_says_what_is_new_and_moves_nothing(open_page: OpenPage, api: Api) -> None:
    word = uuid4().hex
    await api.open(f"{word} known")
    page = await open_page("helpdesk", f"/tickets?q={word}&category=technical_it")
    news = page.locator("#news")
    await expect(news).to_have_text("Refresh")
    await api.open(f"{word} of another category", category="facility_management")
    await api.open("Another word")
    await api.open(f"{word} fresh")
    await expect(news).to_have_text("1 new – show", timeout=SOON_MS)
    await expect(page.get_by_role("status")).to_have_text("There are new tickets.")
    await api.open(f"{word} fresh too")
    await expect(news).to_have_text("2 new – show", timeout=SOON_MS)
    await expect(page.locator("#rows li")).to_have_count(1)
    await news.click()
    await expect(page.locator("#rows li")).to_have_count(3)
    await expect(news).to_have_text("Refresh")
    await expect(news).to_be_focused()
    await api.open(f"{word} fresh again")
    await expect(news).to_have_text("1 new – show", timeout=SOON_MS)


async def test_a_ticket_that_was_closed_is_no_news_to_users(open_page: OpenPage, api: Api) -> None:
    category = "services_complaints"
    page = await open_page("user", f"/tickets?status=all&category={category}")
    news = page.locator("#news")
    await expect(news).to_have_text("Refresh")
    ticket = await api.open("Closed soon", category=category)
    await expect(news).to_have_text("1 new – show", timeout=SOON_MS)
    await api.move(ticket.id, "active", "closed")
    await api.open("Fresh", category=category)
    await api.open("Fresh too", category=category)
    await expect(news).to_have_text("2 new – show", timeout=SOON_MS)
    await api.open("Fresh three", category=category)
    await expect(news).to_have_text("3 new – show", timeout=SOON_MS)


async def test_a_late_category_appears(open_page: OpenPage, api: Api) -> None:
    ticket = await api.open("The projector in room B204 shows no picture", category=None)
    page = await open_page("user", f"/tickets/{ticket.id}")
    await expect(page.locator("#head .category")).to_have_text("Technical / IT")


async def test_boxes_that_are_typed_in_are_left_alone(open_page: OpenPage, api: Api) -> None:
    ticket = await api.open("As it was")
    page = await open_page("helpdesk", f"/tickets/{ticket.id}")
    await page.get_by_label("Message").fill("half a sentence")
    await page.locator("#history summary").first.click()
    await page.locator("#editor-summary").click()
    box = page.locator("#editor-text")
    await box.fill("I am typing")
    await box.press("ArrowLeft")
    before = await caret(page, "editor-text")
    await api.say(ticket.id, "hello")
    await expect(page.locator("#thread")).to_contain_text("hello", timeout=SOON_MS)
    await api.edit(await api.fetch(ticket.id), description="Changed by another")
    await expect(page.locator("#description")).to_have_text("Changed by another", timeout=SOON_MS)
    assert await caret(page, "editor-text") == before
    await expect(page.get_by_label("Message")).to_have_value("half a sentence")
    await expect(page.locator("#history")).to_have_attribute("open", "")


@pytest.mark.parametrize("analysis", ["unclosed", "resolution", "active"])
async def test_a_report_follows_and_its_form_is_left_alone(
    open_page: OpenPage, api: Api, analysis: str
) -> None:
    ticket = await api.open("Reported")
    await api.move(ticket.id, "active")
    page = await open_page("helpdesk", f"/analytics/{analysis}")
    before = await page.locator("#numbers table").first.inner_text()
    if analysis == "unclosed":
        await page.get_by_label("Last").fill("12")
    await api.move((await api.open("One more")).id, "active")
    await api.move(ticket.id, "closed")
    await api.move((await api.open("And one more")).id, "active")
    await expect(page.locator("#numbers table").first).not_to_have_text(before, timeout=3_000)
    if analysis == "unclosed":
        await expect(page.get_by_label("Last")).to_have_value("12")
        await expect(page.get_by_label("Last")).to_be_focused()
        await page.get_by_role("button", name="Show").click()
        await expect(page.locator("#stream[data-stream*='last=12']")).to_have_count(1)
        table = page.locator("#numbers .figure").first
        before = await table.inner_text()
        await api.open("Counted in the other period")
        await expect(table).not_to_have_text(before, timeout=3_000)


async def test_a_cut_connection_is_shown_and_resumed_with_nothing_missed(
    open_page: OpenPage, api: Api, stack: Stack
) -> None:
    word = uuid4().hex
    ticket = await api.open(f"{word} cut off")
    async with Cable(stack["WEB_URL"]) as cable:
        listed = await open_page("user", f"{cable.url}/tickets?q={word}")
        page = await open_page("helpdesk", f"{cable.url}/tickets/{ticket.id}")
        await cable.cut()
        for each in (listed, page):
            await expect(each.get_by_text("Not live at the moment")).to_be_visible()
        await api.say(ticket.id, "said while offline")
        await api.move(ticket.id, "active")
        await cable.mend()
        await expect(page.locator("#thread")).to_contain_text("said while offline", timeout=10_000)
        await expect(listed.locator(f"#t{ticket.id}")).to_contain_text("Active", timeout=10_000)
        for each in (listed, page):
            await expect(each.get_by_text("Not live at the moment")).to_be_hidden()
        await expect(listed.locator("#news")).to_have_text("Refresh")


async def test_a_browser_that_is_offline_is_told_so(open_page: OpenPage) -> None:
    page = await open_page("user", f"/tickets?q={uuid4().hex}")
    await expect(page.get_by_text("Not live at the moment")).to_be_hidden()
    await page.evaluate("dispatchEvent(new Event('offline'))")
    await expect(page.get_by_text("Not live at the moment")).to_be_visible()
    await page.evaluate("dispatchEvent(new Event('online'))")
    await expect(page.get_by_text("Not live at the moment")).to_be_hidden()


async def test_after_a_restart_a_list_offers_to_look_and_a_ticket_is_current(
    open_page: OpenPage, api: Api, stack: Stack
) -> None:
    ticket = await api.open("Restarted")
    listed = await open_page("user")
    page = await open_page("helpdesk", f"/tickets/{ticket.id}")
    await asyncio.to_thread(stack.stop, "web")
    for each in (listed, page):
        await expect(each.get_by_text("Not live at the moment")).to_be_visible()
    await api.say(ticket.id, "said while it was away")
    await asyncio.to_thread(stack.start, "web")
    await expect(listed.locator("#news")).to_have_text(
        "There may be changes – show", timeout=10_000
    )
    await expect(page.locator("#thread")).to_contain_text("said while it was away", timeout=10_000)


async def test_a_page_says_how_fresh_it_is(open_page: OpenPage, api: Api) -> None:
    page = await open_page("user")
    before = await page.locator("#freshness").inner_text()
    assert before.startswith("As of ")
    await expect(page.get_by_text("Not live at the moment")).to_be_hidden()
    async with asyncio.timeout(5):
        while await page.locator("#freshness").inner_text() == before:
            await api.open("Any")


async def test_typing_is_seen_in_the_other_window_only(open_page: OpenPage, api: Api) -> None:
    ticket = await api.open("Two people")
    user = await open_page("user", f"/tickets/{ticket.id}")
    helpdesk = await open_page("helpdesk", f"/tickets/{ticket.id}")
    await helpdesk.get_by_label("Message").press_sequentially("Hel")
    await expect(user.locator("#presence")).to_have_text("Helpdesk is typing…")
    await expect(helpdesk.locator("#presence")).to_be_empty()
    await expect(user.locator("#presence")).to_be_empty(timeout=10_000)


async def test_a_stream_that_is_refused_at_first_is_asked_for_again(open_page: OpenPage) -> None:
    page = await open_page("user")
    await page.route(
        "**/live?*", lambda route: route.fulfill(status=503, body="<p>Busy</p>"), times=1
    )
    await page.reload()
    await expect(page.get_by_text("Not live at the moment")).to_be_visible()
    await expect(page.get_by_role("alert")).to_be_empty()
    await expect(page.get_by_text("Not live at the moment")).to_be_hidden(timeout=10_000)


async def test_earlier_messages_come_in_above_and_stay_whatever_comes(
    open_page: OpenPage, api: Api
) -> None:
    ticket = await api.open("Long")
    for n in range(60):
        await api.say(ticket.id, f"message {n}")
    page = await open_page("helpdesk", f"/tickets/{ticket.id}")
    messages = page.locator("#thread .message")
    await expect(messages).to_have_count(50)
    await page.get_by_role("link", name="Earlier messages").click()
    await expect(messages).to_have_count(60)
    # No link is left that could take the focus: reading goes on where they begin.
    await expect(messages.first).to_be_focused()
    await api.say(ticket.id, "comes by the stream")
    await expect(messages).to_have_count(61, timeout=SOON_MS)
    await page.get_by_label("Message").fill("comes by the form")
    await page.get_by_role("button", name="Send message").click()
    await expect(messages).to_have_count(62)
    await expect(messages.first).not_to_be_focused()
    await page.get_by_role("button", name="Start work").click()
    await expect(page.locator("#head .status")).to_have_text("Active")
    await expect(messages.first).not_to_be_focused()
    ids = await messages.evaluate_all("all => all.map((m) => Number(m.id.slice(1)))")
    assert ids == sorted(set(ids))
    assert len(ids) == 62
    await page.goto(f"/tickets/{ticket.id}#m{ids[0]}")
    await page.reload()
    await expect(page.locator(f"#m{ids[0]}")).to_be_in_viewport()


async def test_a_page_that_missed_too_much_loads_itself(
    open_page: OpenPage, api: Api, stack: Stack
) -> None:
    ticket = await api.open("Missed")
    async with Cable(stack["WEB_URL"]) as cable:
        page = await open_page("user", f"{cable.url}/tickets/{ticket.id}")
        await cable.cut()
        for n in range(55):
            await api.say(ticket.id, f"message {n}")
        await cable.mend()
        await expect(page.locator("#thread .message")).to_have_count(50, timeout=15_000)
        await expect(page.get_by_text("Not live at the moment")).to_be_hidden()
        await api.say(ticket.id, "live again")
        await expect(page.locator("#thread")).to_contain_text("live again", timeout=SOON_MS)
