"""The next ticket: helpdesk goes from one that waits to another, the longest waiting first."""

import re

from tests.conftest import Stack
from tests.web.conftest import Api, Person


async def waiting(api: Api, status: str) -> list[int]:
    params = {"status": status, "sort": "waiting_since", "limit": "50"}
    found = await api.ask("GET", "/tickets", params=params)
    return [item["id"] for item in found["items"] if item["waiting_since"]]


def number(location: str) -> int:
    found = re.fullmatch(r"/tickets/(\d+)", location)
    assert found, location
    return int(found[1])


async def test_it_leads_to_the_one_that_waits_longest_and_then_on(
    helpdesk: Person, api: Api
) -> None:
    for n in range(3):
        await api.open(f"Waiting {n}")
    ids = await waiting(api, "open")
    assert number((await helpdesk.see("/tickets/next")).location) == ids[0]
    assert number((await helpdesk.see("/tickets/next?after=x")).location) == ids[0]
    assert number((await helpdesk.see(f"/tickets/next?after={ids[0]}")).location) == ids[1]
    assert number((await helpdesk.see(f"/tickets/next?after={ids[1]}")).location) == ids[2]
    # From one that waits for nothing it starts with the longest.
    closed = await api.open("Done")
    await api.move(closed.id, "active", "closed")
    assert number((await helpdesk.see(f"/tickets/next?after={closed.id}")).location) == ids[0]


async def test_a_ticket_s_page_has_the_link_for_helpdesk_only(
    user: Person, helpdesk: Person, api: Api
) -> None:
    ticket = await api.open("From here on")
    link = f'<a id="next-ticket" href="/tickets/next?after={ticket.id}"'
    assert link in (await helpdesk.see(f"/tickets/{ticket.id}")).html
    assert "next-ticket" not in (await user.see(f"/tickets/{ticket.id}")).html
    await api.move(ticket.id, "active")
    closed = await helpdesk.send(f"/tickets/{ticket.id}/status", status="closed", htmx=True)
    assert f"{link} autofocus>Next ticket</a>" in closed.html


async def test_where_nothing_waits_the_list_says_so(own_stack: Stack) -> None:
    person = Person(own_stack["WEB_URL"], "helpdesk")
    assert (await person.see("/tickets/next")).location == "/tickets"
    assert "No other ticket waits for an answer." in (await person.see("/tickets")).text
    await person.session.close()
