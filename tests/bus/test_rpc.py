"""What a caller of an RPC service may rely on, over the real broker."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aio_pika
import pytest
from pydantic import BaseModel

from bus.connection import end
from bus.pika_server import PikaServer
from bus.pika_services import RpcService
from bus.rpc import LATE_TOTAL, RpcError
from bus.rpc_client import RpcClient
from bus.rpc_server import RpcServer
from contracts.reports import ActiveRequest, UnclosedRequest
from contracts.topology import (
    RPC_CLASSIFY,
    RPC_REPORT_ACTIVE,
    RPC_REPORT_UNCLOSED,
    TICKET_CATEGORISED,
    dead_letter_queue,
)
from tests.cable import BLOCKED, UNBLOCKED, Cable
from tests.conftest import Broker


class Echo(BaseModel):
    value: int


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait for a condition, at most `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(*coroutines: Any) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(c) for c in coroutines]
    try:
        yield
    finally:
        await end(*tasks)


@asynccontextmanager
async def client_of(broker: Broker) -> AsyncIterator[RpcClient]:
    client = RpcClient(broker.url("web"), "test client")
    async with running(client.run()):
        await until(lambda: client.is_connected)
        yield client


@asynccontextmanager
async def server_of(
    broker: Broker, handle: Callable[[Any], Awaitable[BaseModel]], request: type[BaseModel]
) -> AsyncIterator[RpcServer[Any]]:
    server = RpcServer(RPC_REPORT_UNCLOSED, request, handle)
    async with running(server.run(broker.url("analytics_svc"), "test server")):
        await until(lambda: server.is_connected)
        yield server


async def echo(request: UnclosedRequest) -> Echo:
    return Echo(value=request.last)


REQUEST = UnclosedRequest(last=7, unit="days")


async def test_a_call_gets_its_own_answer_among_many(broker: Broker) -> None:
    async with client_of(broker) as client, server_of(broker, echo, UnclosedRequest):
        requests = [UnclosedRequest(last=n, unit="hours") for n in range(1, 101)]
        calls = [client.call(RPC_REPORT_UNCLOSED, r, Echo, 5) for r in requests]
        assert [e.value for e in await asyncio.gather(*calls)] == list(range(1, 101))


async def test_without_a_worker_a_call_fails_at_once_and_leaves_nothing_behind(
    broker: Broker,
) -> None:
    async with client_of(broker) as client:
        started = time.monotonic()
        with pytest.raises(RpcError, match="No worker") as caught:
            await client.call(RPC_REPORT_UNCLOSED, REQUEST, Echo, 20)
        assert caught.value.code == "unavailable"
        assert time.monotonic() - started < 10
    assert broker.manage("GET", f"queues/{{vhost}}/{RPC_REPORT_UNCLOSED}").get("messages", 0) == 0


async def test_without_a_queue_a_call_fails_at_once(broker: Broker) -> None:
    async with client_of(broker) as client:
        with pytest.raises(RpcError) as caught:
            await client.call("rpc.nothing", REQUEST, Echo, 20)
        assert caught.value.code == "unavailable"


async def test_without_a_broker_a_call_fails_at_once() -> None:
    client = RpcClient("amqp://web:x@127.0.0.1:1/campus", "test client")
    async with running(client.run()):
        with pytest.raises(RpcError, match="broker is away") as caught:
            await client.call(RPC_REPORT_UNCLOSED, REQUEST, Echo, 20)
        assert caught.value.code == "unavailable"


async def test_a_slow_worker_costs_the_caller_no_more_than_the_deadline(broker: Broker) -> None:
    async def slow(_: UnclosedRequest) -> Echo:
        await asyncio.sleep(2)
        return Echo(value=1)

    async with client_of(broker) as client, server_of(broker, slow, UnclosedRequest):
        with pytest.raises(RpcError, match=r"No answer.*0\.2 s") as caught:
            await client.call(RPC_REPORT_UNCLOSED, REQUEST, Echo, 0.2)
        assert caught.value.code == "unavailable"


async def test_the_service_says_which_field_is_bad_and_why(broker: Broker) -> None:
    class Wrong(BaseModel):
        last: str

    async with client_of(broker) as client, server_of(broker, echo, UnclosedRequest):
        with pytest.raises(RpcError) as caught:
            await client.call(RPC_REPORT_UNCLOSED, Wrong(last="abc"), Echo, 5)
        assert caught.value.code == "bad_request"
        assert {error.field for error in caught.value.errors} == {"last", "unit"}


async def test_a_defect_of_the_service_shows_a_support_id_and_nothing_else(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    async def defect(_: UnclosedRequest) -> Echo:
        raise ZeroDivisionError("the inside")

    async with client_of(broker) as client, server_of(broker, defect, UnclosedRequest):
        with pytest.raises(RpcError, match="support id") as caught:
            await client.call(RPC_REPORT_UNCLOSED, REQUEST, Echo, 5)
        assert caught.value.code == "internal"
        assert "inside" not in str(caught.value)
        support_id = str(caught.value).split("support id ")[1][:8]
        assert support_id in caplog.text


async def publish(broker: Broker, queue: str, body: bytes, **properties: Any) -> None:
    connection = await aio_pika.connect(broker.admin_url)
    async with connection:
        channel = await connection.channel()
        await channel.default_exchange.publish(aio_pika.Message(body, **properties), queue)


async def test_a_broken_body_is_answered_and_never_blocks_the_queue(broker: Broker) -> None:
    async with client_of(broker) as client, server_of(broker, echo, UnclosedRequest):
        for body in (b"", b"{", b"\xff\xfe", b"null", b"[1]"):
            await publish(broker, RPC_REPORT_UNCLOSED, body, reply_to=TICKET_CATEGORISED)
        await publish(broker, RPC_REPORT_UNCLOSED, b"{}")
        assert (await client.call(RPC_REPORT_UNCLOSED, REQUEST, Echo, 5)).value == 7
    connection = await aio_pika.connect(broker.admin_url)
    async with connection:
        channel = await connection.channel()
        replies = await channel.get_queue(TICKET_CATEGORISED)
        for _ in range(5):
            reply = await replies.get()
            assert json.loads(reply.body)["error"]["code"] == "bad_request"
            await reply.ack()
        dead = await channel.get_queue(dead_letter_queue(RPC_REPORT_UNCLOSED))
        await (await dead.get()).ack()  # the one that said nowhere to answer to


async def test_what_comes_too_late_is_dropped_and_not_worked(broker: Broker) -> None:
    worked = []

    async def remember(request: UnclosedRequest) -> Echo:
        worked.append(request.last)
        return Echo(value=request.last)

    body = REQUEST.model_dump_json().encode()
    # The broker drops what expires at the head of the queue.
    await publish(broker, RPC_REPORT_UNCLOSED, body, reply_to=TICKET_CATEGORISED, expiration=0.01)
    await asyncio.sleep(0.1)
    async with client_of(broker) as client, server_of(broker, remember, UnclosedRequest):
        other = UnclosedRequest(last=1, unit="days")
        await client.call(RPC_REPORT_UNCLOSED, other, Echo, 5)
    assert worked == [1]
    dead = broker.manage("GET", f"queues/{{vhost}}/{dead_letter_queue(RPC_REPORT_UNCLOSED)}")
    assert dead.get("messages", 0) == 0


async def test_a_worker_stops_working_when_its_caller_stops_waiting(broker: Broker) -> None:
    stopped: list[int] = []

    async def slow(request: UnclosedRequest) -> Echo:
        if request.last == 7:
            try:
                await asyncio.sleep(60)
            finally:
                stopped.append(request.last)
        return Echo(value=request.last)

    late = LATE_TOTAL.labels(RPC_REPORT_UNCLOSED)
    before = late._value.get()
    async with client_of(broker) as client, server_of(broker, slow, UnclosedRequest):
        with pytest.raises(RpcError, match="No answer"):
            await client.call(RPC_REPORT_UNCLOSED, REQUEST, Echo, 0.2)
        await until(lambda: stopped == [7])
        other = UnclosedRequest(last=1, unit="days")
        assert (await client.call(RPC_REPORT_UNCLOSED, other, Echo, 5)).value == 1
        await until(lambda: late._value.get() == before + 1)


async def test_pending_calls_fail_at_once_when_the_connection_is_lost_and_later_ones_work(
    broker: Broker,
) -> None:
    release = asyncio.Event()

    async def wait(request: UnclosedRequest) -> Echo:
        await release.wait()
        return Echo(value=request.last)

    async with client_of(broker) as client, server_of(broker, wait, UnclosedRequest):
        call = asyncio.ensure_future(client.call(RPC_REPORT_UNCLOSED, REQUEST, Echo, 30))
        await asyncio.sleep(0.2)
        assert client._channel is not None
        await client._channel.close()
        with pytest.raises(RpcError) as caught:
            await asyncio.wait_for(call, 5)
        assert caught.value.code == "unavailable"
        release.set()
        await until(lambda: client.is_connected)
        assert (await client.call(RPC_REPORT_UNCLOSED, REQUEST, Echo, 5)).value == 7


async def test_a_broker_that_hangs_costs_each_call_its_deadline_and_no_connection(
    broker: Broker,
) -> None:
    async with (
        Cable(broker.url("web")) as cable,
        server_of(broker, echo, UnclosedRequest),
        running((client := RpcClient(cable.url, "test client")).run()),
    ):
        await until(lambda: client.is_connected)
        cable.hold()
        for _ in range(3):
            # Each asks first whether there is a worker; giving up must not close the channel.
            with pytest.raises(RpcError) as refused:
                await client.call(RPC_REPORT_UNCLOSED, REQUEST, Echo, 0.2)
            assert (refused.value.code, "No answer" in str(refused.value)) == ("unavailable", True)
        channel = client._channel
        cable.release()
        answer = await client.call(RPC_REPORT_UNCLOSED, REQUEST, Echo, 5)
        assert (answer.value, client._channel) == (7, channel)


async def test_while_the_broker_takes_no_messages_calls_fail_at_once(broker: Broker) -> None:
    server = RpcServer(RPC_REPORT_UNCLOSED, UnclosedRequest, echo)
    async with (
        Cable(broker.url("web")) as cable,
        Cable(broker.url("analytics_svc")) as other,
        running((client := RpcClient(cable.url, "test client")).run()),
        running(server.run(other.url, "test server")),
    ):
        await until(lambda: client.is_connected and server.is_connected)
        for blocked in (cable, other):
            blocked.say(BLOCKED)
        await until(lambda: not client.is_connected and not server.is_connected)
        assert "low on memory or on disk" in client.link.reason
        assert "low on memory or on disk" in server.link.reason
        started = time.monotonic()
        with pytest.raises(RpcError) as refused:
            await client.call(RPC_REPORT_UNCLOSED, REQUEST, Echo, 5)
        assert (refused.value.code, time.monotonic() - started < 1) == ("unavailable", True)
        for blocked in (cable, other):
            blocked.say(UNBLOCKED)
        await until(lambda: client.is_connected and server.is_connected)
        assert (await client.call(RPC_REPORT_UNCLOSED, REQUEST, Echo, 5)).value == 7


async def test_a_stopping_server_finishes_what_it_has_begun(broker: Broker) -> None:
    begun = asyncio.Event()

    async def slow(request: UnclosedRequest) -> Echo:
        begun.set()
        await asyncio.sleep(0.5)
        return Echo(value=request.last)

    async with client_of(broker) as client:
        async with server_of(broker, slow, UnclosedRequest):
            call = asyncio.ensure_future(client.call(RPC_REPORT_UNCLOSED, REQUEST, Echo, 10))
            await begun.wait()
        assert (await call).value == 7


@contextmanager
def pika_server(broker: Broker, handle: Callable[[Any], BaseModel]) -> Iterator[None]:
    url = broker.url("classifier_svc")

    def handle_all(requests: Sequence[UnclosedRequest]) -> list[BaseModel]:
        return [handle(request) for request in requests]

    service = RpcService(RPC_CLASSIFY, UnclosedRequest, handle_all)
    server = PikaServer(url, "test server", [service])
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.is_connected:
            time.sleep(0.01)
        yield
    finally:
        server.stop()
        thread.join(timeout=10)
        assert not thread.is_alive()


async def test_the_pika_server_answers_refuses_and_survives_poison(broker: Broker) -> None:
    def handle(request: UnclosedRequest) -> Echo:
        if request.last == 13:
            raise ZeroDivisionError
        return Echo(value=request.last)

    async with client_of(broker) as client:
        with pytest.raises(RpcError, match="No worker"):
            await client.call(RPC_CLASSIFY, REQUEST, Echo, 5)
        with pika_server(broker, handle):
            await publish(broker, RPC_CLASSIFY, b"\xff", reply_to="nobody.listens")
            await publish(broker, RPC_CLASSIFY, b"{}")
            assert (await client.call(RPC_CLASSIFY, REQUEST, Echo, 5)).value == 7
            with pytest.raises(RpcError) as caught:
                await client.call(RPC_CLASSIFY, ActiveRequest(), Echo, 5)
            assert caught.value.code == "bad_request"
            with pytest.raises(RpcError) as caught:
                await client.call(RPC_CLASSIFY, UnclosedRequest(last=13, unit="days"), Echo, 5)
            assert caught.value.code == "internal"


async def test_the_pika_server_answers_a_request_that_waited_for_it(broker: Broker) -> None:
    body = REQUEST.model_dump_json().encode()
    await publish(
        broker, RPC_CLASSIFY, body, reply_to=TICKET_CATEGORISED, correlation_id="5", delivery_mode=2
    )
    with pika_server(broker, lambda request: Echo(value=request.last)):
        connection = await aio_pika.connect(broker.url("ticket_svc"))
        async with connection:
            queue = await (await connection.channel()).get_queue(TICKET_CATEGORISED, ensure=False)
            reply = await queue.get(timeout=5, fail=False)
            while reply is None:
                await asyncio.sleep(0.05)
                reply = await queue.get(timeout=5, fail=False)
            await reply.ack()
    assert json.loads(reply.body) == {"result": {"value": 7}}
    assert reply.correlation_id == "5"
    assert reply.delivery_mode == aio_pika.DeliveryMode.PERSISTENT


async def test_each_report_has_a_queue_of_its_own(broker: Broker) -> None:
    async with client_of(broker) as client, server_of(broker, echo, UnclosedRequest):
        with pytest.raises(RpcError, match="No worker"):
            await client.call(RPC_REPORT_ACTIVE, ActiveRequest(), Echo, 5)
