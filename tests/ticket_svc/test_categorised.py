"""Every ticket gets its category, also late; the classifier never overwrites helpdesk."""

import asyncio
import json

import aio_pika
import pytest

from contracts.topology import ANALYTICS_TICKETS, TICKET_CATEGORISED, dead_letter_queue
from tests.signing import asked


@pytest.fixture
async def channel(broker):
    """Return a channel of the administrator."""
    async with await aio_pika.connect(broker.admin_url) as connection:
        yield await connection.channel()


@pytest.fixture
def answer(channel):
    """Return a function that answers for the classifier."""

    async def send(ticket_id, category="technical_it", body=None, raw=None):
        result = {
            "category": category,
            "confidence": 0.9,
            "scores": {category: 0.9},
            "because": ["wifi"],
            "model": "test",
        }
        message = aio_pika.Message(
            raw or json.dumps(body or {"result": result}).encode(),
            correlation_id=asked(TICKET_CATEGORISED, str(ticket_id)),
        )
        await channel.default_exchange.publish(message, TICKET_CATEGORISED)

    return send


async def until_version(api, ticket, version):
    """Return the ticket once it has the version."""
    async with asyncio.timeout(5):
        while (current := await api.get(ticket["id"]))["version"] < version:
            await asyncio.sleep(0.02)
    return current


async def dead_letters(channel, count):
    """Return what the dead letters are about once there are that many."""
    queue = await channel.get_queue(dead_letter_queue(TICKET_CATEGORISED), ensure=False)
    found = []
    async with asyncio.timeout(10):
        while len(found) < count:
            if message := await queue.get(fail=False, no_ack=True):
                found.append(message.correlation_id.rpartition(".")[0])
            else:
                await asyncio.sleep(0.05)
    return found


async def test_late_answer_categorises_and_tells(api_with_broker, answer, channel):
    api = api_with_broker
    ticket = await api.open()
    await answer(ticket["id"])
    current = await until_version(api, ticket, 2)
    assert (current["category"], current["category_source"]) == ("technical_it", "classifier")
    last = (await api.history(ticket))[-1]
    assert (last["role"], last["action"], last["before"], last["after"]) == (
        None,
        "categorised",
        None,
        "technical_it",
    )
    events = await channel.get_queue(ANALYTICS_TICKETS, ensure=False)
    types = []
    async with asyncio.timeout(5):
        while len(types) < 2:
            if message := await events.get(fail=False, no_ack=True):
                types.append(message.type)
    assert types == ["ticket.opened", "ticket.categorised"]


async def test_late_answer_never_overwrites_helpdesk(api_with_broker, answer):
    api = api_with_broker
    ticket = await api.open()
    corrected = (await api.edit(ticket, category="services_complaints")).body
    await answer(ticket["id"])
    other = await api.open()
    await answer(other["id"])
    await until_version(api, other, 2)
    assert await api.get(ticket["id"]) == corrected


async def test_answer_that_comes_twice_counts_once(api_with_broker, answer):
    api = api_with_broker
    ticket, last = await api.open(), await api.open()
    await answer(ticket["id"])
    await answer(ticket["id"], "facility_management")
    await answer(last["id"])
    await until_version(api, last, 2)
    current = await api.get(ticket["id"])
    assert (current["category"], current["version"]) == ("technical_it", 2)


async def test_ticket_that_was_closed_meanwhile_still_gets_its_category(api_with_broker, answer):
    api = api_with_broker
    ticket = await api.close(await api.open())
    await answer(ticket["id"])
    current = await until_version(api, ticket, 4)
    assert (current["category"], current["status"]) == ("technical_it", "closed")
    assert current["closed_at"] == ticket["closed_at"]


async def test_what_cannot_be_taken_becomes_a_dead_letter_and_the_rest_goes_on(
    api_with_broker, answer, channel
):
    api = api_with_broker
    ticket = await api.open()
    await answer("no number")
    await answer(987654321)
    await answer(1, body={"error": {"code": "bad_request", "message": "text: too long"}})
    await answer(2, "plumbing")
    await answer(3, body=[])
    await answer(ticket["id"])
    await until_version(api, ticket, 2)
    assert sorted(await dead_letters(channel, 5)) == ["1", "2", "3", "987654321", "no number"]


async def test_what_is_nested_without_end_stops_no_answer_behind_it(
    api_with_broker, answer, channel, caplog
):
    api = api_with_broker
    ticket = await api.open()
    await answer(ticket["id"], raw=b"[" * 100_000)
    await answer(10**30)
    await answer(ticket["id"])
    await until_version(api, ticket, 2)
    assert await dead_letters(channel, 2) == [str(ticket["id"]), str(10**30)]
    assert "Traceback" not in caplog.text
