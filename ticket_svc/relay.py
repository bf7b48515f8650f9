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

from bus.connection import keep_session
from bus.rpc import CONTENT_TYPE
from contracts.messages import Event
from contracts.topology import EXCHANGE_TICKETS, RPC_CLASSIFY, TICKET_CATEGORISED
from ticket_svc import outbox
from ticket_svc.database import DATABASE_AWAY, Pool, acquire
from ticket_svc.outbox import Outgoing

log = logging.getLogger(__name__)

BATCH = 200
# Writes that come together leave together: a batch costs five round trips however small it is.
GATHER_SECONDS = 0.01
POLL_SECONDS = 1.0
# Far below the time after which the database ends an idle transaction.
CONFIRM_TIMEOUT_SECONDS = 10.0

PUBLISHED_TOTAL = Counter("ticket_relay_published_total", "Messages that RabbitMQ confirmed.")
REFUSED_TOTAL = Counter("ticket_relay_refused_total", "Messages that RabbitMQ refused.")


class Relay:
    """Publishes what waits in the outbox for as long as `run` runs."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._woken = asyncio.Event()
        self.is_connected = False

    def wake(self) -> None:
        """Say that something may wait; cheap, and right to say too often."""
        self._woken.set()

    async def run(self, url: str, name: str) -> None:
        """Relay until cancelled; what is not confirmed by then stays in the outbox."""
        await keep_session(url, name, self._session)

    async def _session(self, channel: AbstractChannel) -> None:
        events = await channel.get_exchange(EXCHANGE_TICKETS, ensure=False)
        self.is_connected = True
        try:
            while not channel.is_closed:
                self._woken.clear()
                try:
                    go_on = await self._relay_batch(channel, events)
                except DATABASE_AWAY as error:
                    log.warning("relay: waiting, %r", error)
                    await asyncio.sleep(POLL_SECONDS)
                    continue
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
        async with acquire(self._pool) as connection, connection.transaction():
            await outbox.lock_outbox(connection)
            batch = await outbox.list_outgoing(connection, BATCH)
            if not batch:
                return False
            # All in flight together; the tasks start, and so publish, in the order of the batch.
            tasks = {
                outgoing.id: asyncio.create_task(
                    _publish(outgoing, channel.default_exchange, events)
                )
                for outgoing in batch
            }
            _, pending = await asyncio.wait(tasks.values(), timeout=CONFIRM_TIMEOUT_SECONDS)
            for task in pending:
                task.cancel()
            confirmed = [id_ for id_, task in tasks.items() if _is_confirmed(task)]
            await outbox.delete_confirmed(connection, confirmed)
            PUBLISHED_TOTAL.inc(len(confirmed))
            refused = tasks.keys() - confirmed
            if pending or channel.is_closed:
                # No fault of the messages: they keep their place. The next session publishes again.
                await channel.close()
                return False
            if refused:
                log.warning("relay: RabbitMQ refused %d of %d", len(refused), len(batch))
                REFUSED_TOTAL.inc(len(refused))
                await outbox.put_back_refused(connection, list(refused))
            # What was refused before is tried once a round; what is fresh never waits behind it.
            return len(batch) == BATCH and (not refused or batch[-1].refusals == 0)


def _is_confirmed(task: "asyncio.Task[None]") -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


async def _publish(
    outgoing: Outgoing, requests: AbstractExchange, events: AbstractExchange
) -> None:
    """Return once RabbitMQ has confirmed; raises where it refuses or is lost."""
    message = Message(
        outgoing.body.encode(),
        content_type=CONTENT_TYPE,
        type=outgoing.type,
        message_id=f"{outgoing.ticket_id}.{outgoing.version}",
        delivery_mode=DeliveryMode.PERSISTENT,
    )
    if outgoing.type == RPC_CLASSIFY:
        # Waits in the queue for ever, and its answer in another one.
        message.correlation_id = str(outgoing.ticket_id)
        message.reply_to = TICKET_CATEGORISED
        await requests.publish(message, outgoing.type, mandatory=True)
    else:
        # The database's JSON has its own way with times; the contract's shape is Event's.
        message.body = Event.model_validate_json(outgoing.body).model_dump_json().encode()
        await events.publish(message, outgoing.type, mandatory=False)
