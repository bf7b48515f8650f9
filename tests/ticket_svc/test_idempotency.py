"""A repeat with the same key answers the same and does nothing more, also at the same moment."""

import asyncio
from uuid import uuid4

import pytest

from runtime.writers import WRITERS_AT_ONCE

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def key():
    return {"Idempotency-Key": str(uuid4())}


async def post(api, description, headers, **fields):
    body = {"description": description} | fields
    return await api.call("POST", "/v1/tickets", role="user", json=body, headers=headers)


async def test_repeated_opening_answers_the_same_ticket(api, key):
    first = await post(api, "No light", key)
    again = await post(api, " No light ", key)
    assert (again.status, again.body) == (201, first.body)
    assert (await api.call("GET", "/v1/tickets/counts")).body["open"] == 1


async def test_repeated_opening_shows_the_ticket_as_it_stands_now(api, key):
    first = (await post(api, "No light", key)).body
    edited = (await api.edit(first, description="No light at all")).body
    assert (await post(api, "No light", key)).body == edited


async def test_same_key_with_another_body_is_422_and_names_the_ticket(api, key):
    first = (await post(api, "No light", key)).body
    for answer in (
        await post(api, "No water", key),
        await post(api, "No light", key, category="technical_it"),
    ):
        assert (answer.status, answer.body["code"]) == (422, "idempotency_key_reused")
        assert answer.body["errors"][0]["field"] == "Idempotency-Key"
        assert answer.body["ticket"]["id"] == first["id"]


async def test_simultaneous_openings_with_one_key_make_one_ticket(api, sql, blocked, key):
    # The race: the first is held before its commit by the counter's lock, the others wait for it.
    async with sql.transaction():
        await sql.execute("LOCK TABLE ticket_count IN EXCLUSIVE MODE")
        posts = [asyncio.create_task(post(api, "No light", key)) for _ in range(5)]
        await blocked(5)
    answers = await asyncio.gather(*posts)
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body["id"] for answer in answers}) == 1
    assert await sql.fetchval("SELECT count(*) FROM ticket") == 1
    assert await sql.fetchval("SELECT count(*) FROM history") == 1


async def test_simultaneous_messages_with_one_key_make_one_message(api, sql, blocked, key):
    ticket = await api.open()
    async with sql.transaction():
        await sql.execute("SELECT FROM ticket WHERE id = $1 FOR UPDATE", ticket["id"])
        sends = [asyncio.create_task(api.send(ticket, "Hello", **key)) for _ in range(5)]
        await blocked(WRITERS_AT_ONCE)
    answers = await asyncio.gather(*sends)
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body["id"] for answer in answers}) == 1
    assert (await api.get(ticket["id"]))["messages"] == 1
    assert len(await api.history(ticket)) == 2


async def test_message_key_belongs_to_ticket_role_and_body(api, key):
    ticket, other = await api.open(), await api.open()
    sent = await api.send(ticket, "Hello", **key)
    assert (await api.send(ticket, "Hello", **key)).body == sent.body
    for answer in (
        await api.send(ticket, "Hallo", **key),
        await api.send(other, "Hello", **key),
        await api.send(ticket, "Hello", role="helpdesk", **key),
    ):
        assert (answer.status, answer.body["code"]) == (422, "idempotency_key_reused")


async def test_message_acknowledged_before_closing_is_still_acknowledged_after(api, key):
    ticket = await api.open()
    sent = await api.send(ticket, "Hello", **key)
    await api.close(ticket)
    assert (await api.send(ticket, "Hello", **key)).body == sent.body


async def test_malformed_key_is_422(api, key):
    uuid = key["Idempotency-Key"]
    for bad in ("", "1", "no-uuid", f"{{{uuid}}}", uuid.replace("-", "")):
        answer = await post(api, "No light", {"Idempotency-Key": bad})
        assert (answer.status, answer.body["errors"][0]["field"]) == (422, "Idempotency-Key")
