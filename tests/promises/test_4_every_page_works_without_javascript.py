"""Promise 4: every page works without JavaScript; a failed form brings the typed text back.

Here a browser without scripts is a client that fills in forms; `tests/browser` uses a real one.
"""

import re

import pytest

from tests.conftest import Stack
from tests.promises.person import person


async def test_the_whole_life_of_a_ticket_by_plain_forms(stack: Stack) -> None:
    async with person(stack, "user") as user, person(stack, "helpdesk") as helpdesk:
        ticket = (await user.report("The tap in the kitchen drips\nSince Monday")).address
        assert "drips" in (await helpdesk.get("/tickets")).plain
        assert "On our way" in (await helpdesk.send_message(ticket, "On our way")).plain
        assert "On our way" in (await user.get(ticket)).plain
        action = f"{ticket}/description"
        form = (await user.get(ticket)).hidden(action)
        assert "hot tap" in (await user.post(action, text="The hot tap drips", **form)).plain
        form = (await helpdesk.get(ticket)).hidden(f"{ticket}/category")
        corrected = await helpdesk.post(
            f"{ticket}/category", category="services_complaints", **form
        )
        assert "set by helpdesk" in corrected.plain
        for status, label in {"active": "Active", "closed": "Closed"}.items():
            moved = await helpdesk.post(f"{ticket}/status", status=status)
            assert (moved.status, moved.address) == (200, ticket)
            assert label in moved.plain
        closed = await user.get(ticket)
        assert "is closed" in closed.plain
        assert "hot tap" not in closed.plain


async def test_filters_search_and_reports_are_addresses(stack: Stack) -> None:
    async with person(stack, "helpdesk") as helpdesk:
        await helpdesk.report("The xylophone of the music room is broken")
        for address, expected in {
            "/tickets?q=xylo+music": "is broken",  # the hit itself is marked
            "/tickets?status=closed&q=xylophone": "No ticket matches",
            "/analytics/unclosed?last=3&unit=hours": "Time zone",
            "/analytics/resolution": "Time zone",
            "/analytics/active": "Time zone",
        }.items():
            page = await helpdesk.get(address)
            assert page.status == 200
            assert expected in page.plain


@pytest.mark.parametrize("role", ["user", "helpdesk"])
async def test_every_form_and_link_has_its_address(stack: Stack, role: str) -> None:
    async with person(stack, role) as someone:
        ticket = (await someone.report("A broken chair")).address
        for address in ("/", "/tickets", ticket, *(["/analytics"] if role == "helpdesk" else [])):
            page = await someone.get(address)
            # A dialog's form sends nothing, and opens with a script only.
            for form in re.findall(r'<form(?! method="dialog")[^>]*>', page.text):
                assert re.search(r'method="(get|post)"', form), form
                assert re.search(r'action="/[^"]*"', form), form
            for link in re.findall(r"<a [^>]*>", page.text):
                assert re.search(r'href="[/#][^"]*"', link), link
                assert 'href="#"' not in link


async def test_a_message_that_is_refused_comes_back_with_its_text(stack: Stack) -> None:
    async with person(stack, "user") as user:
        ticket = (await user.report("The printer has no toner")).address
        page = await user.send_message(ticket, "long " * 1_001)
        assert page.status == 422
        assert page.plain.count("long ") >= 1_000
