"""A missing part degrades one thing, and is back in use without a restart."""

import asyncio

import pytest

from runtime.turns import Turns
from tests.cable import Cable
from tests.ticket_svc.conftest import serve
from ticket_svc import tickets
from ticket_svc.database import ACQUIRE_SECONDS, POOL_MAX_CONNECTIONS
from ticket_svc.keys import GATE


@pytest.fixture
async def cable(ticket_database_url):
    async with Cable(ticket_database_url) as cable:
        yield cable


@pytest.fixture
async def cabled_api(cable):
    async with serve(cable.url) as api:
        yield api


async def test_database_away_is_a_clear_503_and_over_when_it_is_back(cable, cabled_api, caplog):
    api = cabled_api
    ticket = await api.open()
    await cable.cut()
    for answer in (
        await api.call("GET", f"/v1/tickets/{ticket['id']}"),
        await api.call("POST", "/v1/tickets", json={"description": "A secret"}),
    ):
        assert (answer.status, answer.body["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.body["support_id"] in caplog.text
    assert "secret" not in caplog.text
    answer = await api.call("GET", "/health/ready", expect=503)
    assert answer.body["missing"] == ["database"]
    await api.call("GET", "/health/live", expect=200)
    assert "ticket_outbox_depth NaN" in (await api.call("GET", "/metrics", expect=200)).body
    await cable.mend()
    assert await api.get(ticket["id"]) == ticket
    await api.call("GET", "/health/ready", expect=200)


async def test_service_starts_without_database_and_waits_for_it(cable):
    await cable.cut()
    async with serve(cable.url) as api:
        await api.call("GET", "/health/ready", expect=503)
        await cable.mend()
        await api.call("GET", "/health/ready", expect=200)


async def test_broker_away_leaves_the_service_ready(api):
    await api.open()
    answer = await api.call("GET", "/health/ready", expect=200)
    reasons = answer.body.pop("reasons")
    assert answer.body == {"status": "ready", "missing": [], "degraded": ["broker"]}
    assert reasons["broker"]


async def test_nothing_is_degraded_with_everything_there(api_with_broker):
    async with asyncio.timeout(5):
        while (await api_with_broker.call("GET", "/health/ready", expect=200)).body["degraded"]:
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("patient")
async def test_busy_pool_is_a_503_within_seconds(api, sql, blocked):
    tickets = [await api.open() for _ in range(POOL_MAX_CONNECTIONS)]
    async with sql.transaction():
        await sql.execute("SELECT FROM ticket FOR UPDATE")
        writes = [asyncio.create_task(api.send(ticket, "x")) for ticket in tickets]
        await blocked(POOL_MAX_CONNECTIONS)
        async with asyncio.timeout(2 * ACQUIRE_SECONDS):
            await api.call("GET", f"/v1/tickets/{tickets[0]['id']}", expect=503)
    assert {answer.status for answer in await asyncio.gather(*writes)} == {201}


async def test_more_than_can_be_served_is_a_503_at_once(api):
    api.app[GATE]._turns = Turns(0, 0, lambda _: 0)
    answer = await api.call("POST", "/v1/tickets", json={"description": "x"}, expect=503)
    assert (answer.body["code"], answer.headers["Retry-After"]) == ("busy", "2")
    await api.call("GET", "/health/ready", expect=200)
    api.app[GATE]._turns = Turns(1, 0, lambda _: 1)
    assert (await api.list())["items"] == []


async def test_defect_is_a_500_with_a_support_id_that_is_in_the_log(api, monkeypatch, caplog):
    async def broken(_pool):
        raise RuntimeError("a defect")

    monkeypatch.setattr(tickets, "count_tickets", broken)
    answer = await api.call("GET", "/v1/tickets/counts")
    assert (answer.status, answer.body["code"]) == (500, "internal")
    assert answer.body["support_id"] in caplog.text
    assert "a defect" in caplog.text
    assert "defect" not in str(answer.body)


async def test_requests_are_counted_by_template_and_status(api):
    ticket = await api.open()
    await api.get(ticket["id"])
    await api.call("GET", "/nothing", expect=404)
    figures = (await api.call("GET", "/metrics", expect=200)).body
    labels = 'method="GET",route="/v1/tickets/{id}",status="200"'
    assert f"ticket_request_seconds_count{{{labels}}}" in figures
    assert 'ticket_request_seconds_count{method="none",route="none",status="404"}' in figures
    assert "/nothing" not in figures
    assert "ticket_outbox_depth 3.0" in figures
