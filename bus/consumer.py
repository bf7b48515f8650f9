"""Consumes a durable queue in batches; acknowledges only what was handled."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from bus.connection import keep_session

log = logging.getLogger(__name__)

# The first try again after a transient failure, doubled up to the second figure.
RETRY_FIRST_SECONDS = 0.1
RETRY_MAX_SECONDS = 5.0

ItemT = TypeVar("ItemT")


class BatchConsumer(Generic[ItemT]):
    """Hands what is waiting in `queue`, at most `batch` at once, to `handle`.

    `decode` turns a message into an item; where it raises ValueError the message is a dead
    letter. `handle` must be idempotent: a batch comes again after a lost connection. While it
    raises one of `transient` (the database is away), the same batch is tried again in place, so
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
        self.is_connected = False

    async def run(self, url: str, name: str) -> None:
        """Consume until cancelled; a batch that is being handled is not acknowledged then."""
        await keep_session(url, name, self._session)

    async def _session(self, channel: AbstractChannel) -> None:
        # Twice the batch: the next one arrives while this one is written.
        await channel.set_qos(prefetch_count=2 * self._batch)
        waiting: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        queue = await channel.get_queue(self._queue, ensure=False)
        await queue.consume(waiting.put)
        self.is_connected = True
        work = asyncio.create_task(self._work(waiting))
        closed = asyncio.ensure_future(channel.closed())
        try:
            await asyncio.wait({work, closed}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await work
        finally:
            self.is_connected = False
            work.cancel()
            closed.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _work(self, waiting: asyncio.Queue[AbstractIncomingMessage]) -> None:
        while True:
            messages = [await waiting.get()]
            while len(messages) < self._batch and not waiting.empty():
                messages.append(waiting.get_nowait())
            await self._take(messages)

    async def _take(self, messages: list[AbstractIncomingMessage]) -> None:
        good: list[AbstractIncomingMessage] = []
        items: list[ItemT] = []
        for message in messages:
            try:
                items.append(self._decode(message))
                good.append(message)
            except ValueError as error:
                log.error("%s: dead letter, cannot be understood: %s", self._queue, error)
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
            log.exception("%s: dead letter, cannot be handled", self._queue)
            await good[0].reject(requeue=False)
            return
        await good[-1].ack(multiple=True)

    async def _handle_patiently(self, items: list[ItemT]) -> None:
        delay = RETRY_FIRST_SECONDS
        while True:
            try:
                return await self._handle(items)
            except self._transient as error:
                log.warning("%s: waiting, %r", self._queue, error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_MAX_SECONDS)
