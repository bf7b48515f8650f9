"""A long thread or history: the page shows the last of it, and links lead through the rest."""

import re

import pytest

from tests.web.conftest import Api, LongThread, Person

PAGE_MAX_BYTES = 300_000
# Each sign is five bytes in HTML.
HEAVY = "'" * 4_900


def numbers(html: str, kind: str) -> list[int]:
    return [int(n) for n in re.findall(rf'<li id="{kind}(\d+)"', html)]


def link(html: str, name: str) -> str | None:
    found = re.search(rf'id="{name}" href="([^"]+)"', html)
    return found[1] if found else None


async def test_a_long_thread_is_read_back_to_its_beginning_without_scripts(
    user: Person, api: Api, long_thread: LongThread
) -> None:
    ticket = await long_thread(120, "said once")
    ids = [m["id"] for m in (await api.ask("GET", f"/tickets/{ticket.id}/messages"))["items"]]
    address: str | None = f"/tickets/{ticket.id}"
    read: list[int] = []
    pages = 0
    while address:
        seen = await user.see(address)
        assert seen.status == 200
        read[:0] = numbers(seen.html, "m")
        address = link(seen.html, "earlier-messages")
        pages += 1
    assert read == ids
    assert pages == 3


async def test_a_long_history_is_read_back_to_its_beginning_without_scripts(
    helpdesk: Person, long_thread: LongThread
) -> None:
    ticket = await long_thread(50, "said once")
    address: str | None = f"/tickets/{ticket.id}"
    read: list[int] = []
    while address:
        seen = await helpdesk.see(address)
        read += numbers(seen.html, "v")
        address = link(seen.html, "earlier-history")
    assert read == list(range(51, 0, -1))
    assert "History (51)" in (await helpdesk.see(f"/tickets/{ticket.id}")).text


async def test_with_htmx_earlier_parts_come_into_the_page(
    user: Person, long_thread: LongThread
) -> None:
    ticket = await long_thread(60, "said once")
    whole = await user.see(f"/tickets/{ticket.id}")
    for name, target, kind in (
        ("earlier-messages", "earlier", "m"),
        ("earlier-history", "history-earlier", "v"),
    ):
        address = link(whole.html, name)
        assert address
        part = await user.see(address, htmx=True)
        assert f'<hx-partial hx-target="#{target}" hx-swap="outerHTML">' in part.html
        assert numbers(part.html, kind)
        assert not set(numbers(part.html, kind)) & set(numbers(whole.html, kind))


async def test_the_focus_is_on_the_next_link_or_on_what_came_in_last(
    user: Person, api: Api, long_thread: LongThread
) -> None:
    ticket = await long_thread(60, "said once")
    oldest = (await api.ask("GET", f"/tickets/{ticket.id}/messages"))["items"][0]["id"]
    place = f"/tickets/{ticket.id}?"
    for query, focused in (
        (f"before={oldest + 55}", "earlier-messages"),
        (f"before={oldest + 9}", f"m{oldest}"),
        ("until=42", "earlier-history"),
        ("until=9", "v8"),
    ):
        part = (await user.see(place + query, htmx=True)).html
        assert re.findall(r'id="([^"]+)"[^>]* autofocus', part) == [focused], query
        # What is no link is none without scripts either.
        assert " autofocus" not in (await user.see(place + query)).html


async def test_a_page_weighs_about_the_same_whatever_was_written_on_it(
    helpdesk: Person, api: Api, long_thread: LongThread
) -> None:
    ticket = await long_thread(60, HEAVY)
    current = await api.fetch(ticket.id)
    for n in range(25):
        await api.edit(current, description=f"{n} {HEAVY}{HEAVY}")
        current = await api.fetch(ticket.id)
    seen = await helpdesk.see(f"/tickets/{ticket.id}")
    assert len(seen.html.encode()) < PAGE_MAX_BYTES
    for name in ("earlier-messages", "earlier-history"):
        address = link(seen.html, name)
        assert address
        assert len((await helpdesk.see(address)).html.encode()) < PAGE_MAX_BYTES


@pytest.mark.parametrize("query", ["before=x", "before=0", "until=0", f"until={2**31}", "before="])
async def test_what_is_earlier_than_nothing_is_not_found(
    user: Person, api: Api, query: str
) -> None:
    ticket = await api.open("Short")
    assert (await user.see(f"/tickets/{ticket.id}?{query}")).status == 404


async def test_what_was_said_earlier_in_a_closed_ticket_is_not_for_users(
    user: Person, api: Api
) -> None:
    ticket = await api.open("Secret")
    await api.say(ticket.id, "a secret word")
    await api.move(ticket.id, "active", "closed")
    for query in ("before=9999999", "until=99"):
        for htmx in (False, True):
            seen = await user.see(f"/tickets/{ticket.id}?{query}", htmx=htmx)
            assert "ecret" not in seen.text
            assert "is closed" in seen.text
