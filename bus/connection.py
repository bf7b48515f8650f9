"""Keeps one AMQP channel in use for as long as a service lives; never hides that it was lost.

A session is a coroutine that gets a fresh channel and works until the channel is closed. After a
loss the next session starts from nothing, so that no consumer or reply address outlives its
channel in anyone's imagination (robust connections restore them behind the caller's back).
"""

import asyncio
import logging
import math
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress

import aio_pika
from aio_pika import Message
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError, PublishError
from aiormq.abc import AbstractConnection
from aiormq.exceptions import InvalidFrameError
from yarl import URL

from bus.link import BLOCKED, Link
from contracts.addresses import parse

log = logging.getLogger(__name__)
# Reports each refused connection as an error, which keep_session reports better.
logging.getLogger("aiormq.connection").setLevel(logging.CRITICAL)

# Doubled after each failed try; a broker that restarts is back within a few of them.
RECONNECT_FIRST_SECONDS = 0.1
RECONNECT_MAX_SECONDS = 2.0
# How soon a peer that vanished without a word is noticed: two missed beats.
HEARTBEAT_SECONDS = 10
CONNECT_TIMEOUT_SECONDS = 5.0
# How often it is tried whether the broker takes messages, and how long it may take to say yes.
TRY_SECONDS = 3.0
CONFIRM_SECONDS = 2.0
# How long an RPC server that is stopped finishes what runs; a report takes milliseconds.
FINISH_SECONDS = 5.0
# Longer than anything that ends in good order.
CANCEL_AGAIN_SECONDS = FINISH_SECONDS + 1.0

_LOST = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError)

Session = Callable[[AbstractChannel], Awaitable[None]]


class _Connection(aio_pika.Connection):
    """A connection that its session closes, and that has nothing to close where it never opened.

    aio_pika's would close itself when it is collected, in whatever thread and loop that happens.
    """

    def __del__(self) -> None:
        """Do nothing."""


class Blocked(ConnectionError):
    """The broker takes no messages until it has room again."""


async def keep_session(url: str, name: str, session: Session, link: Link | None = None) -> None:
    """Run `session` with a channel, again after each loss, until cancelled.

    `name` is what an operator reads in RabbitMQ management. A session that raises anything but a
    cancellation is logged and started again. `link` is told why one ended; the log hears of a
    reason once, however often it is the same.
    """
    task = asyncio.current_task()
    assert task is not None
    link = link or Link()
    clock = asyncio.get_running_loop().time
    address = parse("_AMQP_URL", url)
    # As it is: encoded anew, a slash in a virtual host's name would be none.
    plain = URL(address.without(options=True).url, encoded=True)
    delay = RECONNECT_FIRST_SECONDS
    logged = ""
    is_refused_in_session = False
    while True:
        began = math.inf
        try:
            connection = await aio_pika.connect(
                plain,
                ssl_context=address.tls(),
                timeout=CONNECT_TIMEOUT_SECONDS,
                heartbeat=HEARTBEAT_SECONDS,
                client_properties={"connection_name": name},
                connection_class=_Connection,
            )
            async with connection:
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                underlay = (await channel.get_underlay_channel()).connection
                ends: list[BaseException | None] = []
                for closing in (channel, connection):
                    closing.close_callbacks.add(lambda _, error, ends=ends: ends.append(error))
                await _close_when_consumer_is_cancelled(channel)
                if task.cancelling():
                    # `wait_for` of Python 3.11 loses a cancellation that meets its result.
                    raise asyncio.CancelledError
                if not is_refused_in_session:
                    log.info("%s: connected", name)
                began = clock()
                try:
                    await session(channel)
                except Exception as error:
                    if not (is_lost(error) and await _is_blocked(underlay)):
                        raise
                    # Not closed before the broker reads again: it would keep each that is, and
                    # gets no room by a new one every two seconds.
                    link.reason = logged = BLOCKED
                    log.warning("%s: waiting, %s", name, link.reason)
                    await _wait_while_blocked(underlay)
                    continue
            link.reason = next((words(error) for error in ends if error), "the session ended")
        except (Exception, asyncio.CancelledError) as error:
            link.reason = words(error)
            if not is_lost(error) and not task.cancelling():
                log.exception("%s: session failed", name)
                logged = link.reason
        if task.cancelling():
            # A cancellation that met a closing channel comes out of it as an AMQP error.
            raise asyncio.CancelledError
        is_refused_in_session = clock() - RECONNECT_MAX_SECONDS < began < math.inf
        if began < math.inf and not is_refused_in_session:
            delay, logged = RECONNECT_FIRST_SECONDS, ""
        if link.reason != logged:
            log.warning("%s: connection lost or refused: %s", name, link.reason)
            logged = link.reason
        await asyncio.sleep(delay)
        delay = min(delay * 2, RECONNECT_MAX_SECONDS)


def words(error: BaseException) -> str:
    """Return why a session ended, as people may read it."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if type(error) is Exception or isinstance(error, asyncio.CancelledError):
        return "the connection was lost"
    if isinstance(error, InvalidFrameError) and "Connection.OpenOk" in str(error):
        # aiormq keeps what the broker said to itself.
        return "the virtual host is missing, is down, or refuses this user; the broker's log says"
    if isinstance(error, AMQPError) and error.args:
        return str(error.args[-1])  # without the number before it, which OSError calls an errno
    return str(error) or repr(error)


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


async def require_right_to_publish(channel: AbstractChannel) -> None:
    """Return where requests and replies may be published; raises AMQPError where not.

    Whoever consumes and may not answer gives back what it took, until its deliveries are used up.
    Raises Blocked where the broker takes no messages.
    """
    underlay = await channel.get_underlay_channel()
    nobody = f"nobody.{secrets.token_hex(8)}"
    # Without an id the client would draw one from `random`, which others in the process may seed.
    message = Message(b"", message_id=nobody)
    late = None
    try:
        async with asyncio.timeout(CONFIRM_SECONDS):
            await channel.default_exchange.publish(message, nobody)
    except PublishError:  # nobody has this queue
        pass
    except TimeoutError as error:
        late = error
    if await _is_blocked(underlay.connection):
        raise Blocked(BLOCKED)
    if late:
        raise late


async def stay_able_to_publish(channel: AbstractChannel) -> None:
    """Return once the channel is closed; raises Blocked when the broker takes no messages.

    It says so only to who publishes; who only waits would take silence for good news.
    """
    while not channel.is_closed:
        with suppress(TimeoutError):
            async with asyncio.timeout(TRY_SECONDS):
                await channel.closed()
                return
        with suppress(TimeoutError):  # a broker that hangs is the heartbeat's to notice
            await require_right_to_publish(channel)


async def _is_blocked(connection: AbstractConnection) -> bool:
    try:
        async with asyncio.timeout(0):
            await connection.ready()
    except TimeoutError:
        return True
    return False


async def _wait_while_blocked(connection: AbstractConnection) -> None:
    ready = asyncio.ensure_future(connection.ready())
    try:
        await asyncio.wait({ready, connection.closing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ready.cancel()


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
