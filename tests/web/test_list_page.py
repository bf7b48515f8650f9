"""The list: its order and length are in the address, and helpdesk changes many tickets at once."""

import re
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiohttp.test_utils import TestServer

from contracts.rest import Ticket
from tests.conftest import Stack
from tests.signing import signing_keys
from tests.web.conftest import NO_BROKER, NOWHERE, Api, MakePerson, Person, Seen, Serve
from ticket_svc import searches
from ticket_svc.app import build_app as build_ticket_svc
from ticket_svc.settings import Settings
from web.pages.tickets_page import PAGE_ROWS, ROWS_MAX


def shown(seen: Seen) -> list[int]:
    return [int(n) for n in re.findall(r'<li class="row" id="t(\d+)"', seen.html)]


def more(seen: Seen) -> str:
    """Return where “Show more” leads."""
    found = re.search(r'id="more-link" class="button" href="([^"]*)"', seen.html)
    assert found, "nothing more"
    return found[1].replace("&amp;", "&")


async def opened(api: Api, word: str, n: int) -> list[int]:
    return [(await api.open(f"{word} {i}")).id for i in range(n)]


async def bulk(person: Person, path: str, htmx: bool = False, **fields: Any) -> Seen:
    pairs = [(name, str(value)) for name, values in fields.items() for value in as_list(values)]
    return await person.ask("POST", path, htmx=htmx, data=pairs)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


async def test_the_order_is_in_the_address(helpdesk: Person, user: Person, api: Api) -> None:
    word = uuid4().hex
    old, middle, new = await opened(api, word, 3)
    await api.ask("PUT", f"/tickets/{middle}/affected/{uuid4()}", "user")
    await api.say(new, "An answer")  # nobody waits for helpdesk here any more
    orders = {
        "": [new, middle, old],
        "-opened_at": [new, middle, old],
        "opened_at": [old, middle, new],
        "-affected": [middle, new, old],
        "waiting_since": [old, middle, new],
        "-modified_at": [new, middle, old],
    }
    for sort, order in orders.items():
        seen = await helpdesk.see(f"/tickets?q={word}&sort={sort}")
        assert shown(seen) == order, sort
        if sort != "-opened_at":
            assert f'<option value="{sort}" selected>' in seen.html
    fragment = await helpdesk.see(f"/tickets?q={word}&status=&sort=opened_at", htmx=True)
    assert fragment.headers["HX-Push-Url"] == f"/tickets?q={word}&sort=opened_at"
    assert 'value="waiting_since"' not in (await user.see("/tickets")).html
    wrong = await helpdesk.see("/tickets?sort=colour")
    assert wrong.status == 422
    assert "Sort must be one of the choices" in wrong.text


async def test_a_row_says_who_else_is_affected_and_helpdesk_sees_who_waits(
    helpdesk: Person, user: Person, api: Api
) -> None:
    word = uuid4().hex
    [ticket_id] = await opened(api, word, 1)
    await api.ask("PUT", f"/tickets/{ticket_id}/affected/{uuid4()}", "user")
    for _ in range(2):  # rows are kept by role
        seen = await user.see("/tickets")
        assert f"#{ticket_id} · just now · 1 affected" in seen.text
        assert "waiting for us" not in seen.text
        assert f"Select #{ticket_id}" not in seen.html
        seen = await helpdesk.see("/tickets")
        assert f"#{ticket_id} · just now · 1 affected · waiting for us since 1 minute" in seen.text
        assert f'name="ticket" value="{ticket_id}" aria-label="Select #{ticket_id}"' in seen.html
    await api.say(ticket_id, "An answer")
    row = (await helpdesk.see(f"/tickets?q={word}")).text
    assert "waiting for us" not in row


async def test_the_address_says_how_many_rows_are_shown(helpdesk: Person, api: Api) -> None:
    word = uuid4().hex
    ids = (await opened(api, word, ROWS_MAX + 3))[::-1]
    first = await helpdesk.see(f"/tickets?q={word}")
    assert shown(first) == ids[:PAGE_ROWS]
    seen = await helpdesk.see(f"/tickets?q={word}&rows={ROWS_MAX - 1}")
    assert shown(seen) == ids[: ROWS_MAX - 1]
    assert shown(await helpdesk.see(more(seen))) == ids[ROWS_MAX - 1 :]
    fragment = await helpdesk.see(more(seen) + f"&before={ROWS_MAX - 1}", htmx=True)
    assert shown(fragment) == ids[ROWS_MAX - 1 :]
    assert f'name="rows" value="{ROWS_MAX + 3}"' in fragment.html
    for rows in ("", "0", str(PAGE_ROWS - 1), "x", "-1"):
        assert shown(await helpdesk.see(f"/tickets?q={word}&rows={rows}")) == ids[:PAGE_ROWS]
    assert shown(await helpdesk.see(f"/tickets?q={word}&rows=99999")) == ids[:ROWS_MAX]


async def test_a_page_grows_to_a_bound_and_then_leads_to_the_next(
    helpdesk: Person, api: Api
) -> None:
    word = uuid4().hex
    await opened(api, word, 2 * PAGE_ROWS + 1)
    address = more(await helpdesk.see(f"/tickets?q={word}"))
    grows = await helpdesk.see(f"{address}&before={PAGE_ROWS}", htmx=True)
    assert "hx-get" in grows.html.split('id="more-link"')[1]
    full = await helpdesk.see(f"{address}&before={ROWS_MAX - PAGE_ROWS}", htmx=True)
    assert "hx-get" not in full.html.split('id="more-link"')[1]
    assert "before" not in more(full)


async def statuses(api: Api, *ticket_ids: int) -> list[str]:
    return [(await api.fetch(ticket_id)).status.value for ticket_id in ticket_ids]


async def test_many_tickets_move_at_once_and_the_page_says_which_did_not(
    helpdesk: Person, api: Api
) -> None:
    word = uuid4().hex
    ids = await opened(api, word, 5)
    await api.move(ids[0], "active")
    await api.move(ids[1], "active", "closed")
    path = f"/tickets/bulk?q={word}&status=open&sort=opened_at"
    sent = await bulk(helpdesk, path, ticket=[*ids, ids[4]], do="active", rows=3)
    assert sent.status == 303
    assert sent.location == f"/tickets?status=open&q={word}&sort=opened_at"
    assert await statuses(api, *ids) == ["active", "closed", "active", "active", "active"]
    said = f"4 tickets: work started. 1 could not be changed: #{ids[1]} was closed."
    assert said in (await helpdesk.see(sent.location)).text
    assert said not in (await helpdesk.see(sent.location)).text
    await api.open(word)
    [fresh, *_] = shown(await helpdesk.see(f"/tickets?q={word}"))
    sent = await bulk(
        helpdesk, f"/tickets/bulk?q={word}", True, ticket=[ids[0], fresh, 999_999_999], do="closed"
    )
    assert sent.status == 200
    assert sent.html.startswith('<hx-partial hx-target="#list" hx-swap="outerMorph">')
    assert shown(sent) == [fresh, *ids[:1:-1]]
    assert (
        f"1 ticket: closed. 2 could not be changed: #{fresh} was open, #999999999 does not exist."
        in sent.text
    )


async def test_the_list_is_as_long_afterwards_as_it_was(helpdesk: Person, api: Api) -> None:
    [ticket_id] = await opened(api, uuid4().hex, 1)
    sent = await bulk(helpdesk, "/tickets/bulk", ticket=ticket_id, do="active", rows=64)
    assert sent.location == "/tickets?rows=64"


async def test_categories_are_corrected_from_the_list(helpdesk: Person, api: Api) -> None:
    word = uuid4().hex
    ids = await opened(api, word, 2)
    await api.say(ids[0], "The row is older than this")
    sent = await bulk(
        helpdesk, f"/tickets/bulk?q={word}", True, ticket=ids, do="services_complaints"
    )
    assert "2 tickets: Services & complaints." in sent.text
    for ticket_id in ids:
        ticket = await api.fetch(ticket_id)
        assert (ticket.category, ticket.category_source) == ("services_complaints", "helpdesk")
    await api.move(ids[0], "active", "closed")
    sent = await bulk(helpdesk, "/tickets/bulk", True, ticket=ids[0], do="technical_it")
    assert f"1 could not be changed: #{ids[0]} was closed." in sent.text


async def test_many_refusals_are_counted_and_a_few_named(helpdesk: Person, api: Api) -> None:
    ids = await opened(api, uuid4().hex, 8)
    sent = await bulk(helpdesk, "/tickets/bulk", ticket=ids, do="closed")
    named = ", ".join(f"#{ticket_id} was open" for ticket_id in ids[:5])
    said = f"8 could not be changed: {named}, …."
    assert said in (await helpdesk.see(sent.location)).text
    assert await statuses(api, *ids) == ["open"] * 8


@pytest.mark.parametrize("htmx", [False, True])
async def test_what_cannot_be_done_at_once_changes_nothing(
    helpdesk: Person, api: Api, htmx: bool
) -> None:
    [ticket_id] = await opened(api, uuid4().hex, 1)
    nothing = await bulk(helpdesk, "/tickets/bulk", htmx, do="active")
    assert nothing.status == 422
    assert "Nothing is ticked" in nothing.text
    too_many = [ticket_id, *range(900_000_000, 900_000_200)]
    many = await bulk(helpdesk, "/tickets/bulk", htmx, ticket=too_many, do="active")
    assert many.status == 422
    assert "At most 200 tickets can be changed at once." in many.text
    for ticket, do in (
        (ticket_id, "open"),
        (ticket_id, ""),
        ("x", "active"),
        (0, "active"),
        (2**63, "active"),
        (list(range(1_000)), "active"),
    ):
        assert (await bulk(helpdesk, "/tickets/bulk", htmx, ticket=ticket, do=do)).status == 400
    assert await statuses(api, ticket_id) == ["open"]


async def test_a_forged_outcome_says_nothing(people: MakePerson) -> None:
    for code in ("bulk.active.1.1.5-<b>", "bulk.<b>.1.0", "bulk.active.1.1.5-nonsense", "bulk."):
        person = people("helpdesk")
        headers = {"Cookie": f"role=helpdesk; said={code}"}
        seen = await person.see("/tickets", headers=headers)
        assert seen.html.count('role="status"></p>') == 1, code


async def test_tickets_that_cannot_be_reached_are_said(people: MakePerson, serve: Serve) -> None:
    person = people("helpdesk", await serve(ticket_api_url=NOWHERE, amqp_url=NO_BROKER))
    sent = await bulk(person, "/tickets/bulk", ticket=[12], do="active")
    assert sent.status == 303
    assert "bulk.active.0.1.12-away" in sent.headers["Set-Cookie"]
    assert (await person.see(sent.location)).status == 503


async def test_a_ticket_stays_a_link(helpdesk: Person, api: Api) -> None:
    ticket: Ticket = await api.open(uuid4().hex)
    seen = await helpdesk.see("/tickets")
    # Without a script the category is corrected on the ticket's page.
    assert f'href="/tickets/{ticket.id}#category"' in seen.html
    assert 'id="category"' in (await helpdesk.see(f"/tickets/{ticket.id}")).html


async def test_what_is_found_in_a_message_is_shown_with_its_place(
    helpdesk: Person, user: Person, api: Api
) -> None:
    word = f"q{uuid4().hex[:12]}"
    ticket = await api.open("The heating\nwas cold")
    await api.say(ticket.id, "Is it <cold> still?")
    await api.say(ticket.id, f"A plumber named {word} comes.")
    titled = await api.open(f"No {word} came")
    for person in (helpdesk, user):
        seen = await person.see(f"/tickets?q={word}")
        assert shown(seen) == [titled.id, ticket.id]
        excerpt = f"A plumber named <mark>{word}</mark> comes."
        assert excerpt in seen.html
        assert "in message 2 by Helpdesk" in seen.text
        assert f"No <mark>{word}</mark> came" in seen.html
        # What the title says is not said twice.
        assert seen.html.count('class="excerpt"') == 1


async def test_a_number_leads_to_its_ticket(user: Person, helpdesk: Person, api: Api) -> None:
    ticket = await api.open("The lift is stuck")
    for person in (user, helpdesk):
        for q in (f"{ticket.id}", f"%23{ticket.id}"):
            seen = await person.see(f"/tickets?q={q}")
            assert re.findall(r'<li class="row" id="t(\d+)"', seen.html)[0] == str(ticket.id)
    await api.move(ticket.id, "active", "closed")
    seen = await user.see(f"/tickets?q=%23{ticket.id}")
    assert f"Ticket #{ticket.id} is closed . It was closed on" in seen.text
    assert "The lift is stuck" not in seen.text
    assert "No ticket matches" not in seen.text
    seen = await helpdesk.see(f"/tickets?q=%23{ticket.id}&status=open")
    assert f'id="t{ticket.id}"' in seen.html
    seen = await user.see("/tickets?q=999999999")
    assert "is closed" not in seen.text


async def test_the_first_line_that_can_be_seen_leads_to_a_ticket(user: Person, api: Api) -> None:
    word = uuid4().hex
    ticket = await api.open(f"\u200b\n\u2800\n\u202eTitle {word}\nmore")
    seen = await user.see(f"/tickets?q={word}")
    assert f'dir="auto">\u202eTitle <mark>{word}</mark></a>' in seen.html
    # A window's title has nothing that would shut in what turns its direction.
    for query in ("", "?until=9"):
        seen = await user.see(f"/tickets/{ticket.id}{query}")
        assert f"<title>#{ticket.id} Title {word} · Campus helpdesk</title>" in seen.html


async def test_a_search_that_takes_too_long_says_so_and_keeps_what_was_typed(
    people: MakePerson, serve: Serve, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searches, "SEARCH_SECONDS", 0.3)
    database, token = stack["TICKET_DATABASE_URL"], stack["TICKET_API_TOKEN"]
    tickets = Settings(database, NO_BROKER, token, signing_keys(), "127.0.0.1", 0)
    async with TestServer(build_ticket_svc(tickets)) as server:
        person = people("user", await serve(ticket_api_url=str(server.make_url("")).rstrip("/")))
        connection = await asyncpg.connect(database)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE tickets.word")
                seen = await person.see("/tickets?q=printer")
        finally:
            await connection.close()
    assert seen.status == 422
    assert "Search takes too long with these words: try longer ones." in seen.text
    assert 'value="printer"' in seen.html
