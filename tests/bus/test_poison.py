"""A message that kills whoever takes it ends as a dead letter, and takes nobody along."""

import asyncio
from collections.abc import Callable

from bus.consumer import BatchConsumer
from contracts.messages import Event
from contracts.topology import ANALYTICS_TICKETS
from tests.bus.test_dead_letters import SIGNED, command, decode, event, ids
from tests.bus.test_rpc import publish, running, until
from tests.cable import Cable
from tests.conftest import Broker

DELIVERY_LIMIT = 20


async def test_poison_that_kills_its_consumer_becomes_a_dead_letter_without_its_neighbour(
    broker: Broker,
) -> None:
    await publish(broker, ANALYTICS_TICKETS, event(id=13), message_id="13.1", headers=SIGNED)
    await publish(broker, ANALYTICS_TICKETS, event(id=8), message_id="8.1", headers=SIGNED)
    deaths = 0
    seen: list[int] = []

    async def handle(events: list[Event]) -> None:
        nonlocal deaths
        if any(event.ticket.id == 13 for event in events):
            deaths += 1
            await cable.cut()  # as if the process had died: nothing more reaches the broker
            await asyncio.sleep(60)
        seen.extend(event.ticket.id for event in events)

    def died_or_done(before: int) -> Callable[[], bool]:
        return lambda: deaths > before or bool(seen)

    while not seen:
        assert deaths <= DELIVERY_LIMIT + 1, "it came back for ever"
        consumer = BatchConsumer(ANALYTICS_TICKETS, decode, handle, transient=())
        async with (
            Cable(broker.url("analytics_svc")) as cable,
            running(consumer.run(cable.url, "doomed")),
        ):
            await until(died_or_done(deaths))
    assert seen == [8]
    assert deaths == DELIVERY_LIMIT + 1
    (id_,) = await ids(broker)
    shown = (await command(broker, "show", id_)).stdout
    assert "reason  delivery_limit" in shown
    assert "whoever got it went away before it was done" in shown
    assert "message_id: 13.1" in shown
