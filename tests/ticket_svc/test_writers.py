"""Who changes one ticket takes turns: few hold a connection, some wait, others are told."""

import asyncio

import pytest

from runtime import http, writers
from runtime.writers import WAITING_MAX, WRITERS_AT_ONCE, Writers
from tests.ticket_svc.conftest import serve
from ticket_svc.database import ACQUIRE_SECONDS, LOCK_MILLISECONDS
from web.ticket_api import DEADLINE_SECONDS

ROOM = WRITERS_AT_ONCE + WAITING_MAX


def test_all_that_a_request_waits_for_is_less_than_the_web_tier_waits():
    turns_s = writers.WAIT_SECONDS + http.WAIT_SECONDS
    assert turns_s + ACQUIRE_SECONDS + LOCK_MILLISECONDS / 1_000 < DEADLINE_SECONDS


@pytest.fixture
def hold(sql):
    """Return a function that holds rows until the end of a transaction."""

    async def run(*tickets):
        ids = [ticket["id"] for ticket in tickets]
        await sql.execute("SELECT FROM ticket WHERE id = ANY($1::bigint[]) FOR UPDATE", ids)

    return run


async def count_sessions_that_wait(sql):
    await sql.execute("SELECT pg_stat_clear_snapshot()")
    return await sql.fetchval(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )


@pytest.mark.usefixtures("patient")
async def test_who_finds_no_room_to_wait_is_told_at_once_and_all_others_are_served(
    api, sql, blocked, hold
):
    ticket = await api.open()
    async with sql.transaction():
        await hold(ticket)
        sends = [asyncio.create_task(api.send(ticket, "x")) for _ in range(ROOM + 6)]
        while len(refused := [one.result() for one in sends if one.done()]) < 6:
            await asyncio.wait(
                [one for one in sends if not one.done()], return_when="FIRST_COMPLETED"
            )
        await blocked(WRITERS_AT_ONCE)
        assert await count_sessions_that_wait(sql) == WRITERS_AT_ONCE
    for answer in refused:
        assert (answer.status, answer.body["code"]) == (503, "contended")
        assert int(answer.headers["Retry-After"]) > 0
    answers = await asyncio.gather(*sends)
    assert sorted(answer.status for answer in answers) == [201] * ROOM + [503] * 6
    assert (await api.get(ticket["id"]))["messages"] == ROOM


async def test_a_lock_that_is_not_had_in_time_is_a_503_that_says_so(api, sql, hold):
    ticket = await api.open()
    async with sql.transaction():
        await hold(ticket)
        answers = await asyncio.gather(
            *(api.send(ticket, "x") for _ in range(4)),
            api.edit(ticket, description="y"),
            api.move(ticket, "active"),
            api.call("PUT", f"/v1/tickets/{ticket['id']}/duplicate_of", json={"ticket": 1}),
        )
    for answer in answers:
        if answer.status != 422:  # the ticket is 1 itself
            assert (answer.status, answer.body["code"]) == (503, "contended")
            assert "support_id" not in answer.body
    assert await api.get(ticket["id"]) == ticket
    assert (await api.call("GET", "/health/ready", expect=200)).body["missing"] == []
    assert (await api.send(ticket, "x")).status == 201


@pytest.mark.usefixtures("patient")
async def test_marks_of_many_duplicates_hold_no_more_than_one_ticket_may(api, sql, blocked, hold):
    original, *others = [await api.open(f"Lift {n}") for n in range(9)]
    async with sql.transaction():
        await hold(original)
        marks = [
            asyncio.create_task(
                api.call(
                    "PUT",
                    f"/v1/tickets/{one['id']}/duplicate_of",
                    json={"ticket": original["id"]},
                )
            )
            for one in others
        ]
        await blocked(WRITERS_AT_ONCE)
        # Whoever got in by now would wait for the row too.
        assert (await api.send(others[0], "x")).status in (201, 503)
        assert await count_sessions_that_wait(sql) == WRITERS_AT_ONCE
    assert {(await one).status for one in marks} == {200}


async def test_tickets_that_nobody_changes_are_forgotten(ticket_database_url, monkeypatch):
    kept = []
    make = Writers.__init__

    def remember(self, row_of):
        make(self, row_of)
        kept.append(self)

    monkeypatch.setattr(Writers, "__init__", remember)
    async with serve(ticket_database_url) as api:
        ticket = await api.open()
        for n in range(5):
            await api.send(ticket, f"{n}")
            await api.call("PUT", f"/v1/tickets/{n + 90}/status", json={"status": "active"})
        [turns] = kept
        assert not turns._rows
