"""Keeps the read model up to date with what happens to tickets.

Idempotent by version, in any order, from any number of replicas at once.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from zoneinfo import ZoneInfo

from aio_pika.abc import AbstractIncomingMessage
from prometheus_client import Counter, Histogram
from pydantic import ValidationError

from analytics_svc import store
from analytics_svc.database import writing
from analytics_svc.state import state_of
from analytics_svc.store import NotBuilt
from bus.consumer import BatchConsumer
from bus.link import Link
from bus.rpc import reasons
from bus.signatures import Keys, check_event
from contracts.messages import Event
from contracts.topology import ANALYTICS_TICKETS
from runtime.postgres import Database, DatabaseAway

# Large enough to share a commit, small enough that the reports follow within a moment.
BATCH_EVENTS = 500

EVENTS_TOTAL = Counter("projection_events_total", "Events taken in.", ["news"])
BATCH_SECONDS = Histogram("projection_batch_seconds", "Time to take in one batch of events.")
LAG_SECONDS = Histogram(
    "projection_lag_seconds",
    "From a change of a ticket to the reports that count it.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1_800),
)


class Projection:
    """Fills the read model with `build` where that is needed, then follows the events."""

    def __init__(self, pool: Database, build: Callable[[], Awaitable[None]], keys: Keys) -> None:
        self._pool = pool
        self._build = build
        self._consumer = BatchConsumer(
            ANALYTICS_TICKETS,
            partial(decode, keys),
            self._take,
            transient=(DatabaseAway, NotBuilt),
            batch=BATCH_EVENTS,
        )

    @property
    def link(self) -> Link:
        return self._consumer.link

    @property
    def is_connected(self) -> bool:
        return self._consumer.is_connected

    async def run(self, url: str, name: str) -> None:
        """Follow the events until cancelled."""
        self.link.reason = "the read model is looked after first"
        await self._build()
        await self._consumer.run(url, name)

    async def _take(self, events: list[Event]) -> None:
        with BATCH_SECONDS.time():
            news = await take(self._pool, events)
        EVENTS_TOTAL.labels("yes").inc(news)
        EVENTS_TOTAL.labels("no").inc(len(events) - news)
        now = datetime.now(UTC)
        for event in events:
            LAG_SECONDS.observe((now - event.ticket.modified_at).total_seconds())


async def take(pool: Database, events: list[Event]) -> int:
    """Take in what events say of tickets; return how many were news.

    Raises DatabaseAway, NotBuilt.
    """
    async with writing(pool) as connection:
        await store.lock_for_writing(connection)
        built = await store.fetch_built(connection)
        zone = ZoneInfo(built.timezone)
        states = [state_of(event.ticket, zone) for event in events]
        await store.note_for_rebuild(connection, states)
        return await store.apply(connection, built.generation, states)


def decode(keys: Keys, message: AbstractIncomingMessage) -> Event:
    """Return the event; raises ValueError with each bad field and its reason."""
    check_event("analytics_svc", keys, message, message.body)
    try:
        return Event.model_validate_json(message.body)
    except ValidationError as error:
        # Without what people wrote, which pydantic's own words would carry into the log.
        raise ValueError(reasons(error)) from None
