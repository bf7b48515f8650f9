"""Events reach the reports over the real broker; poison stands aside."""

import asyncio
from contextlib import suppress
from functools import partial

import aio_pika
import pytest

from analytics_svc.database import writing
from analytics_svc.projection import Projection
from analytics_svc.rebuild import build_if_needed
from bus.rpc import RpcError
from contracts.messages import Event
from contracts.rest import Ticket
from contracts.topology import ANALYTICS_TICKETS, EXCHANGE_TICKETS, dead_letter_queue
from contracts.vocabulary import Category, Status
from runtime.postgres import Database
from tests.analytics_svc.conftest import ROME, Tickets, count_active, running, ticket
from tests.conftest import Broker
from tests.signing import keys_of, signed

IT = Category.TECHNICAL_IT
OPENED = b'"opened_at":"2026-05-11T13:07:21.654321Z"'


def body(state: Ticket) -> bytes:
    return Event(ticket=state).model_dump_json().encode()


async def publish(broker: Broker, *bodies: bytes) -> None:
    """Publish events as the ticket service does."""
    async with await aio_pika.connect(broker.url("ticket_svc")) as connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(EXCHANGE_TICKETS, ensure=False)
        messages = [signed(content) for content in bodies]
        await asyncio.gather(
            *(exchange.publish(message, "ticket.modified", mandatory=True) for message in messages)
        )


async def dead_letters(broker: Broker, n: int) -> list[bytes]:
    """Return the first `n` dead letters, waiting for them."""
    async with asyncio.timeout(10), await aio_pika.connect(broker.admin_url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(dead_letter_queue(ANALYTICS_TICKETS), ensure=False)
        found: list[bytes] = []
        while len(found) < n:
            if message := await queue.get(fail=False, no_ack=True):
                found.append(message.body)
            else:
                await asyncio.sleep(0.02)
        return found


async def until_active(pool: Database, expected: dict[Category | None, int]) -> None:
    """Wait until the report says so."""
    async with asyncio.timeout(10):
        while True:
            with suppress(RpcError):
                if await count_active(pool) == expected:
                    return
            await asyncio.sleep(0.02)


def projecting(pool: Database, tickets: Tickets, broker: Broker) -> Projection:
    build = partial(build_if_needed, pool, tickets.api, ROME)
    return Projection(pool, build, keys_of("analytics_svc"))


async def test_events_reach_the_report(pool: Database, tickets: Tickets, broker: Broker) -> None:
    tickets.hold([ticket(1, 3, Status.ACTIVE, IT)])
    worker = projecting(pool, tickets, broker)
    async with running(worker.run(broker.url("analytics_svc"), "test")):
        await until_active(pool, {IT: 1})
        await publish(
            broker,
            *(body(ticket(id, 2, Status.ACTIVE, IT)) for id in range(2, 1200)),
            *(body(ticket(id, 1)) for id in range(2, 1200)),
            body(ticket(1, 2, Status.ACTIVE)),
        )
        await until_active(pool, {IT: 1199})
        await publish(broker, body(ticket(1, 4, Status.CLOSED, IT)))
        await until_active(pool, {IT: 1198})


async def test_two_replicas_count_each_event_once(
    pool: Database, tickets: Tickets, broker: Broker
) -> None:
    events = [body(ticket(id, 2, Status.ACTIVE, IT)) for id in range(1, 600)]
    await publish(broker, *events, *events)
    url = broker.url("analytics_svc")
    replicas = [projecting(pool, tickets, broker) for _ in range(2)]
    async with running(*(replica.run(url, f"test {n}") for n, replica in enumerate(replicas))):
        await until_active(pool, {IT: 599})
        await publish(broker, *events, body(ticket(1000, 1, Status.ACTIVE)))
        await until_active(pool, {IT: 599, None: 1})


async def test_poison_becomes_a_dead_letter_and_blocks_nothing(
    built_pool: Database, tickets: Tickets, broker: Broker
) -> None:
    poison = [
        b"not JSON",
        b"{}",
        body(ticket(5, 1)).replace(b'"open"', b'"reopened"'),
        # No state that a ticket can have.
        body(ticket(6, 1)).replace(b'"open"', b'"closed"'),
        # A number that no column holds.
        body(ticket(7, 1)).replace(b'"version":1', b'"version":%d' % 10**30),
        # Closed before it was opened: it would move the mean of a month.
        body(ticket(8, 1, Status.CLOSED)).replace(b'"closed_at":"2026', b'"closed_at":"2025'),
        # PostgreSQL would read the first as -infinity, and a report of months begin there.
        body(ticket(9, 1)).replace(OPENED, b'"opened_at":"0001-01-01T00:00:00Z"'),
        body(ticket(10, 1)).replace(OPENED, b'"opened_at":"9999-12-31T23:59:59.999999Z"'),
    ]
    good = [body(ticket(id, 1, Status.ACTIVE)) for id in (1, 2, 3)]
    await publish(broker, good[0], *poison, *good[1:])
    worker = projecting(built_pool, tickets, broker)
    async with running(worker.run(broker.url("analytics_svc"), "test")):
        await until_active(built_pool, {None: 3})
        assert sorted(await dead_letters(broker, len(poison))) == sorted(poison)


async def test_events_wait_while_the_database_is_away(
    built_pool: Database, tickets: Tickets, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    worker = projecting(built_pool, tickets, broker)
    async with writing(built_pool) as connection:
        await connection.execute("ALTER TABLE ticket_state RENAME TO away")
    async with running(worker.run(broker.url("analytics_svc"), "test")):
        await publish(broker, body(ticket(1, 1, Status.ACTIVE)))
        async with asyncio.timeout(10):
            while "waiting" not in caplog.text:
                await asyncio.sleep(0.02)
        async with writing(built_pool) as connection:
            await connection.execute("ALTER TABLE away RENAME TO ticket_state")
        await until_active(built_pool, {None: 1})
