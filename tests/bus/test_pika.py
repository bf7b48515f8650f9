"""What may be relied on where one worker takes what waits as a batch, over the real broker."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aio_pika
import pytest
from pydantic import BaseModel

from bus.pika_server import BATCH, PikaServer
from bus.pika_services import EventService, RpcService, Service, Wait
from bus.rpc import RpcError
from contracts.reports import UnclosedRequest
from contracts.topology import (
    CLASSIFIER_CORRECTIONS,
    RPC_CLASSIFY,
    RPC_EMBED,
    TICKET_CATEGORISED,
    dead_letter_queue,
)
from tests.bus.test_rpc import Echo, client_of, publish, until
from tests.cable import BLOCKED, UNBLOCKED, Cable
from tests.conftest import Broker


class Number(BaseModel):
    n: int


@asynccontextmanager
async def serving(url: str, *services: Service) -> AsyncIterator[PikaServer]:
    server = PikaServer(url, "test server", services)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        await asyncio.to_thread(thread.join, 20)
        assert not thread.is_alive()


async def take_all(broker: Broker, queue: str, n: int) -> list[bytes]:
    """Take `n` messages, however long they take to arrive."""
    connection = await aio_pika.connect(broker.admin_url)
    async with connection, asyncio.timeout(20):
        source = await (await connection.channel()).get_queue(queue)
        found: list[bytes] = []
        while len(found) < n:
            if message := await source.get(fail=False, no_ack=True):
                found.append(message.body)
            else:
                await asyncio.sleep(0.05)
        return found


async def ask(broker: Broker, last: int, *, deferred: bool, queue: str = RPC_CLASSIFY) -> None:
    await publish(
        broker,
        queue,
        UnclosedRequest(last=last, unit="days").model_dump_json().encode(),
        reply_to=TICKET_CATEGORISED,
        correlation_id=str(last),
        delivery_mode=2 if deferred else 1,
    )


async def test_what_waits_is_one_batch_and_what_somebody_waits_for_comes_first(
    broker: Broker,
) -> None:
    batches: list[list[int]] = []

    def handle(requests: Sequence[UnclosedRequest]) -> list[Echo]:
        batches.append([request.last for request in requests])
        return [Echo(value=request.last) for request in requests]

    for n in range(1, 21):
        await ask(broker, n, deferred=True)
    for n in range(21, 31):
        await ask(broker, n, deferred=False)
    service = RpcService(RPC_CLASSIFY, UnclosedRequest, handle)
    async with serving(broker.url("classifier_svc"), service):
        replies = await take_all(broker, TICKET_CATEGORISED, 30)
    assert sorted(json.loads(reply)["result"]["value"] for reply in replies) == list(range(1, 31))
    alone, *rest = batches  # one is taken alone first, in case it is what killed another worker
    assert len(alone) == 1
    assert len(rest) < 10
    assert max(map(len, rest)) <= BATCH
    for batch in rest:
        urgent = [n for n in batch if n > 20]
        assert batch[: len(urgent)] == urgent


async def test_one_request_that_fails_does_not_fail_its_neighbours(broker: Broker) -> None:
    def handle(requests: Sequence[UnclosedRequest]) -> list[Echo]:
        return [Echo(value=13 // (request.last - 3)) for request in requests]

    for n in range(1, 6):
        await ask(broker, n, deferred=False)
    service = RpcService(RPC_CLASSIFY, UnclosedRequest, handle)
    async with serving(broker.url("classifier_svc"), service):
        replies = map(json.loads, await take_all(broker, TICKET_CATEGORISED, 5))
        assert sorted("error" in reply for reply in replies) == [False] * 4 + [True]


async def test_each_queue_of_a_worker_has_its_own_answers(broker: Broker) -> None:
    def add(n: int) -> RpcService[UnclosedRequest]:
        queue = {100: RPC_CLASSIFY, 200: RPC_EMBED}[n]
        return RpcService(
            queue, UnclosedRequest, lambda rs: [Echo(value=n + request.last) for request in rs]
        )

    async with serving(broker.url("classifier_svc"), add(100), add(200)) as server:
        await until(lambda: server.is_connected)
        async with client_of(broker) as client:
            request = UnclosedRequest(last=1, unit="days")
            calls = [client.call(q, request, Echo, 5) for q in (RPC_CLASSIFY, RPC_EMBED)]
            assert [answer.value for answer in await asyncio.gather(*calls)] == [101, 201]


async def test_events_are_taken_and_poison_becomes_a_dead_letter_alone(broker: Broker) -> None:
    seen: list[int] = []

    def take(numbers: Sequence[Number]) -> None:
        if any(number.n == 13 for number in numbers):
            raise ZeroDivisionError
        seen.extend(number.n for number in numbers)

    for body in (b'{"n": 1}', b"{", b'{"n": 13}', b'{"n": 2}'):
        await publish(broker, CLASSIFIER_CORRECTIONS, body, delivery_mode=2)
    service = EventService(CLASSIFIER_CORRECTIONS, Number, take, lambda *_: None)
    async with serving(broker.url("classifier_svc"), service):
        await until(lambda: sorted(seen) == [1, 2])
        dead = await take_all(broker, dead_letter_queue(CLASSIFIER_CORRECTIONS), 2)
    assert sorted(dead) == [b"{", b'{"n": 13}']


async def test_a_text_that_kills_its_worker_takes_no_neighbour_along(broker: Broker) -> None:
    await ask(broker, 13, deferred=True)
    await ask(broker, 8, deferred=True)
    deaths = 0
    answered: list[int] = []
    loop = asyncio.get_running_loop()

    async with Cable(broker.url("classifier_svc")) as cable:

        def handle(requests: Sequence[UnclosedRequest]) -> list[Echo]:
            nonlocal deaths
            if any(request.last == 13 for request in requests):
                deaths += 1
                # As if the process had died: nothing more reaches the broker.
                asyncio.run_coroutine_threadsafe(cable.cut(), loop).result(10)
                raise ConnectionError("dead")
            answered.extend(request.last for request in requests)
            return [Echo(value=request.last) for request in requests]

        while not answered:
            assert deaths <= 30, "it came back for ever"
            before = deaths
            await cable.mend()
            service = RpcService(RPC_CLASSIFY, UnclosedRequest, handle)
            async with serving(cable.url, service):
                await until(lambda before=before: deaths > before or bool(answered), 20)  # type: ignore[misc]
    assert answered == [8]
    (dead,) = await take_all(broker, dead_letter_queue(RPC_CLASSIFY), 1)
    assert json.loads(dead)["last"] == 13


async def test_a_worker_says_that_the_broker_takes_no_messages(broker: Broker) -> None:
    service = RpcService(RPC_CLASSIFY, UnclosedRequest, lambda rs: [Echo(value=r.last) for r in rs])
    async with (
        Cable(broker.url("classifier_svc")) as cable,
        serving(cable.url, service) as server,
        client_of(broker) as client,
    ):
        await until(lambda: server.is_connected)
        cable.say(BLOCKED)
        await until(lambda: not server.is_connected)
        assert "low on memory or on disk" in server.link.reason
        cable.say(UNBLOCKED)
        await until(lambda: server.is_connected)
        request = UnclosedRequest(last=7, unit="days")
        assert (await client.call(RPC_CLASSIFY, request, Echo, 5)).value == 7


async def test_a_worker_that_stops_gives_back_what_it_has_not_begun(broker: Broker) -> None:
    started = threading.Event()

    def slow(requests: Sequence[UnclosedRequest]) -> list[Echo]:
        started.set()
        time.sleep(0.3)
        return [Echo(value=request.last) for request in requests]

    for n in range(1, 6):
        await ask(broker, n, deferred=True)
    async with serving(
        broker.url("classifier_svc"), RpcService(RPC_CLASSIFY, UnclosedRequest, slow)
    ):
        await asyncio.to_thread(started.wait, 10)
    async with serving(
        broker.url("classifier_svc"), RpcService(RPC_CLASSIFY, UnclosedRequest, slow)
    ):
        replies = await take_all(broker, TICKET_CATEGORISED, 5)
    assert sorted(json.loads(reply)["result"]["value"] for reply in replies) == [1, 2, 3, 4, 5]


async def test_without_a_worker_for_one_queue_the_others_answer(broker: Broker) -> None:
    service = RpcService(RPC_CLASSIFY, UnclosedRequest, lambda rs: [Echo(value=r.last) for r in rs])
    async with serving(broker.url("classifier_svc"), service) as server:
        await until(lambda: server.is_connected)
        async with client_of(broker) as client:
            request = UnclosedRequest(last=7, unit="days")
            assert (await client.call(RPC_CLASSIFY, request, Echo, 5)).value == 7
            with pytest.raises(RpcError, match="No worker"):
                await client.call(RPC_EMBED, request, Echo, 5)


async def test_events_wait_while_what_they_need_is_away_and_requests_are_answered(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    is_away = threading.Event()
    is_away.set()
    tried: list[list[int]] = []

    def keep(numbers: Sequence[Number]) -> None:
        tried.append([number.n for number in numbers])
        if is_away.is_set():
            raise Wait("the disk is full")
        if len(numbers) > 1:
            raise ZeroDivisionError  # a batch that is taken apart loses none either

    for n in (1, 2, 3):
        await publish(broker, CLASSIFIER_CORRECTIONS, b'{"n": %d}' % n)
    echo = RpcService(RPC_CLASSIFY, UnclosedRequest, lambda rs: [Echo(value=r.last) for r in rs])
    events = EventService(CLASSIFIER_CORRECTIONS, Number, keep, lambda *_: None)
    async with serving(broker.url("classifier_svc"), echo, events), client_of(broker) as client:
        await until(lambda: len(tried) >= 3)
        request = UnclosedRequest(last=7, unit="days")
        assert (await client.call(RPC_CLASSIFY, request, Echo, 5)).value == 7
        is_away.clear()
        await until(lambda: all([n] in tried for n in (1, 2, 3)))
    assert caplog.text.count("the disk is full") == 1
    for queue in (CLASSIFIER_CORRECTIONS, dead_letter_queue(CLASSIFIER_CORRECTIONS)):
        assert await count(broker, queue) == 0


async def count(broker: Broker, queue: str) -> int | None:
    connection = await aio_pika.connect(broker.admin_url)
    async with connection:
        underlay = await (await connection.channel()).get_underlay_channel()
        return (await underlay.queue_declare(queue, passive=True)).message_count
