"""Serves queues with pika, for work that holds the processor: what waits is taken as one batch.

`PikaServer(url, name, services).run()` blocks until `stop()`, which a signal handler may call: it
only sets a flag. What a service does with its batch is in `bus.pika_services`.
"""

import logging
import secrets
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ChannelClosed, ConnectionClosed, UnroutableError
from pika.spec import Basic, BasicProperties

from bus.link import BLOCKED, Link
from bus.pika_address import parameters
from bus.pika_services import PERSISTENT, Channels, Delivery, Service, Wait
from contracts.addresses import parse
from contracts.topology import SUSPECT_RETURNS

log = logging.getLogger(__name__)

# How often it is tried whether the broker takes messages, as `bus.connection` does.
TRY_SECONDS = 3.0
# How often the stop flag is looked at while nothing arrives.
IDLE_SECONDS = 0.2
RECONNECT_FIRST_SECONDS = 0.1
RECONNECT_MAX_SECONDS = 2.0
HEARTBEAT_SECONDS = 10
BATCH = 64
# Nobody has this queue.
NOBODY = f"nobody.{secrets.token_hex(8)}"
# Of what nobody waits for, in one batch with what somebody does: it delays them by so much only.
DEFERRED_IN_BATCH = 8
# Before a batch is tried again for which something was away, doubled up to the second figure.
WAIT_FIRST_SECONDS = 0.1
WAIT_MAX_SECONDS = 2.0


class PikaServer:
    """Keeps a connection and hands each service what waits in its queue, at most BATCH at once.

    Working a batch must stay far below the heartbeat.
    """

    def __init__(self, url: str, name: str, services: Sequence[Service]) -> None:
        self._address = parse("_AMQP_URL", url)
        self._name = name
        self._services = services
        self._stopping = False
        self.link = Link()
        self._intakes: list[Intake] = []
        self.is_connected = False

    @property
    def waits(self) -> dict[str, str]:
        """Return the queues whose batch waits for something that is away, and for what."""
        intakes = self._intakes if self.is_connected else []
        return {intake.service.queue: intake.waits_for for intake in intakes if intake.waits_for}

    def stop(self) -> None:
        """Ask `run` to return after the batch it works on; safe in a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Serve until `stop`, connecting again after each loss."""
        pause, logged = RECONNECT_FIRST_SECONDS, ""
        while not self._stopping:
            started = time.monotonic()
            try:
                self._session()
            except (AMQPError, OSError) as error:
                self.link.reason = _words(error)
                if self.is_connected and time.monotonic() - started > RECONNECT_MAX_SECONDS:
                    pause, logged = RECONNECT_FIRST_SECONDS, ""
                if self.link.reason != logged:
                    log.warning("%s: connection lost or refused: %s", self._name, self.link.reason)
                    logged = self.link.reason
                time.sleep(pause)
                pause = min(2 * pause, RECONNECT_MAX_SECONDS)
            finally:
                self.is_connected = False

    def _session(self) -> None:
        wanted = parameters(self._address, self._name)
        wanted.heartbeat = HEARTBEAT_SECONDS
        with pika.BlockingConnection(wanted) as connection, ExitStack() as stack:
            connection.add_on_connection_blocked_callback(lambda *_: self._note_blocked())
            connection.add_on_connection_unblocked_callback(lambda *_: self._note_unblocked())
            # A reply that a caller waits for needs no confirm, which would cost a round trip.
            channel = stack.enter_context(connection.channel())
            confirming = stack.enter_context(connection.channel())
            confirming.confirm_delivery()
            _require_right_to_publish(confirming)
            channels = Channels(channel, confirming)
            channel.basic_qos(prefetch_count=BATCH)
            intakes = self._intakes = [Intake(service) for service in self._services]
            for intake in intakes:
                intake.work_suspects(channels)
            for intake in intakes:
                channel.basic_consume(intake.service.queue, intake.arrived)
            log.info("%s: connected", self._name)
            self.is_connected = True
            tried_at = time.monotonic()
            # pika drops the tag of a consumer that the broker cancelled; staying would be deaf.
            while not self._stopping and len(channel.consumer_tags) == len(intakes):
                waits = self.is_connected and any(intake.is_due for intake in intakes)
                connection.process_data_events(time_limit=0 if waits else IDLE_SECONDS)
                if not self.is_connected:
                    continue  # an answer that has to be confirmed would never be
                for intake in intakes:
                    intake.work_batch(channels)
                if time.monotonic() - tried_at > TRY_SECONDS:
                    # The broker says that it takes nothing only to who publishes.
                    channel.basic_publish("", NOBODY, b"")
                    tried_at = time.monotonic()
            # What arrived and was not worked goes back to the queue when the channel closes.

    def _note_blocked(self) -> None:
        self.is_connected = False
        self.link.reason = BLOCKED
        log.warning("%s: waiting, %s", self._name, BLOCKED)

    def _note_unblocked(self) -> None:
        self.is_connected = True
        log.info("%s: the broker takes messages again", self._name)


def _words(error: Exception) -> str:
    match error:
        case ConnectionClosed() | ChannelClosed():
            return f"{error.reply_text} ({error.reply_code})"
        case _:
            return str(error) or repr(error)


def _require_right_to_publish(confirming: BlockingChannel) -> None:
    # As `bus.connection.require_right_to_publish`.
    with suppress(UnroutableError):
        confirming.basic_publish("", NOBODY, b"", mandatory=True)


class Intake:
    """What has arrived for one service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.waiting: list[Delivery] = []
        self._pause = 0.0
        self._not_before = 0.0
        self.waits_for = ""

    @property
    def is_due(self) -> bool:
        """Tell whether something waits that can be worked now."""
        return bool(self.waiting) and time.monotonic() >= self._not_before

    def arrived(
        self,
        _channel: BlockingChannel,
        method: Basic.Deliver,
        properties: BasicProperties,
        body: bytes,
    ) -> None:
        """Keep a delivery until the next batch."""
        self.waiting.append(Delivery(method.delivery_tag, properties, body, time.monotonic()))

    def work_batch(self, channels: Channels) -> None:
        """Hand over what waits: first what somebody waits for, then a little of the rest."""
        if not self.is_due:
            return
        urgent = [d for d in self.waiting if d.properties.delivery_mode != PERSISTENT]
        deferred = [d for d in self.waiting if d.properties.delivery_mode == PERSISTENT]
        room = DEFERRED_IN_BATCH if urgent else BATCH
        batch = urgent[: BATCH - DEFERRED_IN_BATCH] + deferred[:room]
        taken = {delivery.tag for delivery in batch}
        self.waiting = [d for d in self.waiting if d.tag not in taken]
        self._work(channels, batch)

    def work_suspects(self, channels: Channels) -> None:
        """Take alone what has come back several times: it may be what kills whoever takes it.

        In a batch it would take its neighbours to the dead letters.
        """
        while True:
            method, properties, body = channels.plain.basic_get(self.service.queue)
            if method is None:
                return
            self._work(
                channels, [Delivery(method.delivery_tag, properties, body, time.monotonic())]
            )
            returns = (properties.headers or {}).get("x-delivery-count", 0)
            if returns < SUSPECT_RETURNS:
                return

    def _work(self, channels: Channels, batch: list[Delivery]) -> None:
        try:
            self.service.work(channels, batch)
        except Wait as wait:
            # Kept here and not given back, so that waiting never counts as a redelivery.
            self.waiting = wait.kept + self.waiting
            self._pause = min(2 * self._pause or WAIT_FIRST_SECONDS, WAIT_MAX_SECONDS)
            self._not_before = time.monotonic() + self._pause
            if str(wait) != self.waits_for:
                log.warning("%s: waiting, %s", self.service.queue, wait)
                self.waits_for = str(wait)
        else:
            self._pause, self._not_before, self.waits_for = 0.0, 0.0, ""
