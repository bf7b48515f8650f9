"""Requests of any shape to the workers: each is answered, none harms, and right ones still work."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from hypothesis import strategies as st

from contracts.messages import Classification, CorrectionsReport, Embedding, RpcErrorBody
from contracts.reports import ActiveReport, ResolutionReport, UnclosedReport
from contracts.topology import (
    DIRECT_REPLY_TO,
    RPC_CLASSIFY,
    RPC_CORRECTIONS,
    RPC_EMBED,
    RPC_QUEUES,
    RPC_REPORT_ACTIVE,
    RPC_REPORT_RESOLUTION,
    RPC_REPORT_UNCLOSED,
)
from tests.conftest import Stack
from tests.fuzz.conftest import TIMES, ServiceLogs, fuzz_here
from tests.fuzz.odd import GARBAGE, TEXTS, broken, encode, mutated

CASES = 250
RIGHT: dict[str, dict[str, Any]] = {
    RPC_CLASSIFY: {"text": "The wifi in room 12 is down"},
    RPC_EMBED: {"text": "The wifi in room 12 is down"},
    RPC_CORRECTIONS: {},
    RPC_REPORT_UNCLOSED: {"last": 7, "unit": "days"},
    RPC_REPORT_RESOLUTION: {"months": 3},
    RPC_REPORT_ACTIVE: {},
}
RESULTS = {
    RPC_CLASSIFY: Classification,
    RPC_EMBED: Embedding,
    RPC_CORRECTIONS: CorrectionsReport,
    RPC_REPORT_UNCLOSED: UnclosedReport,
    RPC_REPORT_RESOLUTION: ResolutionReport,
    RPC_REPORT_ACTIVE: ActiveReport,
}
# A worker that has nowhere to answer drops the request, or leaves it to people.
NOWHERE = st.sampled_from(["", "gone", "amq.rabbitmq.reply-to.gone", "x" * 255])
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "content_type": TEXTS.map(lambda text: text[:40]),
        "type": TEXTS.map(lambda text: text[:40]),
        "headers": st.dictionaries(
            st.sampled_from(["x-delivery-count", "x", "x-death", ""]),
            st.none() | st.booleans() | st.integers(-1, 2**62) | TEXTS.map(lambda text: text[:40]),
        ),
        "priority": st.integers(0, 255),
        "user_id": st.just("admin"),
    },
)


class Caller:
    """Calls workers as a program does that knows no types."""

    def __init__(self, channel: aio_pika.abc.AbstractChannel) -> None:
        self._channel = channel
        self._replies: dict[str, asyncio.Future[bytes]] = {}
        self._calls = 0

    async def listen(self) -> None:
        queue = await self._channel.get_queue(DIRECT_REPLY_TO, ensure=False)
        await queue.consume(self._on_reply, no_ack=True)

    async def call(self, queue: str, body: bytes, **properties: Any) -> bytes:
        self._calls += 1
        key = str(self._calls)
        reply = self._replies[key] = asyncio.get_running_loop().create_future()
        await self.send(queue, body, DIRECT_REPLY_TO, correlation_id=key, **properties)
        return await reply

    async def send(self, queue: str, body: bytes, reply_to: str, **properties: Any) -> None:
        message = aio_pika.Message(body, reply_to=reply_to, **properties)
        await self._channel.default_exchange.publish(message, queue)

    async def _on_reply(self, message: AbstractIncomingMessage) -> None:
        self._replies.pop(message.correlation_id or "").set_result(message.body)


@pytest.fixture
async def caller(stack: Stack) -> AsyncIterator[Caller]:
    async with await aio_pika.connect(stack.broker.admin_url) as connection:
        caller = Caller(await connection.channel())
        await caller.listen()
        yield caller


def is_good(queue: str, reply: bytes) -> bool:
    """Tell whether a well-formed reply holds a result; only what was refused is no result."""
    answer = json.loads(reply)
    if set(answer) == {"result"}:
        RESULTS[queue].model_validate(answer["result"])
        return True
    assert set(answer) == {"error"}
    assert RpcErrorBody.model_validate(answer["error"]).code == "bad_request", reply
    assert answer["error"]["message"]
    return False


@pytest.mark.timeout(120 * TIMES)
@pytest.mark.parametrize("queue", RPC_QUEUES)
async def test_every_request_is_answered(
    caller: Caller, queue: str, service_logs: ServiceLogs
) -> None:
    right = RIGHT[queue]
    outcomes: list[bool] = []

    async def ask(body: bytes) -> None:
        outcomes.append(is_good(queue, await caller.call(queue, body)))

    bodies = GARBAGE | broken(encode(right))
    if right:
        bodies |= mutated(right).map(encode)
    assert await fuzz_here(bodies, CASES, ask) >= CASES
    assert outcomes.count(False) > CASES // 2
    assert is_good(queue, await caller.call(queue, encode(right)))
    service_logs.check()


@pytest.mark.timeout(120 * TIMES)
async def test_odd_properties_harm_no_worker(caller: Caller, service_logs: ServiceLogs) -> None:
    async def send(case: tuple[str, str, dict[str, Any]]) -> None:
        queue, reply_to, properties = case
        await caller.send(queue, encode(RIGHT[queue]), reply_to, **properties)
        assert is_good(queue, await caller.call(queue, encode(RIGHT[queue])))

    cases = st.tuples(st.sampled_from(RPC_QUEUES), NOWHERE, PROPERTIES)
    assert await fuzz_here(cases, CASES, send) >= CASES
    service_logs.check()
