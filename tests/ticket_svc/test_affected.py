"""“I have this too” counts each browser once, whatever is pressed how often, and is a version."""

import asyncio
from uuid import uuid4

import pytest

from runtime.writers import WRITERS_AT_ONCE

pytestmark = pytest.mark.usefixtures("patient")


async def say(api, ticket, browser=None, role="user", **arguments):
    path = f"/v1/tickets/{ticket['id']}/affected/{browser or uuid4()}"
    return await api.call("PUT", path, role=role, **arguments)


async def test_each_browser_counts_and_is_a_version_with_its_history(api, sql):
    ticket = await api.open()
    first = await say(api, ticket, expect=200)
    assert (first.body["affected"], first.headers["ETag"]) == (1, '"2"')
    assert first.body["modified_at"] > ticket["modified_at"]
    second = (await say(api, ticket, role="helpdesk")).body
    assert (second["affected"], second["version"]) == (2, 3)
    assert await api.get(ticket["id"]) == second
    assert [(i["role"], i["action"], i["after"]) for i in (await api.history(ticket))[1:]] == [
        ("user", "affected", None),
        ("helpdesk", "affected", None),
    ]
    events = await sql.fetch("SELECT body FROM outbox WHERE type = 'ticket.modified' ORDER BY id")
    assert ['"affected":1' in events[0]["body"], '"affected":2' in events[1]["body"]] == [True] * 2


async def test_a_browser_that_says_it_again_changes_nothing(api, sql):
    ticket, browser = await api.open(), uuid4()
    said = (await say(api, ticket, browser)).body
    again = await say(api, ticket, str(browser).upper(), expect=200)
    assert (again.body, again.headers["ETag"]) == (said, '"2"')
    assert len(await api.history(ticket)) == 2
    other = await api.open()
    assert (await say(api, other, browser)).body["affected"] == 1


async def test_a_closed_ticket_takes_none(api):
    ticket, browser = await api.open(), uuid4()
    await say(api, ticket, browser)
    closed = await api.close(ticket)
    for role in ("user", "helpdesk"):
        for key in (browser, uuid4()):
            refused = await say(api, ticket, key, role)
            assert (refused.status, refused.body["code"]) == (409, "ticket_closed")
            assert refused.body["closed_at"] == closed["closed_at"]
            assert ("ticket" in refused.body) == (role == "helpdesk")
    assert await api.get(ticket["id"]) == closed


async def test_what_is_no_ticket_or_no_key_is_refused(api):
    ticket = await api.open()
    await say(api, {"id": 987654}, expect=404)
    await say(api, {"id": "x"}, expect=404)
    for key in ("1", "x" * 36, "00000000-0000-4000-8000-00000000000g"):
        refused = await say(api, ticket, key, expect=422)
        assert [error["field"] for error in refused.body["errors"]] == ["key"]
    assert await api.get(ticket["id"]) == ticket


@pytest.fixture
async def meet(sql, blocked):
    """Return a function that lets calls meet at a ticket's row."""

    async def run(ticket, change, *calls):
        async with sql.transaction():
            await sql.execute(change, ticket["id"])
            tasks = [asyncio.create_task(call) for call in calls]
            await blocked(min(len(tasks), WRITERS_AT_ONCE))
        return await asyncio.gather(*tasks)

    return run


HOLD = "UPDATE ticket SET modified_at = modified_at WHERE id = $1"
CLOSE = """
    UPDATE ticket SET status = 'closed', closed_at = modified_at, waiting_since = NULL
     WHERE id = $1
"""


async def test_one_browser_many_times_at_once_counts_once(api, sql, meet):
    ticket, browser = await api.open(), uuid4()
    answers = await meet(ticket, HOLD, *(say(api, ticket, browser) for _ in range(6)))
    assert {(a.status, a.body["affected"]) for a in answers} == {(200, 1)}
    assert (await api.get(ticket["id"]))["version"] == 2
    assert await sql.fetchval("SELECT count(*) FROM affected") == 1


async def test_many_browsers_at_once_all_count(api, meet):
    ticket = await api.open()
    answers = await meet(ticket, HOLD, *(say(api, ticket) for _ in range(6)))
    assert sorted(a.body["affected"] for a in answers) == [1, 2, 3, 4, 5, 6]
    assert (await api.get(ticket["id"]))["affected"] == 6
    assert [i["version"] for i in await api.history(ticket)] == list(range(1, 8))


async def test_who_comes_while_it_is_closed_leaves_nothing(api, sql, meet):
    ticket = await api.open()
    [answer] = await meet(ticket, CLOSE, say(api, ticket))
    assert answer.status == 409
    assert await sql.fetchval("SELECT count(*) FROM affected") == 0
    assert (await api.get(ticket["id"]))["affected"] == 0
