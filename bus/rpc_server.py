"""Serves one RPC queue on asyncio; reply first, acknowledge second, poison is never requeued."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, cast

from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import PublishError
from pydantic import BaseModel

from bus.connection import (
    FINISH_SECONDS,
    keep_session,
    require_right_to_publish,
    stay_able_to_publish,
)
from bus.letters import log_name
from bus.link import Link
from bus.rpc import (
    CONTENT_TYPE,
    LATE_TOTAL,
    SERVED_SECONDS,
    decode_request,
    encode_error,
    encode_result,
)

log = logging.getLogger(__name__)

RequestT = TypeVar("RequestT", bound=BaseModel)


class RpcServer(Generic[RequestT]):
    """Answers requests of `queue` with `handle`, at most `prefetch` at a time.

    `handle` raises RpcError for an answer that says what is wrong; anything else it raises
    becomes `internal` with a support id.
    """

    def __init__(
        self,
        queue: str,
        request_type: type[RequestT],
        handle: Callable[[RequestT], Awaitable[BaseModel]],
        *,
        prefetch: int = 32,
    ) -> None:
        self._queue = queue
        self._request_type = request_type
        self._handle = handle
        self._prefetch = prefetch
        self._running: set[asyncio.Task[None]] = set()
        self.link = Link()
        self.is_connected = False

    async def run(self, url: str, name: str) -> None:
        """Serve until cancelled; then finish what runs, at most FINISH_SECONDS."""
        await keep_session(url, name, self._session, self.link)

    async def _session(self, channel: AbstractChannel) -> None:
        await require_right_to_publish(channel)
        await channel.set_qos(prefetch_count=self._prefetch)
        queue = await channel.get_queue(self._queue, ensure=False)

        async def on_request(request: AbstractIncomingMessage) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._running.add(task)
            try:
                await self._serve(channel, request)
            finally:
                self._running.discard(task)

        consumer_tag = await queue.consume(on_request)
        self.is_connected = True
        try:
            await stay_able_to_publish(channel)
        except asyncio.CancelledError:
            # Stop intake first, so that what is delivered from now on goes to another worker.
            await queue.cancel(consumer_tag)
            if self._running:
                await asyncio.wait(self._running, timeout=FINISH_SECONDS)
            raise
        finally:
            self.is_connected = False

    async def _serve(self, channel: AbstractChannel, request: AbstractIncomingMessage) -> None:
        if not request.reply_to:
            name = log_name(self._queue, request.message_id, request.correlation_id, request.body)
            log.error("%s is refused: a request without reply_to", name)
            await request.reject(requeue=False)
            return
        try:
            # The broker drops what expires in the queue. From here on the caller's patience is
            # measured by this process alone: clocks of two machines differ.
            async with asyncio.timeout(cast("float | None", request.expiration)):
                with SERVED_SECONDS.labels(self._queue).time():
                    body = await self._answer(request.body)
        except TimeoutError:
            LATE_TOTAL.labels(self._queue).inc()
            await request.ack()
            return
        reply = Message(
            body,
            content_type=CONTENT_TYPE,
            type=self._queue,
            correlation_id=request.correlation_id,
            delivery_mode=request.delivery_mode,
        )
        try:
            await channel.default_exchange.publish(reply, request.reply_to, mandatory=True)
        except PublishError:
            log.debug("%s: the caller is gone", self._queue)
        await request.ack()

    async def _answer(self, body: bytes) -> bytes:
        try:
            return encode_result(await self._handle(decode_request(body, self._request_type)))
        except Exception as error:
            return encode_error(error, self._queue)
