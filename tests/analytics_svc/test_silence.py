"""Connections to the database that stay open and carry nothing: new ones are made, nothing waits.

So it is after a failover without a word, or when a firewall forgets.
"""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from analytics_svc import database
from analytics_svc.database import session
from bus.connection import end
from contracts.vocabulary import Status
from runtime.postgres import Database, DatabaseAway
from tests.analytics_svc.conftest import Tickets, running, ticket
from tests.analytics_svc.test_projection import IT, body, projecting, publish, until_active
from tests.cable import Cable
from tests.conftest import Broker


@pytest.fixture
async def cable(analytics_database_url: str) -> AsyncIterator[Cable]:
    async with Cable(analytics_database_url) as cable:
        yield cable


@pytest.fixture
async def cabled(cable: Cable, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """Return a pool at the end of the cable, which is less patient than the service's."""
    monkeypatch.setattr(database, "ACQUIRE_SECONDS", 1.0)
    monkeypatch.setattr(database, "COMMAND_SECONDS", 1.0)
    pool = await database.connect(cable.url).open()
    yield pool
    async with asyncio.timeout(5):
        await pool.close()


async def test_events_are_counted_by_a_new_session_after_the_old_one_fell_silent(
    cable: Cable, cabled: Database, pool: Database, tickets: Tickets, broker: Broker
) -> None:
    tickets.hold([ticket(1, 3, Status.ACTIVE, IT)])
    worker = projecting(cabled, tickets, broker)
    async with running(worker.run(broker.url("analytics_svc"), "test")):
        await publish(broker, body(ticket(2, 2, Status.ACTIVE, IT)))
        await until_active(pool, {IT: 2})
        cable.silence()
        await publish(broker, body(ticket(3, 2, Status.ACTIVE, IT)))
        await until_active(pool, {IT: 3})


async def test_the_projection_stops_while_its_connection_is_silent(
    cable: Cable, cabled: Database, pool: Database, tickets: Tickets, broker: Broker
) -> None:
    tickets.hold([ticket(1, 3, Status.ACTIVE, IT)])
    worker = projecting(cabled, tickets, broker)
    following = asyncio.create_task(worker.run(broker.url("analytics_svc"), "test"))
    await publish(broker, body(ticket(2, 2, Status.ACTIVE, IT)))
    await until_active(pool, {IT: 2})
    cable.silence()
    await publish(broker, body(ticket(3, 2, Status.ACTIVE, IT)))
    await asyncio.sleep(0.3)
    stopping = time.monotonic()
    async with asyncio.timeout(10):
        await end(following)
        await cabled.close()
    assert time.monotonic() - stopping < 5


async def ask_in_silence(cable: Cable, pool: Database) -> None:
    async with session(pool) as connection:
        cable.silence()
        await connection.fetchval("SELECT 1")


async def test_a_rebuild_whose_connection_falls_silent_ends_and_says_so(
    cable: Cable, cabled: Database
) -> None:
    async with asyncio.timeout(10):
        with pytest.raises(DatabaseAway, match="no answer in time"):
            await ask_in_silence(cable, cabled)
        async with session(cabled) as connection:
            assert await connection.fetchval("SELECT 1") == 1
            cable.silence()
