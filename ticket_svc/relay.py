"""Carries the outbox to RabbitMQ: publishes with confirms, deletes what is confirmed.

At least once: a loss between confirm and delete publishes again, and consumers go by version. It
is woken inside the process rather than by NOTIFY, whose commits PostgreSQL lets through one by one;
what other replicas left behind is found by the slow poll.
"""

import asyncio
import logging

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractExchange
from prometheus_client import Counter

from bus.connection import keep_session, words
from bus.consumer import RETRY_FIRST_SECONDS, RETRY_MAX_SECONDS
from bus.link import Link
from bus.rpc import CONTENT_TYPE
from bus.signatures import sign_event, sign_name
from contracts.messages import Event
from contracts.topology import (
    EXCHANGE_TICKETS,
    RPC_CLASSIFY,
    RPC_EMBED,
    TICKET_CATEGORISED,
    TICKET_EMBEDDED,
)
from runtime.postgres import Database, DatabaseAway
from ticket_svc import outbox
from ticket_svc.database import patient_transaction
from ticket_svc.outbox import Outgoing
from ticket_svc.settings import SigningKeys

log = logging.getLogger(__name__)

BATCH = 200
# Writes that come together leave together: a batch costs six round trips however small it is.
GATHER_SECONDS = 0.01
POLL_SECONDS = 1.0
# Far below the time after which the database ends an idle transaction.
CONFIRM_TIMEOUT_SECONDS = 10.0

# By the queue that is asked: where the answer goes, and what names the ticket in it.
REQUESTS: dict[str, tuple[str, str]] = {
    RPC_CLASSIFY: (TICKET_CATEGORISED, "{ticket_id}"),
    RPC_EMBED: (TICKET_EMBEDDED, "{ticket_id}.{version}"),
}

PUBLISHED_TOTAL = Counter("ticket_relay_published_total", "Messages that RabbitMQ confirmed.")
REFUSED_TOTAL = Counter("ticket_relay_refused_total", "Messages that RabbitMQ refused.")


class NotConfirmed(ConnectionError):
    """RabbitMQ took no messages, none of which is to blame."""


class Relay:
    """Publishes what waits in the outbox for as long as `run` runs."""

    def __init__(self, pool: Database, keys: SigningKeys) -> None:
        self._pool = pool
        self._keys = keys
        self._woken = asyncio.Event()
        self.link = Link()
        self.is_connected = False

    def wake(self) -> None:
        """Say that something may wait; cheap, and right to say too often."""
        self._woken.set()

    async def run(self, url: str, name: str) -> None:
        """Relay until cancelled; what is not confirmed by then stays in the outbox."""
        await keep_session(url, name, self._session, self.link)

    async def _session(self, channel: AbstractChannel) -> None:
        events = await channel.get_exchange(EXCHANGE_TICKETS, ensure=False)
        self.is_connected = True
        delay = RETRY_FIRST_SECONDS
        try:
            while not channel.is_closed:
                self._woken.clear()
                try:
                    go_on = await self._relay_batch(channel, events)
                except DatabaseAway:  # which tells the log itself
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, RETRY_MAX_SECONDS)
                    continue
                delay = RETRY_FIRST_SECONDS
                if not go_on:
                    await self._wait()
        finally:
            self.is_connected = False

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._woken.wait()
            await asyncio.sleep(GATHER_SECONDS)
        except TimeoutError:
            pass

    async def _relay_batch(self, channel: AbstractChannel, events: AbstractExchange) -> bool:
        """Publish what is next, and tell whether to go on at once."""
        async with patient_transaction(self._pool) as connection:
            if not await outbox.lock_outbox(connection):
                return False
            batch = await outbox.list_outgoing(connection, BATCH)
            if not batch:
                return False
            errors = await self._publish_all(batch, channel.default_exchange, events)
            confirmed = [outgoing.id for outgoing in batch if outgoing.id not in errors]
            await outbox.delete_confirmed(connection, confirmed)
            PUBLISHED_TOTAL.inc(len(confirmed))
            first = next(iter(errors.values()), None)
            is_lost = channel.is_closed or any(isinstance(e, TimeoutError) for e in errors.values())
            if errors and not is_lost:
                log.warning("relay: %d of %d refused, %r", len(errors), len(batch), first)
                REFUSED_TOTAL.inc(len(errors))
                await outbox.put_back_refused(connection, list(errors))
        if is_lost:
            # No fault of the messages: they keep their place for the next session.
            raise NotConfirmed(words(first) if first else "the channel was closed")
        # What was refused before is tried once a round; what is fresh never waits behind it.
        return len(batch) == BATCH and (not errors or batch[-1].refusals == 0)

    async def _publish_all(
        self, batch: list[Outgoing], requests: AbstractExchange, events: AbstractExchange
    ) -> dict[int, BaseException]:
        """Publish in order, all in flight together; return why some were not confirmed, by id."""
        outcomes = await asyncio.gather(
            *(self._publish(outgoing, requests, events) for outgoing in batch),
            return_exceptions=True,
        )
        return {
            outgoing.id: outcome
            for outgoing, outcome in zip(batch, outcomes, strict=True)
            if isinstance(outcome, BaseException)
        }

    async def _publish(
        self, outgoing: Outgoing, requests: AbstractExchange, events: AbstractExchange
    ) -> None:
        """Return once RabbitMQ has confirmed; raises where it refuses or is lost."""
        message_id = f"{outgoing.ticket_id}.{outgoing.version}"
        message = Message(
            outgoing.body.encode(),
            content_type=CONTENT_TYPE,
            type=outgoing.type,
            message_id=message_id,
            delivery_mode=DeliveryMode.PERSISTENT,
        )
        if outgoing.type in REQUESTS:
            # Waits in the queue for ever, and its answer in another one.
            answers_to, name = REQUESTS[outgoing.type]
            message.reply_to = answers_to
            message.correlation_id = sign_name(
                self._keys.answers, answers_to, name.format_map(outgoing._asdict())
            )
            await requests.publish(
                message, outgoing.type, mandatory=True, timeout=CONFIRM_TIMEOUT_SECONDS
            )
        else:
            # The database's JSON has its own way with times; the contract's shape is Event's.
            message.body = Event.model_validate_json(outgoing.body).model_dump_json().encode()
            message.headers.update(
                sign_event(self._keys.events, outgoing.type, message_id, message.body)
            )
            await events.publish(
                message, outgoing.type, mandatory=False, timeout=CONFIRM_TIMEOUT_SECONDS
            )
