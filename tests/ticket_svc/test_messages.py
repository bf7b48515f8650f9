"""Messages form a thread under a ticket that is not closed; each is a change of its ticket."""

import asyncio

import pytest

from contracts.vocabulary import MESSAGES_MAX, Role
from runtime.writers import WRITERS_AT_ONCE


async def test_message_joins_the_thread_and_modifies_the_ticket(api):
    ticket = await api.open()
    first = (await api.send(ticket, " It smells\r\nof smoke ")).body
    second = (await api.send(ticket, "We are on our way", role="helpdesk")).body
    assert first == {
        "id": first["id"],
        "ticket_id": ticket["id"],
        "author": "user",
        "body": "It smells\nof smoke",
        "sent_at": first["sent_at"],
    }
    assert second["author"] == "helpdesk"
    path = f"/v1/tickets/{ticket['id']}/messages"
    assert (await api.call("GET", path, role="user")).body == {"items": [first, second]}
    now = await api.get(ticket["id"])
    assert (now["messages"], now["version"]) == (2, 3)
    assert now["modified_at"] == second["sent_at"]


async def test_thread_of_a_new_ticket_is_empty(api):
    ticket = await api.open()
    path = f"/v1/tickets/{ticket['id']}/messages"
    assert (await api.call("GET", path, expect=200)).body == {"items": []}


async def test_unknown_ticket_is_404_everywhere(api):
    for ticket_id in (0, -1, 77, 2**53, 2**63, "abc", "1e3", "%20", "٣", "1_0"):
        path = f"/v1/tickets/{ticket_id}"
        edit = {"json": {"description": "x"}, "headers": {"If-Match": '"1"'}}
        for answer in (
            await api.call("GET", path),
            await api.call("PATCH", path, **edit),
            await api.call("PUT", f"{path}/status", json={"status": "active"}),
            await api.call("GET", f"{path}/messages"),
            await api.call("POST", f"{path}/messages", json={"body": "x"}),
            await api.call("GET", f"{path}/history"),
        ):
            assert (answer.status, answer.body["code"]) == (404, "not_found"), path
            assert answer.body["errors"][0]["field"] == "id"


@pytest.mark.parametrize(("part", "key"), [("messages", "id"), ("history", "version")])
async def test_a_long_thread_and_history_come_in_parts_that_add_up_to_the_whole(api, part, key):
    ticket = await api.open()
    for n in range(6):
        await api.send(ticket, f"{n}")
    path = f"/v1/tickets/{ticket['id']}/{part}"
    whole = (await api.call("GET", path, expect=200)).body
    assert list(whole) == ["items"]
    parts, before = [], ""
    while before is not None:
        page = (await api.call("GET", f"{path}?limit=4{before}", role="user", expect=200)).body
        parts[:0] = page["items"]
        before = page["earlier"] and f"&before={page['earlier']}"
        assert before is None or page["earlier"] == page["items"][0][key]
    assert parts == whole["items"]
    third = whole["items"][2][key]
    earlier = (await api.call("GET", f"{path}?before={third}", expect=200)).body
    assert earlier == {"items": whole["items"][:2]}


@pytest.mark.parametrize("part", ["messages", "history"])
@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "limit=", "before=0", "before=x", "after=1"]
)
async def test_a_part_that_cannot_be_is_refused_with_the_field(api, part, query):
    ticket = await api.open()
    answer = await api.call("GET", f"/v1/tickets/{ticket['id']}/{part}?{query}")
    assert (answer.status, answer.body["code"]) == (422, "invalid")
    assert [bad["field"] for bad in answer.body["errors"]] == [query.split("=")[0]]


@pytest.fixture
def filled(sql):
    """Return a function that has a ticket hold so many messages that only `room` are left."""

    async def fill(ticket, role, room):
        n = MESSAGES_MAX[role] - room
        await sql.execute(
            "UPDATE ticket SET messages = $2, version = $2 + 1 WHERE id = $1", ticket["id"], n
        )

    return fill


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("role", Role)
async def test_the_last_message_that_fits_is_sent_once_however_many_come_together(
    api, sql, blocked, filled, role
):
    ticket = await api.open()
    await filled(ticket, role, room=2)
    async with sql.transaction():
        await sql.execute("SELECT FROM ticket WHERE id = $1 FOR UPDATE", ticket["id"])
        sends = [asyncio.create_task(api.send(ticket, f"{n}", role=role)) for n in range(6)]
        await blocked(WRITERS_AT_ONCE)
    answers = await asyncio.gather(*sends)
    assert sorted(answer.status for answer in answers) == [201, 201, 409, 409, 409, 409]
    assert (await api.get(ticket["id"]))["messages"] == MESSAGES_MAX[role]
    for answer in answers:
        if answer.status == 409:
            [error] = answer.body["errors"]
            assert answer.body["code"] == "thread_full"
            assert (error["field"], error["code"]) == ("body", "thread_full")
            assert error["params"] == {"max": MESSAGES_MAX[role]}


async def test_helpdesk_can_still_answer_where_users_have_filled_a_thread(api, filled):
    ticket = await api.open()
    await filled(ticket, Role.USER, room=0)
    assert (await api.send(ticket, "One more")).status == 409
    assert (await api.send(ticket, "We go on in ticket 7", role="helpdesk")).status == 201


async def test_a_message_that_was_sent_is_so_in_a_full_thread_too(api, filled):
    ticket = await api.open()
    key = {"Idempotency-Key": "00000000-0000-4000-8000-000000000001"}
    first = await api.send(ticket, "Sent", **key)
    await filled(ticket, Role.USER, room=0)
    again = await api.send(ticket, "Sent", **key)
    assert (again.status, again.body) == (201, first.body)


async def test_a_closed_full_thread_is_closed(api, filled):
    ticket = await api.open()
    await filled(ticket, Role.HELPDESK, room=0)
    await api.close(ticket)
    for role in Role:
        assert (await api.send(ticket, "x", role=role)).body["code"] == "ticket_closed"
