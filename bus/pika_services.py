"""What a `PikaServer` does with a batch: answer requests, or take events.

Reply first, acknowledge second; poison is never requeued.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import NackError, UnroutableError
from pika.spec import BasicProperties
from pydantic import BaseModel, ValidationError

from bus.letters import log_name
from bus.rpc import (
    CONTENT_TYPE,
    LATE_TOTAL,
    SERVED_SECONDS,
    decode_request,
    encode_error,
    encode_result,
    reasons,
)
from bus.signatures import Forged, Properties

log = logging.getLogger(__name__)

PERSISTENT = 2
REPLY_QUEUE_FULL_SECONDS = 1.0

RequestT = TypeVar("RequestT", bound=BaseModel)
EventT = TypeVar("EventT", bound=BaseModel)


class Delivery(NamedTuple):
    """One message that waits for its acknowledgement."""

    tag: int
    properties: BasicProperties
    body: bytes
    arrived: float

    @property
    def is_late(self) -> bool:
        """Tell whether its caller has stopped waiting, so that the work would be for nobody.

        The broker drops what expires in the queue; here counts the time since it came, by this
        process's own clock, since clocks of two machines differ.
        """
        patience_ms = self.properties.expiration
        waited_s = time.monotonic() - self.arrived
        return patience_ms is not None and waited_s * 1000 > float(patience_ms)


class Channels(NamedTuple):
    """`plain` delivers, acknowledges and replies; `confirming` publishes what must not be lost."""

    plain: BlockingChannel
    confirming: BlockingChannel


class Wait(Exception):
    """What a handler needs is away: `kept`, of which nothing is at fault, is to be tried again."""

    def __init__(self, reason: str, kept: Sequence[Delivery] = ()) -> None:
        super().__init__(reason)
        self.kept = list(kept)


class Service(Protocol):
    """Works what comes from `queue`; every delivery is acknowledged or refused at the end."""

    queue: str

    def work(self, channels: Channels, batch: list[Delivery]) -> None:
        """Work a batch; raises Wait, and otherwise only where the broker is lost."""


class RpcService(Generic[RequestT]):
    """Answers requests with `handle`: as many results as requests, in their order.

    Where a batch fails, each request is tried alone, so that one cannot fail its neighbours.
    """

    def __init__(
        self,
        queue: str,
        request_type: type[RequestT],
        handle: Callable[[Sequence[RequestT]], Sequence[BaseModel]],
    ) -> None:
        self.queue = queue
        self._request_type = request_type
        self._handle = handle

    def work(self, channels: Channels, batch: list[Delivery]) -> None:
        """Answer what is still waited for."""
        wanted = [delivery for delivery in batch if self._is_wanted(channels, delivery)]
        if not wanted:
            return
        started = time.perf_counter()
        replies = self._answer([delivery.body for delivery in wanted])
        seconds = (time.perf_counter() - started) / len(wanted)
        for delivery, reply in zip(wanted, replies, strict=True):
            SERVED_SECONDS.labels(self.queue).observe(seconds)
            self._reply(channels, delivery, reply)

    def _is_wanted(self, channels: Channels, delivery: Delivery) -> bool:
        if delivery.is_late:
            LATE_TOTAL.labels(self.queue).inc()
            channels.plain.basic_ack(delivery.tag)
            return False
        if not delivery.properties.reply_to:
            refuse(channels, self.queue, delivery, "a request without reply_to")
            return False
        return True

    def _answer(self, bodies: list[bytes]) -> list[bytes]:
        replies: dict[int, bytes] = {}
        requests: dict[int, RequestT] = {}
        for index, body in enumerate(bodies):
            try:
                requests[index] = decode_request(body, self._request_type)
            except Exception as error:
                replies[index] = encode_error(error, self.queue)
        replies |= zip(requests, self._work(list(requests.values())), strict=True)
        return [replies[index] for index in range(len(bodies))]

    def _work(self, requests: list[RequestT]) -> list[bytes]:
        if not requests:
            return []
        try:
            results = self._handle(requests)
            return [encode_result(result) for _, result in zip(requests, results, strict=True)]
        except Exception as error:
            if len(requests) == 1:
                return [encode_error(error, self.queue)]
            return [reply for request in requests for reply in self._work([request])]

    def _reply(self, channels: Channels, delivery: Delivery, body: bytes) -> None:
        asked = delivery.properties
        properties = BasicProperties(
            content_type=CONTENT_TYPE,
            type=self.queue,
            correlation_id=asked.correlation_id,
            delivery_mode=asked.delivery_mode,
        )
        if asked.delivery_mode != PERSISTENT:
            # Where the caller is gone, the broker drops it.
            channels.plain.basic_publish("", asked.reply_to, body, properties)
            channels.plain.basic_ack(delivery.tag)
            return
        try:
            channels.confirming.basic_publish("", asked.reply_to, body, properties, mandatory=True)
        except UnroutableError:
            # Somebody who can wait for ever asked, and its queue is not there: for people.
            refuse(channels, self.queue, delivery, f"no reply queue {asked.reply_to}")
        except NackError:
            # The request waits and is tried again.
            log.warning("%s: reply queue %s is full", self.queue, asked.reply_to)
            time.sleep(REPLY_QUEUE_FULL_SECONDS)
            channels.plain.basic_nack(delivery.tag, requeue=True)
        else:
            channels.plain.basic_ack(delivery.tag)


class EventService(Generic[EventT]):
    """Takes events with `handle`, which must be idempotent: they come again after a loss.

    `check` raises Forged where an event does not come from the ticket service. Where `handle`
    raises Wait the events are kept. What is no event, and what alone makes `handle` fail,
    becomes a dead letter.
    """

    def __init__(
        self,
        queue: str,
        event_type: type[EventT],
        handle: Callable[[Sequence[EventT]], Any],
        check: Callable[[Properties, bytes], None],
    ) -> None:
        self.queue = queue
        self._event_type = event_type
        self._handle = handle
        self._check = check

    def work(self, channels: Channels, batch: list[Delivery]) -> None:
        """Take a batch, or what of it can be taken."""
        events: list[EventT] = []
        good: list[Delivery] = []
        for delivery in batch:
            try:
                self._check(delivery.properties, delivery.body)
                events.append(self._event_type.model_validate_json(delivery.body))
                good.append(delivery)
            except ValidationError as error:
                refuse(channels, self.queue, delivery, reasons(error))
            except Forged as error:
                refuse(channels, self.queue, delivery, str(error))
        if not good:
            return
        try:
            self._handle(events)
        except Wait as wait:
            raise Wait(str(wait), good) from wait
        except Exception:
            if len(good) > 1:
                self._work_alone(channels, good)
                return
            log.exception("%s: an event cannot be handled", self.queue)
            refuse(channels, self.queue, good[0], "it cannot be handled")
            return
        for delivery in good:
            channels.plain.basic_ack(delivery.tag)

    def _work_alone(self, channels: Channels, batch: list[Delivery]) -> None:
        for index, delivery in enumerate(batch):
            try:
                self.work(channels, [delivery])
            except Wait as wait:
                raise Wait(str(wait), batch[index:]) from wait


def refuse(channels: Channels, queue: str, delivery: Delivery, reason: str) -> None:
    """Make a dead letter of what can never be worked."""
    asked = delivery.properties
    name = log_name(queue, asked.message_id, asked.correlation_id, delivery.body)
    log.error("%s is refused: %s", name, reason)
    channels.plain.basic_reject(delivery.tag, requeue=False)
