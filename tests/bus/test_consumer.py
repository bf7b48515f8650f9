"""What a consumer of events may rely on: nothing lost, poison apart, waiting is no redelivery."""

import asyncio
from urllib.parse import quote

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from bus.consumer import BatchConsumer
from contracts.topology import ANALYTICS_TICKETS, dead_letter_queue
from tests.bus.test_rpc import publish, running, until
from tests.conftest import Broker


class Away(Exception):
    """The database does not answer."""


def decode(message: AbstractIncomingMessage) -> int:
    if message.body == b"deep":
        raise RecursionError
    return int(message.body)


async def dead_letters(broker: Broker) -> list[bytes]:
    connection = await aio_pika.connect(broker.admin_url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.get_queue(dead_letter_queue(ANALYTICS_TICKETS))
        found = []
        while message := await queue.get(fail=False, no_ack=True):
            found.append(message.body)
        return found


async def test_everything_waiting_is_handled_in_order_and_acknowledged(broker: Broker) -> None:
    for n in range(50):
        await publish(broker, ANALYTICS_TICKETS, b"%d" % n)
    seen: list[int] = []

    async def handle(items: list[int]) -> None:
        seen.extend(items)

    consumer = BatchConsumer(ANALYTICS_TICKETS, decode, handle, transient=(), batch=20)
    async with running(consumer.run(broker.url("analytics_svc"), "test")):
        await until(lambda: len(seen) == 50)
        await asyncio.sleep(0.1)
    assert seen == list(range(50))
    again: list[int] = []

    async def remember(items: list[int]) -> None:
        again.extend(items)

    consumer = BatchConsumer(ANALYTICS_TICKETS, decode, remember, transient=())
    async with running(consumer.run(broker.url("analytics_svc"), "test")):
        await asyncio.sleep(0.3)
    assert again == []


async def test_poison_becomes_a_dead_letter_and_the_rest_goes_on(broker: Broker) -> None:
    for body in (b"1", b"not a number", b"2", b"13", b"deep", b"3"):
        await publish(broker, ANALYTICS_TICKETS, body)
    seen: list[int] = []

    async def handle(items: list[int]) -> None:
        if 13 in items:
            raise ZeroDivisionError
        seen.extend(items)

    consumer = BatchConsumer(ANALYTICS_TICKETS, decode, handle, transient=())
    async with running(consumer.run(broker.url("analytics_svc"), "test")):
        await until(lambda: sorted(seen) == [1, 2, 3])
        await asyncio.sleep(0.2)
    letters: list[bytes] = []
    async with asyncio.timeout(10):
        while len(letters) < 3:
            letters += await dead_letters(broker)
    assert sorted(letters) == [b"13", b"deep", b"not a number"]


async def test_while_the_database_is_away_the_same_batch_waits(broker: Broker) -> None:
    await publish(broker, ANALYTICS_TICKETS, b"1")
    tries: list[int] = []

    async def handle(items: list[int]) -> None:
        tries.extend(items)
        if len(tries) < 4:
            raise Away

    consumer = BatchConsumer(ANALYTICS_TICKETS, decode, handle, transient=(Away,))
    async with running(consumer.run(broker.url("analytics_svc"), "test")):
        await until(lambda: len(tries) == 4)
    assert tries == [1, 1, 1, 1]
    assert await dead_letters(broker) == []


async def test_a_consumer_that_the_broker_cut_off_hears_again(broker: Broker) -> None:
    seen: list[int] = []

    async def handle(items: list[int]) -> None:
        seen.extend(items)

    name = f"cut-{broker.vhost}"
    consumer = BatchConsumer(ANALYTICS_TICKETS, decode, handle, transient=())
    async with running(consumer.run(broker.url("analytics_svc"), name)):
        await until(lambda: consumer.is_connected)
        cut = []
        async with asyncio.timeout(20):
            while not cut:
                # Management shows a connection some seconds after it was made.
                await asyncio.sleep(0.2)
                cut = [
                    connection["name"]
                    for connection in broker.manage("GET", "connections")
                    if connection.get("client_properties", {}).get("connection_name") == name
                ]
        broker.manage("DELETE", f"connections/{quote(cut[0], safe='')}")
        await publish(broker, ANALYTICS_TICKETS, b"1")
        await until(lambda: seen == [1])
