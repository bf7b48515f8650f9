"""The export streams every ticket as of one moment, and costs little memory."""

import json

import aiohttp
import pytest

from tests.ticket_svc.conftest import TOKEN

HELPDESK = {"Authorization": f"Bearer {TOKEN}", "X-Role": "helpdesk"}


async def test_export_holds_every_ticket_by_id(api):
    tickets = [await api.open(f"Problem {n}\nwith two lines") for n in range(3)]
    tickets[1] = await api.close(tickets[1])
    answer = await api.call("GET", "/v1/tickets/export", expect=200)
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.body.splitlines()] == tickets


async def test_export_of_nothing_is_empty(api):
    assert (await api.call("GET", "/v1/tickets/export", expect=200)).body == ""


async def test_export_spans_batches_and_shows_one_moment(api, sql):
    await sql.execute(
        "INSERT INTO ticket (description) SELECT repeat('x', 5000) FROM generate_series(1, 2500)"
    )
    async with api.client.get("/v1/tickets/export", headers=HELPDESK) as response:
        first = await response.content.readline()
        await api.open("Too late for this export")
        rest = (await response.content.read()).splitlines()
    ids = [json.loads(line)["id"] for line in [first, *rest]]
    assert ids == list(range(1, 2501))


async def test_export_that_breaks_is_not_taken_for_a_whole_one(api, sql, caplog):
    await sql.execute(
        "INSERT INTO ticket (description) SELECT repeat('x', 9000) FROM generate_series(1, 2500)"
    )
    async with api.client.get("/v1/tickets/export", headers=HELPDESK) as response:
        await response.content.readline()
        await sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state = 'idle in transaction'"
        )
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.content.read()
    assert "database away" in caplog.text
    assert "Traceback" not in caplog.text
