"""Browsers put back what was typed, and whole pages: nothing is sent twice, lost or untrue by it.

In Firefox, which restores most: the forms of a page that is loaded again, and pages of "back".
"""

from uuid import uuid4

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.firefox import BACK, FORWARD, Person, Tab
from tests.web.conftest import Api

BOTH = pytest.mark.parametrize("js", [True, False], ids=["js", "no-js"])


async def open_editor(tab: Tab) -> None:
    await tab.run("document.getElementById('editor').open = true")


@BOTH
async def test_f5_in_an_edit_hides_nobody_elses_text(person: Person, api: Api, js: bool) -> None:
    ticket = await api.open("Original")
    await person.become("user")
    tab = await person.open(f"/tickets/{ticket.id}", js=js)
    await open_editor(tab)
    await tab.type("#editor-text", "Mine")
    await api.edit(await api.fetch(ticket.id), description="Theirs")
    await tab.reload()
    await open_editor(tab)
    if js:
        await tab.until("document.getElementById('editor-text').value === 'Mine'")
        await tab.click("#editor-button")
        await tab.until("document.querySelector('.theirs')?.innerText.includes('Theirs')")
        assert await tab.value("#editor-text") == "Mine"
    else:
        assert await tab.value("#editor-text") == "Theirs"
        await tab.click("#editor-button")
        await tab.until("document.getElementById('said').innerText.includes('saved')")
    assert (await api.fetch(ticket.id)).description == "Theirs"


async def test_an_unsaved_edit_is_still_there_after_f5_without_scripts(
    person: Person, api: Api
) -> None:
    ticket = await api.open("Original")
    await person.become("user")
    tab = await person.open(f"/tickets/{ticket.id}", js=False)
    await open_editor(tab)
    await tab.type("#editor-text", "Mine")
    await tab.reload()
    assert await tab.value("#editor-text") == "Mine"
    # With every further F5 too.
    await tab.reload()
    await open_editor(tab)
    await tab.click("#editor-button")
    await tab.until("document.getElementById('description').textContent === 'Mine'")


async def test_a_page_that_comes_back_shows_what_it_showed(person: Person, api: Api) -> None:
    ticket = await api.open("Came back")
    await person.become("helpdesk")
    tab = await person.open("/tickets")
    await tab.go(f"/tickets/{ticket.id}")
    for n in range(3):
        await api.say(ticket.id, f"Message {n}", "user")
    await tab.until("document.getElementById('thread').innerText.includes('Message 2')")
    await tab.travel(BACK, "/tickets")
    await tab.travel(FORWARD, f"/tickets/{ticket.id}")
    # The browser has kept the page as it came, without them.
    await tab.until("document.getElementById('thread').innerText.includes('Message 2')")


@BOTH
async def test_a_sent_message_is_not_in_its_box_again(person: Person, api: Api, js: bool) -> None:
    ticket = await api.open("Once")
    await person.become("user")
    tab = await person.open(f"/tickets/{ticket.id}", js=js)
    await tab.type("#reply-text", "only once")
    await tab.click("#reply-button")
    await tab.until("document.getElementById('thread').innerText.includes('only once')")
    for _ in range(2):
        await tab.reload()
        assert await tab.value("#reply-text") == ""
        await tab.click("#reply-button")
    assert (await api.fetch(ticket.id)).messages == 1


@BOTH
async def test_a_sent_report_is_not_in_its_box_again(person: Person, api: Api, js: bool) -> None:
    text = f"Once {uuid4().hex}"
    await person.become("user")
    tab = await person.open("/tickets", js=js)
    await tab.type("#report-text", text)
    await tab.click("#report-button")
    await tab.until("/\\d$/.test(location.pathname)")
    place = await tab.run("location.pathname")
    await tab.travel(BACK, "/tickets")
    if await tab.value("#report-text"):
        # The very page that was left: sending it again is the same report.
        await tab.click("#report-button")
        await tab.until(f"location.pathname === {place!r}")
        await tab.travel(BACK, "/tickets")
    await tab.reload()
    assert await tab.value("#report-text") == ""
    assert len(await api.find(text)) == 1


@BOTH
@pytest.mark.parametrize(
    ("path", "field", "value", "shown"),
    [
        ("/tickets", "#status", "closed", ""),
        ("/analytics/unclosed?last=7&unit=days", "#unit", "hours", "days"),
    ],
    ids=["list", "report"],
)
async def test_a_choice_says_what_the_page_shows(
    person: Person, js: bool, path: str, field: str, value: str, shown: str
) -> None:
    await person.become("helpdesk")
    tab = await person.open(path, js=js)
    page = path.partition("?")[0]
    # Chosen, and not asked for.
    await tab.choose(field, value)
    await tab.reload()
    assert await tab.value(field) == shown
    await tab.choose(field, value)
    await tab.run("document.querySelector('form[method=get]').submit()")
    await tab.until(f"location.search.includes('={value}')")
    assert await tab.value(field) == value
    await tab.travel(BACK, page)
    await tab.until(f"!location.search.includes('={value}')")
    if js or page != "/tickets":  # without scripts the list comes back as it was left
        assert await tab.value(field) == shown
    await tab.reload()
    assert await tab.value(field) == shown
    await tab.travel(FORWARD, page)
    await tab.until(f"location.search.includes('={value}')")
    assert await tab.value(field) == value


@pytest.mark.parametrize("path", ["/tickets/{id}", "/analytics", "/replies", "/classifier"])
async def test_a_page_that_comes_back_knows_who_reads_it(
    person: Person, api: Api, path: str
) -> None:
    ticket = await api.open("Who am I")
    place = path.format(id=ticket.id)
    await person.become("helpdesk")
    tab = await person.open(place)
    await tab.click("form.role button")
    await tab.until("location.pathname === '/'")
    await tab.click("[value=user]")
    await tab.until("location.pathname === '/tickets'")
    await tab.travel(BACK, "/")
    await tab.travel(BACK, place)
    await tab.until("document.querySelector('form.role b').innerText === 'User'")


async def test_a_tab_to_which_somebody_turns_knows_who_reads_it(person: Person, api: Api) -> None:
    ticket = await api.open("Two tabs")
    await person.become("helpdesk")
    tab = await person.open(f"/tickets/{ticket.id}")
    await tab.type("#reply-text", "As a draft")
    other = await person.open("/tickets")
    await person.become("user")
    await other.reload()
    await tab.show()
    await tab.until("document.querySelector('form.role b').innerText === 'User'")
    await tab.until("document.getElementById('reply-text').value === 'As a draft'")
    await tab.click("#reply-button")
    await tab.until("document.querySelector('#thread .user')")


@BOTH
async def test_nothing_is_sent_from_the_page_of_another_role(
    person: Person, api: Api, js: bool
) -> None:
    ticket = await api.open("Two windows")
    await person.become("helpdesk")
    tab = await person.open(f"/tickets/{ticket.id}", js=js)
    await tab.type("#reply-text", "As whom?")
    await person.become("user")
    await tab.click("#reply-button")
    await tab.until("document.body.innerText.includes('You are User now')")
    assert (await api.fetch(ticket.id)).messages == 0
    if js:
        await tab.reload()
    await tab.until("document.querySelector('form.role b').innerText === 'User'")
    await tab.until("document.querySelector('[name=text]:not(#editor-text)').value === 'As whom?'")
    await tab.click("[name=text]:not(#editor-text) ~ .primary")
    await tab.until("document.querySelector('#thread .user')")


async def test_chromium_puts_a_text_back_only_where_it_was_typed(
    open_page: OpenPage, api: Api
) -> None:
    ticket = await api.open("Original")
    page = await open_page("user", f"/tickets/{ticket.id}", java_script_enabled=False)
    session = await page.context.new_cdp_session(page)
    box = page.locator("#editor-text")
    for theirs in (None, "Theirs"):
        await page.get_by_text("Edit description").click()
        await box.fill("Mine")
        await page.goto("/tickets")
        if theirs:
            await api.edit(await api.fetch(ticket.id), description=theirs)
        await session.send("Network.clearBrowserCache")
        await page.go_back()
        await expect(box).to_have_value(theirs or "Mine")
