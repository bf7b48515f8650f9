"""The number of a ticket finds it: first, once, and for users only while it is not closed."""

from itertools import product
from typing import get_args

import pytest

from ticket_svc.queries import Sort


async def found(api, q, role="helpdesk", **filters):
    params = {"q": q} | filters
    page = (await api.call("GET", "/v1/tickets", role=role, params=params, expect=200)).body
    assert [hit["ticket_id"] for hit in page["hits"]] == [item["id"] for item in page["items"]]
    return [item["id"] for item in page["items"]], page["next"]


async def test_a_number_finds_its_ticket_before_what_has_it_in_its_words(api):
    named = await api.open("The lift is stuck")
    room = await api.open(f"It is cold in room {named['id']}")
    for q in (f"{named['id']}", f" {named['id']} "):
        for role in ("user", "helpdesk"):
            assert await found(api, q, role) == ([named["id"], room["id"]], None)
    for q in (f"#{named['id']}", f"# {named['id']}", f"＃{named['id']}"):
        assert (await found(api, q))[0][0] == named["id"]


@pytest.mark.parametrize("q", ["999999", "0", str(2**53), "9" * 19])
async def test_a_number_without_a_ticket_finds_words_only(api, q):
    ticket = await api.open(f"A device with the number {q}")
    assert await found(api, q) == ([ticket["id"]], None)


async def test_helpdesk_finds_it_whatever_the_filters_say(api):
    named = await api.close(await api.open())
    await api.open("Another")
    for filters in (
        {"status": "open"},
        {"category": "technical_it"},
        {"opened_to": "2020-01-01T00:00:00Z"},
    ):
        assert await found(api, f"#{named['id']}", **filters) == ([named["id"]], None)


async def test_a_user_does_not_find_a_closed_one(api):
    named = await api.open("The lift is stuck")
    assert await found(api, f"#{named['id']}", "user") == ([named["id"]], None)
    await api.close(named)
    assert await found(api, f"#{named['id']}", "user") == ([], None)
    assert await found(api, f"{named['id']}", "user") == ([], None)


async def test_pages_show_it_once_and_first_in_every_order(api):
    tickets = [await api.open() for _ in range(3)]
    named = tickets[1]["id"]
    for ticket in tickets:
        await api.edit(ticket, description=f"Room {named} is cold")
    tickets.append(await api.open(f"Room {named} is dark, too"))
    for sort, limit in product(get_args(Sort), ("1", "2", "3", "200")):
        seen, cursor = [], {}
        while True:
            ids, following = await found(api, str(named), sort=sort, limit=limit, **cursor)
            assert len(ids) <= int(limit)
            seen += ids
            if following is None:
                break
            cursor = {"cursor": following}
        assert seen[0] == named, (sort, limit)
        assert sorted(seen) == [ticket["id"] for ticket in tickets], (sort, limit)
