"""Keeps the read model up to date with what happens to tickets.

Idempotent by version, in any order, from any number of replicas at once.
"""

from collections.abc import Awaitable, Callable, Sequence
from zoneinfo import ZoneInfo

from aio_pika.abc import AbstractIncomingMessage
from prometheus_client import Counter, Histogram
from pydantic import ValidationError

from analytics_svc import store
from analytics_svc.database import Connection, DatabaseAway, Pool, writing
from analytics_svc.periods import day_of
from analytics_svc.store import NotBuilt
from bus.consumer import BatchConsumer
from bus.rpc import reasons
from contracts.messages import Event
from contracts.rest import Ticket
from contracts.topology import ANALYTICS_TICKETS

# Large enough to share a commit, small enough that the reports follow within a moment.
BATCH_EVENTS = 500

EVENTS_TOTAL = Counter("projection_events_total", "Events taken in.", ["news"])
BATCH_SECONDS = Histogram("projection_batch_seconds", "Time to take in one batch of events.")


async def apply(connection: Connection, tickets: Sequence[Ticket], zone: ZoneInfo) -> int:
    """Take in ticket states, with the writer's lock held; return how many were news."""
    return await store.apply(connection, tickets, [day_of(t.opened_at, zone) for t in tickets])


class Projection:
    """Fills the read model with `build` where that is needed, then follows the events."""

    def __init__(self, pool: Pool, build: Callable[[], Awaitable[None]]) -> None:
        self._pool = pool
        self._build = build
        self._consumer = BatchConsumer(
            ANALYTICS_TICKETS,
            decode,
            self._take,
            transient=(DatabaseAway, NotBuilt),
            batch=BATCH_EVENTS,
        )

    @property
    def is_connected(self) -> bool:
        return self._consumer.is_connected

    async def run(self, url: str, name: str) -> None:
        """Follow the events until cancelled."""
        await self._build()
        await self._consumer.run(url, name)

    async def _take(self, events: list[Event]) -> None:
        with BATCH_SECONDS.time():
            async with writing(self._pool) as connection:
                await store.lock_for_writing(connection)
                built = await store.fetch_built(connection)
                tickets = [event.ticket for event in events]
                news = await apply(connection, tickets, ZoneInfo(built.timezone))
        EVENTS_TOTAL.labels("yes").inc(news)
        EVENTS_TOTAL.labels("no").inc(len(events) - news)


def decode(message: AbstractIncomingMessage) -> Event:
    """Return the event; raises ValueError with each bad field and its reason."""
    try:
        return Event.model_validate_json(message.body)
    except ValidationError as error:
        # Without what people wrote, which pydantic's own words would carry into the log.
        raise ValueError(reasons(error)) from None
