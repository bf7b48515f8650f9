"""Simultaneous changes of one ticket: none is lost, none is half done."""

import asyncio

import pytest

from runtime.writers import WRITERS_AT_ONCE
from ticket_svc.app import REQUESTS_AT_ONCE

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
async def held(api, sql, blocked):
    """Return a function that runs calls while the ticket's row is held, so that they meet."""

    async def run(ticket, *calls):
        async with sql.transaction():
            await sql.execute("SELECT FROM ticket WHERE id = $1 FOR UPDATE", ticket["id"])
            tasks = [asyncio.create_task(call) for call in calls]
            await blocked(min(len(tasks), WRITERS_AT_ONCE))
        return await asyncio.gather(*tasks)

    return run


async def test_of_simultaneous_edits_from_one_version_one_wins(api, held):
    ticket = await api.open()
    answers = await held(ticket, *(api.edit(ticket, description=f"Text {n}") for n in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 412, 412, 412, 412]
    winner = next(answer.body for answer in answers if answer.status == 200)
    assert await api.get(ticket["id"]) == winner
    for answer in answers:
        if answer.status == 412:
            assert answer.body["ticket"]["description"] == winner["description"]


async def test_simultaneous_steps_are_one_step(api, held):
    ticket = await api.open()
    answers = await held(ticket, *(api.move(ticket, "active") for _ in range(5)))
    assert {(answer.status, answer.body["version"]) for answer in answers} == {(200, 2)}
    assert len(await api.history(ticket)) == 2


async def test_simultaneous_messages_are_all_kept(api, held):
    ticket = await api.open()
    answers = await held(ticket, *(api.send(ticket, f"Message {n}") for n in range(8)))
    assert {answer.status for answer in answers} == {201}
    thread = (await api.call("GET", f"/v1/tickets/{ticket['id']}/messages")).body["items"]
    assert len({message["id"] for message in thread}) == 8
    assert [m["sent_at"] for m in thread] == sorted(m["sent_at"] for m in thread)
    assert (await api.get(ticket["id"]))["version"] == 9


async def test_times_of_a_ticket_never_go_back(api, held):
    ticket = await api.open()
    await held(ticket, *(api.send(ticket, f"Message {n}") for n in range(8)))
    times = [item["at"] for item in await api.history(ticket)]
    assert times == sorted(times)


async def test_message_and_closing_meet_in_either_order_and_never_half(api, held, sql):
    ticket = await api.open()
    await api.move(ticket, "active")
    sent, closed = await held(ticket, api.send(ticket, "Wait"), api.move(ticket, "closed"))
    assert closed.status == 200
    assert sent.status in (201, 409)
    kept = await sql.fetchval("SELECT count(*) FROM message")
    assert kept == (1 if sent.status == 201 else 0)
    assert (await api.get(ticket["id"]))["messages"] == kept


async def test_counts_stay_exact_and_nothing_deadlocks_under_load(api):
    # As many as the service works on together; those beyond could be asked to come back.
    places = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def all_of(calls):
        async def placed(call):
            async with places:
                return await call

        return await asyncio.gather(*map(placed, calls))

    tickets = await all_of([api.open() for _ in range(40)])
    await all_of(
        [api.move(ticket, "active") for ticket in tickets] + [api.open() for _ in range(20)]
    )
    await all_of([api.move(ticket, "closed") for ticket in tickets[:30]])
    counts = (await api.call("GET", "/v1/tickets/counts")).body
    assert counts == {"open": 20, "active": 10, "closed": 30}
