"""Dead letters cannot fill the broker's disk, and one of an event is not lost at the limit."""

import asyncio
from collections.abc import Iterator

import aio_pika
import pytest

from contracts.topology import ANALYTICS_TICKETS, RPC_CLASSIFY, dead_letter_queue
from deploy.local.names import Names
from tests.conftest import DEFINITIONS, Broker

LIMIT = 5
REFUSED = 20
# The broker tells a publisher that a queue is full after it is.
SLACK = 2


@pytest.fixture
def tight(names: Names, worker_id: str) -> Iterator[Broker]:
    """Return a virtual host of its own whose dead-letter queues have room for LIMIT messages."""
    broker = Broker(names, f"bounds-{worker_id}")
    broker.manage("PUT", "vhosts/{vhost}", {})
    rights = dict.fromkeys(("configure", "write", "read"), ".*")
    broker.manage("PUT", "permissions/{vhost}/admin", rights)
    queues = (RPC_CLASSIFY, ANALYTICS_TICKETS)
    wanted = {*queues, *map(dead_letter_queue, queues)}
    broker.manage(
        "POST",
        "definitions/{vhost}",
        {
            "policies": [_tightened(policy) for policy in DEFINITIONS["policies"]],
            "exchanges": DEFINITIONS["exchanges"],
            "queues": [queue for queue in DEFINITIONS["queues"] if queue["name"] in wanted],
            "bindings": [b for b in DEFINITIONS["bindings"] if b["destination"] in wanted],
        },
    )
    yield broker
    broker.delete()


def _tightened(policy: dict) -> dict:
    if not policy["name"].startswith("dead"):
        return policy
    return policy | {"definition": policy["definition"] | {"max-length": LIMIT}}


async def test_beyond_the_limit_the_oldest_requests_go_and_events_wait(tight: Broker) -> None:
    async with await aio_pika.connect(tight.admin_url) as connection:
        channel = await connection.channel()
        for name in (RPC_CLASSIFY, ANALYTICS_TICKETS):
            queue = await channel.get_queue(name)
            for number in range(REFUSED):
                body = aio_pika.Message(str(number).encode())
                await channel.default_exchange.publish(body, name)
                await (await queue.get(timeout=10)).reject(requeue=False)

        async def dead(name: str) -> list[int]:
            queue = await channel.get_queue(dead_letter_queue(name))
            found = [await queue.get(fail=False) for _ in range(REFUSED)]
            numbers = [int(message.body) for message in found if message]
            for message in found:
                if message:
                    await message.nack(requeue=True)
            return numbers

        async with asyncio.timeout(20):
            latest = list(range(REFUSED - LIMIT, REFUSED))
            while sorted(await dead(RPC_CLASSIFY)) != latest:
                await asyncio.sleep(0.1)
            while len(events := await dead(ANALYTICS_TICKETS)) < LIMIT:
                await asyncio.sleep(0.1)
        assert sorted(events) == list(range(len(events)))
        assert len(events) <= LIMIT + SLACK
