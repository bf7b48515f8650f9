"""Consumes a durable queue in batches; acknowledges only what was handled."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from bus.connection import end, keep_session
from bus.letters import log_name
from bus.link import Link
from contracts.topology import SUSPECT_RETURNS

log = logging.getLogger(__name__)

# The first try again after a transient failure, doubled up to the second figure.
RETRY_FIRST_SECONDS = 0.1
RETRY_MAX_SECONDS = 2.0

ItemT = TypeVar("ItemT")


class BatchConsumer(Generic[ItemT]):
    """Hands what is waiting in `queue`, at most `batch` at once, to `handle`.

    `decode` turns a message into an item; where it raises (ValueError, to say why), the message is
    a dead letter. `handle` must be idempotent: a batch comes again after a lost connection. While
    it raises one of `transient` (the database is away), the same batch is tried again in place, so
    that waiting never counts as a redelivery; after any other error the batch is taken apart and
    only what fails alone becomes a dead letter.
    """

    def __init__(
        self,
        queue: str,
        decode: Callable[[AbstractIncomingMessage], ItemT],
        handle: Callable[[list[ItemT]], Awaitable[None]],
        *,
        transient: tuple[type[Exception], ...],
        batch: int = 200,
    ) -> None:
        self._queue = queue
        self._decode = decode
        self._handle = handle
        self._transient = transient
        self._batch = batch
        self.link = Link()
        self.is_connected = False

    async def run(self, url: str, name: str) -> None:
        """Consume until cancelled; a batch that is being handled is not acknowledged then."""
        await keep_session(url, name, self._session, self.link)

    async def _session(self, channel: AbstractChannel) -> None:
        self.is_connected = True
        work = asyncio.create_task(self._work(channel))
        closed = asyncio.ensure_future(channel.closed())
        try:
            await asyncio.wait({work, closed}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await work
        finally:
            self.is_connected = False
            closed.cancel()
            await end(work)
            await asyncio.gather(work, return_exceptions=True)

    async def _work(self, channel: AbstractChannel) -> None:
        queue = await channel.get_queue(self._queue, ensure=False)
        await self._take_suspects(queue)
        # Twice the batch: the next one arrives while this one is written.
        await channel.set_qos(prefetch_count=2 * self._batch)
        waiting: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        await queue.consume(waiting.put)
        while True:
            messages = [await waiting.get()]
            while len(messages) < self._batch and not waiting.empty():
                messages.append(waiting.get_nowait())
            await self._take(messages)

    async def _take_suspects(self, queue: AbstractQueue) -> None:
        # What has come back several times may be what kills whoever takes it. It is taken alone,
        # or it would take its neighbours to the dead letters when its deliveries are used up.
        while message := await queue.get(fail=False):
            await self._take([message])
            returns = message.headers.get("x-delivery-count")
            if not isinstance(returns, int) or returns < SUSPECT_RETURNS:
                return

    async def _take(self, messages: list[AbstractIncomingMessage]) -> None:
        good: list[AbstractIncomingMessage] = []
        items: list[ItemT] = []
        for message in messages:
            try:
                items.append(self._decode(message))
                good.append(message)
            except ValueError as error:
                log.error("%s cannot be understood: %s", self._name(message), error)
                await message.reject(requeue=False)
            except Exception:
                # Ending the session for it would bring it back, with everything behind it.
                log.exception("%s cannot be understood", self._name(message))
                await message.reject(requeue=False)
        if not good:
            return
        try:
            await self._handle_patiently(items)
        except Exception:
            if len(good) > 1:
                for message in good:
                    await self._take([message])
                return
            log.exception("%s cannot be handled", self._name(good[0]))
            await good[0].reject(requeue=False)
            return
        await good[-1].ack(multiple=True)

    def _name(self, message: AbstractIncomingMessage) -> str:
        return log_name(self._queue, message.message_id, message.correlation_id, message.body)

    async def _handle_patiently(self, items: list[ItemT]) -> None:
        delay = RETRY_FIRST_SECONDS
        logged = ""
        while True:
            try:
                return await self._handle(items)
            except self._transient as error:
                if str(error) != logged:
                    log.warning("%s: waiting, %s", self._queue, error)
                    logged = str(error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_MAX_SECONDS)
