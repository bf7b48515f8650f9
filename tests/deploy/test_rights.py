"""Each part may do what it must and nothing else, tried against the real servers."""

import aio_pika
import asyncpg
import pytest
from aiormq.exceptions import ChannelAccessRefused

from contracts.topology import DIRECT_REPLY_TO, DURABLE_QUEUES, EXCHANGE_TICKETS
from tests.conftest import Broker

READS = {
    "web": set(),
    "ticket_svc": {"ticket_svc.categorised"},
    "analytics_svc": {q for q in DURABLE_QUEUES if q.startswith(("analytics_svc", "rpc.report"))},
    "classifier_svc": {"rpc.classify"},
}


@pytest.mark.parametrize("user", READS)
async def test_a_service_reads_its_own_queues_only(broker: Broker, user: str) -> None:
    readable = set()
    for name in DURABLE_QUEUES:
        connection = await aio_pika.connect(broker.url(user))
        async with connection:
            queue = await (await connection.channel()).get_queue(name, ensure=False)
            try:
                await queue.get(fail=False)
                readable.add(name)
            except ChannelAccessRefused:
                pass
    assert readable == READS[user]


@pytest.mark.parametrize("user", READS)
async def test_only_the_ticket_service_publishes_events(broker: Broker, user: str) -> None:
    connection = await aio_pika.connect(broker.url(user))
    async with connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(EXCHANGE_TICKETS, ensure=False)
        message = aio_pika.Message(b"{}")
        if user == "ticket_svc":
            await exchange.publish(message, "ticket.opened")
        else:
            with pytest.raises(ChannelAccessRefused):
                await exchange.publish(message, "ticket.opened")


@pytest.mark.parametrize("user", READS)
async def test_no_service_declares_or_deletes_a_durable_queue(broker: Broker, user: str) -> None:
    connection = await aio_pika.connect(broker.url(user))
    async with connection:
        with pytest.raises(ChannelAccessRefused):
            await (await connection.channel()).declare_queue("mine", durable=True)
        with pytest.raises(ChannelAccessRefused):
            await (await connection.channel()).queue_delete(DURABLE_QUEUES[0])


async def test_the_web_tier_may_have_its_live_queue_and_direct_replies(broker: Broker) -> None:
    connection = await aio_pika.connect(broker.url("web"))
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("web.live.test", exclusive=True, auto_delete=True)
        await queue.bind(EXCHANGE_TICKETS, "#")
        replies = await channel.get_queue(DIRECT_REPLY_TO, ensure=False)

        async def ignore(_: aio_pika.abc.AbstractIncomingMessage) -> None:
            pass

        await replies.consume(ignore, no_ack=True)


async def test_neither_database_role_reads_the_other_s_schema(
    ticket_database_url: str, analytics_database_url: str
) -> None:
    for url, table in (
        (ticket_database_url, "analytics.ticket_state"),
        (analytics_database_url, "tickets.ticket"),
    ):
        connection = await asyncpg.connect(url)
        try:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"SELECT * FROM {table}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("CREATE TABLE public.mine ()")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("CREATE SCHEMA mine")
        finally:
            await connection.close()
