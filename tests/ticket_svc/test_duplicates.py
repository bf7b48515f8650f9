"""Helpdesk marks a ticket as a duplicate of another and takes it back; both stay as they are."""

import asyncio

import pytest

pytestmark = pytest.mark.usefixtures("patient")


async def mark(api, ticket, original, **arguments):
    path = f"/v1/tickets/{ticket['id']}/duplicate_of"
    number = original["id"] if isinstance(original, dict) else original
    return await api.call("PUT", path, json={"ticket": number}, **arguments)


async def unmark(api, ticket, **arguments):
    return await api.call("DELETE", f"/v1/tickets/{ticket['id']}/duplicate_of", **arguments)


async def duplicates(api, ticket, role="helpdesk"):
    path = f"/v1/tickets/{ticket['id']}/duplicates"
    return (await api.call("GET", path, role=role, expect=200)).body["items"]


@pytest.fixture
async def pair(api):
    """Return a ticket and the one about the same problem that was there before."""
    original = await api.open("The lift in building C is stuck")
    return await api.open("Lift stuck, building C"), original


async def test_a_mark_is_a_version_with_its_history_and_is_taken_back_by_another(api, pair):
    ticket, original = pair
    await api.send(ticket, "Still stuck")
    marked = (await mark(api, ticket, original, expect=200)).body
    assert (marked["duplicate_of"], marked["version"]) == (original["id"], 3)
    assert await api.get(ticket["id"]) == marked
    assert await duplicates(api, original) == [marked]
    unmarked = (await unmark(api, ticket, expect=200)).body
    assert (unmarked["duplicate_of"], unmarked["version"]) == (None, 4)
    assert await duplicates(api, original) == []
    number = str(original["id"])
    assert [
        (item["role"], item["action"], item["before"], item["after"])
        for item in (await api.history(ticket))[2:]
    ] == [
        ("helpdesk", "duplicate_marked", None, number),
        ("helpdesk", "duplicate_unmarked", number, None),
    ]
    assert await api.get(original["id"]) == original
    thread = await api.call("GET", f"/v1/tickets/{ticket['id']}/messages")
    assert len(thread.body["items"]) == 1


async def test_doing_it_again_changes_nothing(api, pair):
    ticket, original = pair
    assert (await unmark(api, ticket, expect=200)).body == ticket
    marked = (await mark(api, ticket, original)).body
    again = await mark(api, ticket, original, expect=200)
    assert (again.body, again.headers["ETag"]) == (marked, '"2"')


async def test_a_mark_can_be_moved_to_another_original(api, pair):
    ticket, original = pair
    other = await api.open("The lift in building C hangs")
    await mark(api, ticket, original)
    moved = (await mark(api, ticket, other, expect=200)).body
    last = (await api.history(ticket))[-1]
    assert moved["duplicate_of"] == other["id"]
    assert (last["before"], last["after"]) == (str(original["id"]), str(other["id"]))


async def test_export_and_list_tell_of_it(api, pair):
    marked = (await mark(api, *pair)).body
    assert marked in (await api.list())["items"]
    assert f'"duplicate_of":{pair[1]["id"]}' in (await api.call("GET", "/v1/tickets/export")).body


async def test_what_is_no_original_is_refused_with_the_reason(api, pair):
    ticket, original = pair
    for number, reason in ((ticket["id"], "another ticket"), (987654, "there is no ticket")):
        refused = await mark(api, ticket, number, expect=422)
        [error] = refused.body["errors"]
        assert error["field"] == "ticket"
        assert reason in error["message"]
    other = await api.open("Lift")
    await mark(api, ticket, original)
    for one, its_original in ((other, ticket), (original, other)):
        refused = await mark(api, one, its_original, expect=409)
        assert refused.body["code"] == "duplicate_chain"
        [error] = refused.body["errors"]
        assert (error["field"], str(ticket["id"]) in error["message"]) == ("ticket", True)
    await api.call("PUT", "/v1/tickets/987654/duplicate_of", json={"ticket": 1}, expect=404)
    await api.call("DELETE", "/v1/tickets/987654/duplicate_of", expect=404)


async def test_only_helpdesk_marks(api, pair):
    ticket, original = pair
    await mark(api, ticket, original, role="user", expect=403)
    marked = (await mark(api, ticket, original)).body
    await unmark(api, ticket, role="user", expect=403)
    assert await api.get(ticket["id"]) == marked


async def test_a_closed_ticket_stays_as_it_is_and_can_be_an_original(api, pair):
    ticket, original = pair
    closed = await api.close(original)
    for answer in (await mark(api, closed, ticket), await unmark(api, closed)):
        assert (answer.status, answer.body["code"]) == (409, "ticket_closed")
    assert (await mark(api, ticket, original, expect=200)).body["duplicate_of"] == original["id"]
    assert await api.get(original["id"]) == closed


async def test_users_see_the_duplicates_that_are_not_closed(api, pair):
    ticket, original = pair
    closed = await api.open("Lift C does not move")
    await mark(api, closed, original)
    await api.close(closed)
    marked = (await mark(api, ticket, original)).body
    assert await duplicates(api, original, role="user") == [marked]
    assert len(await duplicates(api, original)) == 2


async def test_two_marks_at_once_make_no_chain(api, sql, blocked):
    first, second, third = [await api.open(f"Lift {n}") for n in range(3)]
    async with sql.transaction():
        await sql.execute("SELECT FROM ticket WHERE id = $1 FOR UPDATE", second["id"])
        marks = [
            asyncio.create_task(mark(api, first, second)),
            asyncio.create_task(mark(api, second, third)),
        ]
        await blocked(2)
    assert sorted([(await one).status for one in marks]) == [200, 409]
