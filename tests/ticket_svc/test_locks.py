"""What nobody waits for waits for a lock as long as it takes, and locks nothing without need."""

import asyncio
import json

import aio_pika
import pytest

from contracts.topology import TICKET_CATEGORISED, TICKET_EMBEDDED
from contracts.vocabulary import EMBEDDING_DIMENSIONS
from tests.signing import asked
from tests.ticket_svc.conftest import wait_for_blocked
from ticket_svc import outbox, relay
from ticket_svc.database import SESSION

CATEGORY = {
    "category": "technical_it",
    "confidence": 0.9,
    "scores": {"technical_it": 0.9},
    "because": ["wifi"],
    "model": "test",
}
VECTOR = {"vector": [1.0] + [0.0] * (EMBEDDING_DIMENSIONS - 1), "model": "test"}
TICKET_ROW = "SELECT FROM ticket FOR UPDATE"
# What is held, what then comes, and how much of it is there in the end.
WAITING = {
    "a late category": (
        TICKET_ROW,
        (TICKET_CATEGORISED, "{id}", CATEGORY),
        "SELECT count(*) FROM ticket WHERE category IS NOT NULL",
    ),
    "a late vector": (
        TICKET_ROW,
        (TICKET_EMBEDDED, "{id}.1", VECTOR),
        "SELECT count(*) FROM ticket_vector",
    ),
    "the relay": (
        "SELECT FROM relay FOR UPDATE",
        None,
        "SELECT 1 WHERE NOT EXISTS (SELECT FROM outbox)",
    ),
}


@pytest.fixture
def hasty(monkeypatch):
    """Let callers wait for no lock at all; use it before the service."""
    monkeypatch.setitem(SESSION, "lock_timeout", "1")


async def put(broker, queue, name, result):
    """Answer as the classifier would."""
    async with await aio_pika.connect(broker.admin_url) as connection:
        channel = await connection.channel()
        message = aio_pika.Message(
            json.dumps({"result": result}).encode(), correlation_id=asked(queue, name)
        )
        await channel.default_exchange.publish(message, queue)


async def list_waiting(sql):
    await sql.execute("SELECT pg_stat_clear_snapshot()")
    return await sql.fetch(
        "SELECT pid, query_start FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("held", "answer", "done"), WAITING.values(), ids=WAITING)
async def test_it_stays_in_line_for_its_lock(broker, sql, api_with_broker, held, answer, done):
    ticket = await api_with_broker.open() if answer else None
    async with asyncio.timeout(10):
        while await sql.fetchval("SELECT count(*) FROM outbox"):
            await asyncio.sleep(0.02)
    async with sql.transaction():
        await sql.execute(held)
        if answer:
            queue, name, result = answer
            await put(broker, queue, name.format_map(ticket), result)
        else:
            await api_with_broker.open()
        await wait_for_blocked(sql, 1)
        first = await list_waiting(sql)
        await sql.execute("SELECT pg_sleep(0.2)")  # far longer than callers wait here
        assert await list_waiting(sql) == first
        assert len(first) == 1
    async with asyncio.timeout(10):
        while not await sql.fetchval(done):
            await asyncio.sleep(0.02)


async def test_a_relay_that_has_nothing_to_do_writes_nothing(api_with_broker, sql, monkeypatch):
    looks = asyncio.Semaphore(0)
    look = outbox.lock_outbox

    async def count(connection):
        found = await look(connection)
        looks.release()
        return found

    monkeypatch.setattr(relay, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(outbox, "lock_outbox", count)
    for _ in range(3):
        await looks.acquire()
    # Who locks a row leaves its transaction's id in it.
    before = await sql.fetchval("SELECT xmax::text FROM relay")
    for _ in range(3):
        await looks.acquire()
    assert await sql.fetchval("SELECT xmax::text FROM relay") == before
