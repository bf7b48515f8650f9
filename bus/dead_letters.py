"""What an operator does with dead letters: look, send again, drop.

Looking changes nothing: every letter that was got goes back to its place. A letter is acknowledged
only after RabbitMQ has confirmed its copy; a crash in between doubles it, and consumers are
idempotent.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import (
    AMQPConnectionError,
    AMQPError,
    ChannelClosedByBroker,
    NackError,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
    UnroutableError,
)
from pika.spec import Basic, BasicProperties

from bus.letters import Letter
from bus.pika_address import parameters
from contracts.addresses import parse
from contracts.topology import dead_letter_queue

# Reports a refused login with a traceback, which we say in a sentence.
logging.getLogger("pika").setLevel(logging.CRITICAL)

# All of them are held at once; a dead-letter queue with more has one cause, and is taken in turns.
LOOK_AT_MOST = 1_000
TIMEOUT_SECONDS = 10.0
TICK_SECONDS = 0.01
# A quorum queue puts back what is returned in one command, or in more commands than it has yet
# applied, in any order where it is more than this (the keys of an Erlang map, the window of its
# client); seen with RabbitMQ 3.10.
IN_ORDER = 32
BACK_SECONDS = 1.0
PERSISTENT = 2


class OperatorError(Exception):
    """What an operator has to put right, said in one sentence."""


class BrokerAway(Exception):
    """The broker cannot be used now, said in one sentence."""


class Found(NamedTuple):
    """The letters at the head of some queues, and how many wait behind them."""

    letters: list[Letter]
    behind: int


def look(url: str, queues: Sequence[str]) -> Found:
    """Return what is in the dead-letter queues of `queues`, at most LOOK_AT_MOST of each."""
    found: list[Letter] = []
    behind = 0
    with _channel(url) as channel:
        for queue in queues:
            letters, more = _get(channel, queue)
            _settle(channel, letters, more, lambda _: False)
            found += letters
            behind += more
    return Found(found, behind)


def send_again(url: str, letters: Sequence[Letter]) -> list[Letter]:
    """Send letters to the queues that refused them, and to nobody else; return those sent."""
    return _take_out(url, letters, _publish)


def drop(url: str, letters: Sequence[Letter]) -> list[Letter]:
    """Delete letters for ever; return those that were there to delete."""
    return _take_out(url, letters, lambda _channel, _letter: None)


def _take_out(
    url: str, wanted: Sequence[Letter], act: Callable[[BlockingChannel, Letter], None]
) -> list[Letter]:
    ids = {letter.id for letter in wanted}
    done: list[Letter] = []
    with _channel(url) as channel:

        def take(letter: Letter) -> bool:
            if letter.id not in ids:
                return False
            act(channel, letter)
            return True

        for queue in dict.fromkeys(letter.queue for letter in wanted):
            done += _settle(channel, *_get(channel, queue), take)
    return done


def _get(channel: BlockingChannel, queue: str) -> Found:
    """Return the letters at the head of a queue, which this session then holds."""
    letters: list[Letter] = []
    name = dead_letter_queue(queue)
    ready = _count_ready(channel, name)
    if not ready:
        return Found(letters, 0)

    def on_letter(
        _: BlockingChannel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        letters.append(Letter(queue, method.delivery_tag, properties, body))

    # As many as are wanted and no more: what comes meanwhile keeps its place behind them.
    wanted = min(ready, LOOK_AT_MOST)
    channel.basic_qos(prefetch_count=wanted)
    tag = channel.basic_consume(name, on_letter)
    end = time.monotonic() + TIMEOUT_SECONDS
    while len(letters) < wanted and time.monotonic() < end:
        channel.connection.process_data_events(time_limit=TICK_SECONDS)
    channel.basic_cancel(tag)
    return Found(letters, ready - len(letters))


def _settle(
    channel: BlockingChannel,
    letters: Sequence[Letter],
    behind: int,
    take: Callable[[Letter], bool],
) -> list[Letter]:
    """Acknowledge the letters that `take` took, and put the others back in their order."""
    taken: list[Letter] = []
    ready = behind
    for first in range(0, len(letters), IN_ORDER):
        kept: list[Letter] = []
        for letter in letters[first : first + IN_ORDER]:
            if take(letter):
                channel.basic_ack(letter.tag)
                taken.append(letter)
            else:
                kept.append(letter)
        if kept:
            # Not basic.reject, which RabbitMQ 4.3 counts as a failure of the message.
            channel.basic_nack(kept[-1].tag, multiple=True, requeue=True)
            ready += len(kept)
            _wait_until_back(channel, dead_letter_queue(kept[-1].queue), ready)
    return taken


def _wait_until_back(channel: BlockingChannel, name: str, ready: int) -> None:
    # Where somebody else takes letters meanwhile the count is never reached, which does no harm.
    end = time.monotonic() + BACK_SECONDS
    while _count_ready(channel, name) < ready and time.monotonic() < end:
        time.sleep(TICK_SECONDS)


def _count_ready(channel: BlockingChannel, name: str) -> int:
    return int(channel.queue_declare(name, passive=True).method.message_count)


def _publish(channel: BlockingChannel, letter: Letter) -> None:
    properties: BasicProperties = letter.properties
    properties.headers = letter.headers_again() or None
    properties.delivery_mode = PERSISTENT
    properties.expiration = None
    properties.user_id = None  # RabbitMQ takes none but the operator's
    try:
        channel.basic_publish("", letter.queue, letter.body, properties, mandatory=True)
    except UnroutableError:
        raise OperatorError(f"There is no queue {letter.queue}; nothing is lost.") from None
    except NackError:
        raise BrokerAway(f"{letter.queue} is full; {letter.id} stays a dead letter.") from None


@contextmanager
def _channel(url: str) -> Iterator[BlockingChannel]:
    address = parse("OPERATOR_AMQP_URL", url)
    where = f"{address.host}:{address.port}"
    user = address.user
    try:
        wanted = parameters(address, "operator dead-letters")
        wanted.socket_timeout = TIMEOUT_SECONDS
        wanted.stack_timeout = TIMEOUT_SECONDS
        wanted.blocked_connection_timeout = TIMEOUT_SECONDS
        with pika.BlockingConnection(wanted) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            yield channel
    except ProbableAuthenticationError:
        raise OperatorError(
            f"The broker at {where} refuses the login of {user}: put its password into "
            "OPERATOR_AMQP_URL."
        ) from None
    except ProbableAccessDeniedError:
        raise OperatorError(
            f"{user} may not use the virtual host {address.name} at {where}."
        ) from None
    except ChannelClosedByBroker as error:
        raise OperatorError(f"The broker refuses: {error.reply_text}") from None
    except (AMQPConnectionError, OSError):
        raise BrokerAway(f"No broker answers at {where}.") from None
    except AMQPError as error:
        raise BrokerAway(f"The broker at {where} went away: {error!r}") from None
