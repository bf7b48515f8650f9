"""One login cannot take all that the broker has: connections, channels, queues, room on disk."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aio_pika
import pytest
from aio_pika import Message
from aio_pika.exceptions import DeliveryError
from aiormq.exceptions import AMQPError

from contracts.topology import RPC_REPORT_ACTIVE, VHOST
from deploy.local.names import Names
from tests.conftest import DEFINITIONS, Broker

USERS = {user["name"]: user["limits"] for user in DEFINITIONS["users"]}
PASSWORD = "a password of the tests"
MEGABYTE = 1_000_000


def test_the_broker_has_the_limits_of_the_definitions(names: Names) -> None:
    broker = Broker(names, VHOST)
    limits = broker.manage("GET", "vhost-limits/{vhost}")
    assert [limit["value"] for limit in limits] == [DEFINITIONS["parameters"][0]["value"]]
    for user, expected in USERS.items():
        assert expected.keys() == {"max-connections", "max-channels"}
        [found] = broker.manage("GET", f"user-limits/{user}")
        assert found["value"] == expected


@pytest.fixture
async def limited(broker: Broker, worker_id: str) -> AsyncIterator[str]:
    """Return the address of a login with the operator's limits; others use the operator's own."""
    user = f"limited-{worker_id}"
    broker.manage("PUT", f"users/{user}", {"password": PASSWORD, "tags": ""})
    rights = dict.fromkeys(("configure", "write", "read"), "")
    broker.manage("PUT", f"permissions/{{vhost}}/{user}", rights)
    for name, value in USERS["operator"].items():
        broker.manage("PUT", f"user-limits/{user}/{name}", {"value": value})
    address = aio_pika.connection.make_url(broker.url("operator"))
    yield str(address.with_user(user).with_password(PASSWORD))
    broker.manage("DELETE", f"users/{user}")


async def until_refused(step: Callable[[int], Awaitable[Any]], refusal: type[Exception]) -> int:
    """Return how often a step succeeds."""
    for done in range(1_000):
        try:
            await step(done)
        except refusal:
            return done
    return 1_000


async def test_a_login_takes_its_own_connections_and_no_more(broker: Broker, limited: str) -> None:
    async with AsyncExitStack() as exits:

        async def connect(_: int) -> None:
            await exits.enter_async_context(await aio_pika.connect(limited))

        assert await until_refused(connect, Exception) == USERS["operator"]["max-connections"]
        await exits.enter_async_context(await aio_pika.connect(broker.url("web")))


async def test_a_login_opens_its_own_channels_and_no_more(limited: str) -> None:
    async with await aio_pika.connect(limited) as connection:

        async def open_channel(_: int) -> None:
            await connection.channel()

        opened = await until_refused(open_channel, Exception)
        assert opened == USERS["operator"]["max-channels"]


async def test_web_makes_so_many_queues_and_no_more(broker: Broker) -> None:
    most = DEFINITIONS["parameters"][0]["value"]["max-queues"] - len(DEFINITIONS["queues"])
    async with await aio_pika.connect(broker.url("web")) as connection:
        channel = await connection.channel()

        async def declare(number: int) -> None:
            await channel.declare_queue(f"web.live.{number}", exclusive=True)

        assert await until_refused(declare, AMQPError) == most
    # Each web process has two, and three of its login's connections.
    assert most >= 2 * (USERS["web"]["max-connections"] // 3)


async def test_a_queue_holds_so_many_bytes_and_no_more(broker: Broker) -> None:
    [policy] = (p["definition"] for p in DEFINITIONS["policies"] if p["name"] == "reports")
    most = policy["max-length-bytes"] // MEGABYTE
    async with await aio_pika.connect(broker.url("web")) as connection:
        channel = await connection.channel(publisher_confirms=True)

        async def publish(_: int) -> None:
            await channel.default_exchange.publish(Message(bytes(MEGABYTE)), RPC_REPORT_ACTIVE)

        # The broker says that a queue is full after it is.
        assert most <= await until_refused(publish, DeliveryError) <= most + 2
    broker.purge()
