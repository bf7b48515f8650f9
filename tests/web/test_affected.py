""" "I have this too" counts once a browser, and the page says how many others do."""

import asyncio
from uuid import uuid4

from tests.web.conftest import HTMX, Api, MakePerson, Person
from web.browser import AFFECTED_MAX, sign
from web.settings import Settings


async def test_it_counts_once_a_browser_and_says_so(
    people: MakePerson, helpdesk: Person, api: Api
) -> None:
    ticket = await api.open("The lift is stuck")
    place = f"/tickets/{ticket.id}"
    one, other = people("user"), people("user")
    assert "I have this too" in (await one.see(place)).text
    first = await one.send(f"{place}/affected")
    await other.see(place)
    assert (first.status, first.location) == (303, place)
    seen = await one.see(place)
    assert "It is counted that you have this too." in seen.text
    assert "1 other has this too" in seen.text
    assert "You said that you have this too." in seen.text
    assert 'id="affected-button"' not in seen.html
    await one.send(f"{place}/affected")
    assert "You said that already." in (await one.see(place)).text
    assert (await api.fetch(ticket.id)).affected == 1
    fragment = await other.send(f"{place}/affected", htmx=True)
    assert fragment.status == 200
    assert "2 others have this too" in fragment.text
    assert '<p id="affected" class="help" tabindex="-1" autofocus>' in fragment.html
    seen = await helpdesk.see(place)
    assert "2 others have this too" in seen.text
    assert 'id="affected-button"' not in seen.html


async def test_a_form_sent_twice_at_once_counts_once(user: Person, api: Api) -> None:
    ticket = await api.open("Pressed twice before the first answer")
    place = f"/tickets/{ticket.id}"
    await user.see(place)
    both = await asyncio.gather(*(user.send(f"{place}/affected") for _ in range(2)))
    assert [sent.status for sent in both] == [303, 303]
    assert (await api.fetch(ticket.id)).affected == 1


async def test_a_browser_keeps_one_key_for_all_tickets(user: Person, api: Api) -> None:
    keys = set()
    await user.see("/")
    for n in range(2):
        ticket = await api.open(f"One of two {n}")
        counted = await user.send(f"/tickets/{ticket.id}/affected")
        keys.add(counted.cookies["browser"].value)
        assert int(counted.cookies["browser"]["max-age"]) > 300 * 24 * 3600
    assert len(keys) == 1


async def test_the_cookie_of_tickets_is_bounded_and_may_be_anything(
    user: Person, api: Api, settings: Settings
) -> None:
    ticket = await api.open("Bounded")
    others = range(ticket.id + 1, ticket.id + 400)
    for value in (".".join(map(str, others)), "x.-1..1e3", "", "9" * 3_000):
        key = sign(settings.secret, uuid4())
        cookie = f"role=user; browser={key}; affected={value}"
        user.session.cookie_jar.clear()
        sent = await user.ask(
            "POST", f"/tickets/{ticket.id}/affected", data={}, headers={"Cookie": cookie}
        )
        assert sent.status == 303
        kept = sent.cookies["affected"].value.split(".")
        assert kept[-1] == str(ticket.id)
        assert len(kept) <= AFFECTED_MAX
    assert (await api.fetch(ticket.id)).affected == 4


async def test_hints_offer_it_and_lead_to_the_ticket(user: Person, api: Api) -> None:
    text = f"The projector in room {uuid4().hex} shows no picture"
    ticket = await api.open(text)
    await api.known(ticket)
    place = f"/tickets/{ticket.id}"
    address = f"{place}/affected?hints"
    hints = await user.see("/tickets/hints", params={"text": text})
    assert f'hx-post="{address}"' in hints.html
    counted = await user.ask("POST", address, data={"text": text}, headers=HTMX)
    assert counted.headers["HX-Redirect"] == place
    assert "It is counted" in (await user.see(place)).text
    hints = await user.see("/tickets/hints", params={"text": text})
    assert f'hx-post="{address}"' not in hints.html
    assert "1 other has this too" in hints.text
    assert "You said that you have this too." in hints.text


async def test_helpdesk_sees_in_hints_how_many_and_no_button(helpdesk: Person, api: Api) -> None:
    text = f"The window in room {uuid4().hex} does not close"
    ticket = await api.open(text)
    await api.ask("PUT", f"/tickets/{ticket.id}/affected/{uuid4()}", "user")
    await api.known(ticket)
    hints = await helpdesk.see("/tickets/hints", params={"text": text})
    assert "1 other has this too" in hints.text
    assert "/affected" not in hints.html


async def test_a_closed_ticket_counts_nobody(user: Person, api: Api) -> None:
    ticket = await api.open("Closed before")
    await api.move(ticket.id, "active", "closed")
    await user.see("/")
    refused = await user.send(f"/tickets/{ticket.id}/affected")
    assert refused.status == 409
    assert "was closed" in refused.text
    assert (await api.fetch(ticket.id)).affected == 0
