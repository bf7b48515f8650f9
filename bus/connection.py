"""Keeps one AMQP channel in use for as long as a service lives; never hides that it was lost.

A session is a coroutine that gets a fresh channel and works until the channel is closed. After a
loss the next session starts from nothing, so that no consumer or reply address outlives its
channel in anyone's imagination (robust connections restore them behind the caller's back).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import aio_pika
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError

log = logging.getLogger(__name__)
# Reports each refused connection as an error, which keep_session reports better.
logging.getLogger("aiormq.connection").setLevel(logging.CRITICAL)

# Doubled after each failed try; a broker that restarts is back within a few of them.
RECONNECT_FIRST_SECONDS = 0.1
RECONNECT_MAX_SECONDS = 2.0
# How soon a peer that vanished without a word is noticed: two missed beats.
HEARTBEAT_SECONDS = 10
CONNECT_TIMEOUT_SECONDS = 5.0
# How long an RPC server that is stopped finishes what runs; a report takes milliseconds.
FINISH_SECONDS = 5.0
# Longer than anything that ends in good order.
CANCEL_AGAIN_SECONDS = FINISH_SECONDS + 1.0

_LOST = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError)

Session = Callable[[AbstractChannel], Awaitable[None]]


async def keep_session(url: str, name: str, session: Session) -> None:
    """Run `session` with a channel, again after each loss, until cancelled.

    `name` is what an operator reads in RabbitMQ management. A session that raises anything but a
    cancellation is logged and started again.
    """
    task = asyncio.current_task()
    assert task is not None
    delay = RECONNECT_FIRST_SECONDS
    while True:
        started = asyncio.get_running_loop().time()
        try:
            connection = await aio_pika.connect(
                url,
                timeout=CONNECT_TIMEOUT_SECONDS,
                heartbeat=HEARTBEAT_SECONDS,
                client_properties={"connection_name": name},
            )
            async with connection:
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                await _close_when_consumer_is_cancelled(channel)
                if task.cancelling():
                    # `wait_for` of Python 3.11 loses a cancellation that meets its result.
                    raise asyncio.CancelledError
                log.info("%s: connected", name)
                await session(channel)
            log.warning("%s: session ended", name)
        except (Exception, asyncio.CancelledError) as error:
            if is_lost(error):
                log.warning("%s: connection lost or refused: %s", name, str(error) or repr(error))
            elif not task.cancelling():
                log.exception("%s: session failed", name)
        if task.cancelling():
            # A cancellation that met a closing channel comes out of it as an AMQP error.
            raise asyncio.CancelledError
        if asyncio.get_running_loop().time() - started > RECONNECT_MAX_SECONDS:
            delay = RECONNECT_FIRST_SECONDS
        await asyncio.sleep(delay)
        delay = min(delay * 2, RECONNECT_MAX_SECONDS)


def is_lost(error: BaseException) -> bool:
    """Tell whether this is how the client says that channel or connection is gone or refused.

    Who waits while a connection ends without a reason gets a bare Exception, or a cancellation
    that nobody asked for (aiormq.base.FutureStore.reject_all).
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and not task.cancelling()
    return isinstance(error, _LOST) or type(error) is Exception


async def end(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks that run sessions and return once they have ended.

    `wait_for` of Python 3.11, by which the AMQP client waits, drops a cancellation that meets its
    result; a task that has not ended in good time is cancelled again.
    """
    while running := {task for task in tasks if not task.done()}:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=CANCEL_AGAIN_SECONDS)


async def _close_when_consumer_is_cancelled(channel: AbstractChannel) -> None:
    # The broker cancels consumers when a queue's leader moves or the queue is deleted. A consumer
    # that stayed silent would be deaf for ever; a closed channel makes a new session.
    underlay = await channel.get_underlay_channel()
    closing: set[asyncio.Task[None]] = set()

    def close(*_: object) -> None:
        task = asyncio.ensure_future(_close(channel))
        closing.add(task)
        task.add_done_callback(closing.discard)

    underlay.on_consumer_cancel_callbacks.add(close)


async def _close(channel: AbstractChannel) -> None:
    await channel.close()
