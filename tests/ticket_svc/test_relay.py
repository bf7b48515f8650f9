"""Events reach RabbitMQ once and in order while nothing fails, and at least once whatever fails."""

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager, suppress

import aio_pika
import pytest
from aio_pika import DeliveryMode, Message
from aio_pika.exceptions import DeliveryError

from contracts.messages import ClassifyRequest, Event
from contracts.topology import ANALYTICS_TICKETS, RPC_CLASSIFY, TICKET_CATEGORISED
from tests.cable import Cable
from tests.signing import asked, signing_keys
from tests.ticket_svc.conftest import serve
from ticket_svc.database import create_pool
from ticket_svc.relay import POLL_SECONDS, Relay


@pytest.fixture
async def channel(broker):
    """Return a channel of the administrator."""
    async with await aio_pika.connect(broker.admin_url) as connection:
        yield await connection.channel()


async def take(channel, queue, count=None):
    """Return the next `count` messages of a queue, or those until it has been quiet."""
    messages = []
    source = await channel.get_queue(queue, ensure=False)
    async with asyncio.timeout(15):
        while count is None or len(messages) < count:
            message = await source.get(fail=False, no_ack=True)
            if message:
                messages.append(message)
            elif count is None:
                return messages
            else:
                await asyncio.sleep(0.02)
    return messages


async def wait_until_relayed(sql):
    """Return once the outbox is empty."""
    async with asyncio.timeout(15):
        while await sql.fetchval("SELECT count(*) FROM outbox"):
            await asyncio.sleep(0.02)


@asynccontextmanager
async def relaying(database_url, amqp_url):
    """Run one more relay."""
    async with create_pool(database_url) as pool:
        task = asyncio.create_task(Relay(pool, signing_keys()).run(amqp_url, "test relay"))
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_each_change_is_an_event_with_the_whole_ticket(api_with_broker, channel):
    api = api_with_broker
    ticket = await api.open("No light", category="technical_it")
    states = [ticket, (await api.edit(ticket, description="Dark")).body]
    states.append((await api.edit(states[-1], category="facility_management")).body)
    message = (await api.send(ticket, "Hello")).body
    states.append(await api.get(ticket["id"]))
    states += [(await api.move(ticket, status)).body for status in ("active", "closed")]
    events = await take(channel, ANALYTICS_TICKETS, len(states))
    assert [event.routing_key for event in events] == [
        "ticket.opened",
        "ticket.modified",
        "ticket.categorised",
        "message.sent",
        "ticket.activated",
        "ticket.closed",
    ]
    for event, state in zip(events, states, strict=True):
        assert Event.model_validate_json(event.body).ticket.model_dump(mode="json") == state
        assert event.exchange == "tickets"
        assert event.type == event.routing_key
        assert event.message_id == f"{state['id']}.{state['version']}"
        assert event.content_type == "application/json"
        assert event.delivery_mode is DeliveryMode.PERSISTENT
    assert Event.model_validate_json(events[3].body).message.model_dump(mode="json") == message


async def test_event_follows_its_write_at_once(api_with_broker, channel):
    await api_with_broker.open(category="technical_it")
    async with asyncio.timeout(POLL_SECONDS / 2):
        await take(channel, ANALYTICS_TICKETS, 1)


async def test_ticket_without_category_asks_the_classifier_and_waits_for_ever(
    api_with_broker, channel
):
    ticket = await api_with_broker.open("No light")
    [request] = await take(channel, RPC_CLASSIFY, 1)
    assert ClassifyRequest.model_validate_json(request.body).text == "No light"
    assert request.type == RPC_CLASSIFY
    assert request.reply_to == TICKET_CATEGORISED
    assert request.correlation_id == asked(TICKET_CATEGORISED, str(ticket["id"]))
    assert request.expiration is None
    assert request.delivery_mode is DeliveryMode.PERSISTENT


async def test_two_replicas_send_each_event_once_and_each_ticket_in_order(
    api_with_broker, second_api, channel, sql
):
    replicas = (api_with_broker, second_api)

    async def live(number):
        ticket = await replicas[number % 2].open(f"Problem {number}", category="technical_it")
        for step in range(4):
            await replicas[(number + step) % 2].send(ticket, f"Message {step}")

    await asyncio.gather(*(live(number) for number in range(30)))
    await wait_until_relayed(sql)
    versions = defaultdict(list)
    for message in await take(channel, ANALYTICS_TICKETS):
        ticket = Event.model_validate_json(message.body).ticket
        versions[ticket.id].append(ticket.version)
    assert len(versions) == 30
    assert set(map(tuple, versions.values())) == {(1, 2, 3, 4, 5)}


async def test_refused_requests_hold_no_event_back_and_go_out_later(
    api_with_broker, broker, channel, sql
):
    api = api_with_broker
    full = {
        "pattern": "^rpc\\.classify$",
        "apply-to": "queues",
        "priority": 99,
        "definition": {"max-length": 1, "overflow": "reject-publish"},
    }
    broker.manage("PUT", "policies/{vhost}/full", full)
    try:
        with suppress(DeliveryError):
            while True:
                await channel.default_exchange.publish(Message(b"{}"), RPC_CLASSIFY)
        for number in range(10):
            await api.open(f"Problem {number}")
        assert len(await take(channel, ANALYTICS_TICKETS, 10)) == 10
        async with asyncio.timeout(10):
            while await sql.fetchval("SELECT count(*) FROM outbox WHERE refusals > 1") < 10:
                await asyncio.sleep(0.05)
        await api.open("Not behind them", category="technical_it")
        assert len(await take(channel, ANALYTICS_TICKETS, 1)) == 1
    finally:
        broker.manage("DELETE", "policies/{vhost}/full")
    await wait_until_relayed(sql)
    requests = {message.body for message in await take(channel, RPC_CLASSIFY)} - {b"{}"}
    assert len(requests) == 10


async def test_events_written_without_broker_follow_when_it_is_back(
    api, broker, channel, ticket_database_url
):
    ticket = await api.open(category="technical_it")
    await api.move(ticket, "active")
    async with relaying(ticket_database_url, broker.url("ticket_svc")):
        events = await take(channel, ANALYTICS_TICKETS, 2)
    assert [event.type for event in events] == ["ticket.opened", "ticket.activated"]


async def test_lost_connections_lose_no_event(ticket_database_url, broker, channel, sql):
    opened = set()

    async def write(api):
        while True:
            body = {"description": "Problem", "category": "technical_it"}
            answer = await api.call("POST", "/v1/tickets", json=body)
            if answer.status == 201:
                opened.add(answer.body["id"])

    async with (
        Cable(ticket_database_url) as to_database,
        Cable(broker.url("ticket_svc")) as to_broker,
        serve(to_database.url, to_broker.url) as api,
    ):
        writer = asyncio.create_task(write(api))
        for cable in [to_database, to_broker] * 4:
            await asyncio.sleep(0.3)
            await cable.cut()
            await asyncio.sleep(0.05)
            await cable.mend()
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        await wait_until_relayed(sql)
    events = await take(channel, ANALYTICS_TICKETS)
    assert len(opened) > 100
    assert opened <= {Event.model_validate_json(event.body).ticket.id for event in events}
