"""Serves queues with pika, for work that holds the processor: what waits is taken as one batch.

`PikaServer(url, name, services).run()` blocks until `stop()`, which a signal handler may call: it
only sets a flag. What a service does with its batch is in `bus.pika_services`.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError
from pika.spec import Basic, BasicProperties

from bus.pika_services import PERSISTENT, Channels, Delivery, Service
from contracts.topology import SUSPECT_RETURNS

log = logging.getLogger(__name__)

# How often the stop flag is looked at while nothing arrives.
IDLE_SECONDS = 0.2
RECONNECT_SECONDS = 1.0
HEARTBEAT_SECONDS = 10
BATCH = 64
# Of what nobody waits for, in one batch with what somebody does: it delays them by so much only.
DEFERRED_IN_BATCH = 8


class PikaServer:
    """Keeps a connection and hands each service what waits in its queue, at most BATCH at once.

    Working a batch must stay far below the heartbeat.
    """

    def __init__(self, url: str, name: str, services: Sequence[Service]) -> None:
        self._parameters = pika.URLParameters(url)
        self._parameters.heartbeat = HEARTBEAT_SECONDS
        self._parameters.client_properties = {"connection_name": name}
        self._name = name
        self._services = services
        self._stopping = False
        self.is_connected = False

    def stop(self) -> None:
        """Ask `run` to return after the batch it works on; safe in a signal handler."""
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
        with pika.BlockingConnection(self._parameters) as connection, ExitStack() as stack:
            # A reply that a caller waits for needs no confirm, which would cost a round trip.
            channel = stack.enter_context(connection.channel())
            confirming = stack.enter_context(connection.channel())
            confirming.confirm_delivery()
            channels = Channels(channel, confirming)
            channel.basic_qos(prefetch_count=BATCH)
            intakes = [Intake(service) for service in self._services]
            for intake in intakes:
                intake.work_suspects(channels)
            for intake in intakes:
                channel.basic_consume(intake.service.queue, intake.arrived)
            log.info("%s: connected", self._name)
            self.is_connected = True
            # pika drops the tag of a consumer that the broker cancelled; staying would be deaf.
            while not self._stopping and len(channel.consumer_tags) == len(intakes):
                waits = any(intake.waiting for intake in intakes)
                connection.process_data_events(time_limit=0 if waits else IDLE_SECONDS)
                for intake in intakes:
                    intake.work_batch(channels)
            # What arrived and was not worked goes back to the queue when the channel closes.


class Intake:
    """What has arrived for one service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.waiting: list[Delivery] = []

    def arrived(
        self,
        _channel: BlockingChannel,
        method: Basic.Deliver,
        properties: BasicProperties,
        body: bytes,
    ) -> None:
        """Keep a delivery until the next batch."""
        self.waiting.append(Delivery(method.delivery_tag, properties, body))

    def work_batch(self, channels: Channels) -> None:
        """Hand over what waits: first what somebody waits for, then a little of the rest."""
        if not self.waiting:
            return
        urgent = [d for d in self.waiting if d.properties.delivery_mode != PERSISTENT]
        deferred = [d for d in self.waiting if d.properties.delivery_mode == PERSISTENT]
        room = DEFERRED_IN_BATCH if urgent else BATCH
        batch = urgent[: BATCH - DEFERRED_IN_BATCH] + deferred[:room]
        taken = {delivery.tag for delivery in batch}
        self.waiting = [d for d in self.waiting if d.tag not in taken]
        self.service.work(channels, batch)

    def work_suspects(self, channels: Channels) -> None:
        """Take alone what has come back several times: it may be what kills whoever takes it.

        In a batch it would take its neighbours to the dead letters.
        """
        while True:
            method, properties, body = channels.plain.basic_get(self.service.queue)
            if method is None:
                return
            self.service.work(channels, [Delivery(method.delivery_tag, properties, body)])
            returns = (properties.headers or {}).get("x-delivery-count", 0)
            if returns < SUSPECT_RETURNS:
                return
