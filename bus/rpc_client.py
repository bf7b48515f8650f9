"""Calls RPC services; a call ends by its deadline, whatever happens to broker or worker."""

import asyncio
import time
import uuid
from functools import partial
from typing import TypeVar

from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import PublishError
from prometheus_client import Histogram
from pydantic import BaseModel

from bus.connection import is_lost, keep_session, require_right_to_publish, stay_able_to_publish
from bus.link import Link
from bus.rpc import CONTENT_TYPE, RpcError, decode_reply
from contracts.topology import DIRECT_REPLY_TO

# How long "somebody consumes this queue" is believed before the broker is asked again.
WORKER_CHECK_SECONDS = 0.5

CALL_SECONDS = Histogram("rpc_client_seconds", "Time until an RPC ended.", ["queue", "outcome"])

ResultT = TypeVar("ResultT", bound=BaseModel)


class RpcClient:
    """One channel with RabbitMQ's direct reply-to; any number of calls in flight.

    `run` keeps it connected; every pending call fails at once when the broker is lost.
    """

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._channel: AbstractChannel | None = None
        self._pending: dict[str, asyncio.Future[bytes]] = {}
        self._seen_worker: dict[str, float] = {}
        self._looking: dict[str, asyncio.Task[int]] = {}
        self.link = Link()

    @property
    def is_connected(self) -> bool:
        return self._channel is not None

    async def run(self) -> None:
        """Stay connected until cancelled."""
        await keep_session(self._url, self._name, self._session, self.link)

    async def call(
        self, queue: str, request: BaseModel, result_type: type[ResultT], timeout_s: float
    ) -> ResultT:
        """Return the service's result.

        Raises RpcError: `unavailable` at once without broker, queue or worker, and after
        `timeout_s` seconds without an answer; otherwise what the service said.
        """
        started = time.perf_counter()
        outcome = "ok"
        try:
            async with asyncio.timeout(timeout_s):
                body = await self._exchange(queue, request, timeout_s)
            return decode_reply(body, result_type)
        except TimeoutError:
            outcome = "unavailable"
            raise RpcError("unavailable", f"No answer from {queue} in {timeout_s:g} s.") from None
        except RpcError as error:
            outcome = error.code
            raise
        except (Exception, asyncio.CancelledError) as error:
            outcome = "unavailable"
            if not is_lost(error):
                raise
            raise RpcError("unavailable", f"{queue} cannot be reached: {error!r}") from None
        finally:
            CALL_SECONDS.labels(queue, outcome).observe(time.perf_counter() - started)

    async def _session(self, channel: AbstractChannel) -> None:
        await require_right_to_publish(channel)
        replies = await channel.get_queue(DIRECT_REPLY_TO, ensure=False)
        await replies.consume(self._on_reply, no_ack=True)
        self._channel = channel
        try:
            await stay_able_to_publish(channel)
        finally:
            self._channel = None
            self._seen_worker.clear()
            for reply in self._pending.values():
                if not reply.done():
                    reply.set_exception(RpcError("unavailable", "The broker was lost."))

    async def _exchange(self, queue: str, request: BaseModel, timeout_s: float) -> bytes:
        channel = self._channel
        if channel is None:
            raise RpcError("unavailable", "The broker is away.")
        await self._require_worker(channel, queue)
        correlation_id = uuid.uuid4().hex
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._pending[correlation_id] = reply
        message = Message(
            request.model_dump_json().encode(),
            content_type=CONTENT_TYPE,
            type=queue,
            correlation_id=correlation_id,
            reply_to=DIRECT_REPLY_TO,
            expiration=timeout_s,
        )
        try:
            await channel.default_exchange.publish(message, queue, mandatory=True)
            return await reply
        except PublishError:
            raise RpcError("unavailable", f"There is no queue {queue}.") from None
        finally:
            del self._pending[correlation_id]
            if reply.done() and not reply.cancelled():
                reply.exception()  # marks it as seen where publishing failed first

    async def _require_worker(self, channel: AbstractChannel, queue: str) -> None:
        # A durable queue takes requests that nobody works on, and the caller would wait for its
        # whole deadline. Asking costs one round trip in each WORKER_CHECK_SECONDS.
        now = time.monotonic()
        if now - self._seen_worker.get(queue, -1.0e9) < WORKER_CHECK_SECONDS:
            return
        looking = self._looking.get(queue)
        if looking is None:
            looking = self._looking[queue] = asyncio.create_task(_count_workers(channel, queue))
            looking.add_done_callback(partial(self._looked, queue))
        # Shielded: a cancelled question closes the channel, and with it all calls in flight.
        if not await asyncio.shield(looking):
            raise RpcError("unavailable", f"No worker serves {queue}.")
        self._seen_worker[queue] = time.monotonic()

    def _looked(self, queue: str, looking: asyncio.Task[int]) -> None:
        del self._looking[queue]
        if not looking.cancelled():
            looking.exception()  # marks it as seen where all who asked have gone

    async def _on_reply(self, message: AbstractIncomingMessage) -> None:
        reply = self._pending.get(message.correlation_id or "")
        if reply is not None and not reply.done():
            reply.set_result(message.body)


async def _count_workers(channel: AbstractChannel, queue: str) -> int:
    underlay = await channel.get_underlay_channel()
    declared = await underlay.queue_declare(queue, passive=True)
    return declared.consumer_count or 0
