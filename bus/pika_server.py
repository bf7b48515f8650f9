"""Serves one RPC queue with pika, for work that holds the processor; one request at a time.

`PikaRpcServer(url, name, queue, request_type, handle).run()` blocks until `stop()`, which a
signal handler may call: it only sets a flag. Reply first, acknowledge second.
"""

import logging
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, NackError, UnroutableError
from pika.spec import Basic, BasicProperties
from pydantic import BaseModel

from bus.letters import log_name
from bus.rpc import (
    CONTENT_TYPE,
    LATE_TOTAL,
    SERVED_SECONDS,
    decode_request,
    encode_error,
    encode_result,
    is_late,
)

log = logging.getLogger(__name__)

# How often the stop flag is looked at while nothing arrives.
IDLE_SECONDS = 0.2
RECONNECT_SECONDS = 1.0
HEARTBEAT_SECONDS = 10
PERSISTENT = 2

RequestT = TypeVar("RequestT", bound=BaseModel)


class PikaRpcServer(Generic[RequestT]):
    """Answers requests of `queue` with `handle`, which must stay far below the heartbeat."""

    def __init__(
        self,
        url: str,
        name: str,
        queue: str,
        request_type: type[RequestT],
        handle: Callable[[RequestT], BaseModel],
        *,
        prefetch: int = 32,
    ) -> None:
        self._parameters = pika.URLParameters(url)
        self._parameters.heartbeat = HEARTBEAT_SECONDS
        self._parameters.client_properties = {"connection_name": name}
        self._name = name
        self._queue = queue
        self._request_type = request_type
        self._handle = handle
        self._prefetch = prefetch
        self._stopping = False
        self.is_connected = False

    def stop(self) -> None:
        """Ask `run` to return after the request it works on; safe in a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Serve until `stop`, connecting again after each loss."""
        while not self._stopping:
            try:
                self._session()
            except (AMQPError, OSError) as error:
                log.warning("%s: connection lost or refused: %r", self._name, error)
                time.sleep(RECONNECT_SECONDS)
            finally:
                self.is_connected = False

    def _session(self) -> None:
        with pika.BlockingConnection(self._parameters) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            channel.basic_qos(prefetch_count=self._prefetch)
            channel.basic_consume(self._queue, self._serve)
            log.info("%s: connected", self._name)
            self.is_connected = True
            # pika drops the tag of a consumer that the broker cancelled; staying would be deaf.
            while not self._stopping and channel.consumer_tags:
                connection.process_data_events(time_limit=IDLE_SECONDS)
            # What was prefetched and not worked goes back to the queue when the channel closes.

    def _serve(
        self,
        channel: BlockingChannel,
        method: Basic.Deliver,
        properties: BasicProperties,
        body: bytes,
    ) -> None:
        if self._stopping:
            return
        if is_late(properties.headers):
            LATE_TOTAL.labels(self._queue).inc()
            channel.basic_ack(method.delivery_tag)
            return
        if not properties.reply_to:
            log.error("%s is refused: a request without reply_to", self._name_of(properties, body))
            channel.basic_reject(method.delivery_tag, requeue=False)
            return
        with SERVED_SECONDS.labels(self._queue).time():
            reply = self._answer(body)
        try:
            channel.basic_publish(
                exchange="",
                routing_key=properties.reply_to,
                body=reply,
                properties=BasicProperties(
                    content_type=CONTENT_TYPE,
                    type=self._queue,
                    correlation_id=properties.correlation_id,
                    delivery_mode=properties.delivery_mode,
                ),
                mandatory=True,
            )
        except UnroutableError:
            if properties.delivery_mode == PERSISTENT:
                # Somebody who can wait for ever asked, and its queue is not there: for people.
                name = self._name_of(properties, body)
                log.error("%s is refused: no reply queue %s", name, properties.reply_to)
                channel.basic_reject(method.delivery_tag, requeue=False)
                return
            log.debug("%s: the caller is gone", self._queue)
        except NackError:
            # The reply queue is full; the request waits and is tried again.
            log.warning("%s: reply queue %s is full", self._queue, properties.reply_to)
            time.sleep(RECONNECT_SECONDS)
            channel.basic_nack(method.delivery_tag, requeue=True)
            return
        channel.basic_ack(method.delivery_tag)

    def _name_of(self, properties: BasicProperties, body: bytes) -> str:
        return log_name(self._queue, properties.message_id, properties.correlation_id, body)

    def _answer(self, body: bytes) -> bytes:
        try:
            return encode_result(self._handle(decode_request(body, self._request_type)))
        except Exception as error:
            return encode_error(error, self._queue)
