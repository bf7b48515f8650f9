"""Events and late answers of any shape: each is applied or a dead letter, and the rest goes on.

Whatever was refused has changed nothing, and nothing is refused by an unexpected failure.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from hypothesis import strategies as st

from analytics_svc import store
from analytics_svc.database import connect, writing
from analytics_svc.projection import Projection
from contracts.messages import Event
from contracts.topology import ANALYTICS_TICKETS, TICKET_CATEGORISED, dead_letter_queue
from runtime.postgres import Database
from tests.analytics_svc.conftest import ROME, running, ticket
from tests.conftest import Broker
from tests.fuzz.conftest import TIMES, fuzz_here
from tests.fuzz.odd import GARBAGE, VALUES, broken, encode, mutated
from tests.signing import asked, keys_of, signed
from tests.ticket_svc.conftest import Api, serve

BATCHES = 60
BATCH_MAX = 12
RIGHT_EVENT = json.loads(Event(ticket=ticket(1, 3)).model_dump_json())
RIGHT_ANSWER = {
    "result": {
        "category": "technical_it",
        "confidence": 0.9,
        "scores": {"technical_it": 0.9},
        "because": ["wifi"],
        "model": "test",
    }
}
INSTANTS = st.sampled_from(
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "0001-01-02T00:00:00-12:00",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00Z",
        "2026-03-29T02:30:00+01:00",
        "2026-10-25T02:30:00.123456+05:45",
        "2026-02-29T00:00:00Z",
        "2026-05-11T13:07:21",
        "2100-01-01T00:00:00-23:59",
        "9999-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59-14:00",
        "-infinity",
        0,
        -1e11,
        1e18,
    ]
)
ODD = VALUES | INSTANTS | st.sampled_from(["open", "active", "closed", "plumbing", 2, 3, 4])
# What is right but for its values, in all of them at once.
STATES = st.fixed_dictionaries(
    {
        "id": st.integers(1, 30) | st.sampled_from([2**53 - 1, 2**53, 2**63, 0]),
        "version": st.integers(1, 9) | st.sampled_from([2**31 - 1, 2**31, 2**63 - 1, 2**63]),
        "opened_at": INSTANTS,
        "closed_at": st.none() | INSTANTS,
        "status": st.sampled_from(["open", "active", "closed"]),
        "category": st.sampled_from([None, "technical_it", "facility_management", "plumbing"]),
    }
)
# The same, and possible: old and new versions of a few tickets, in any order.
POSSIBLE = st.tuples(
    st.integers(1, 12),
    st.integers(1, 9),
    st.sampled_from(["1970-01-01T00:00:00Z", "2026-10-25T02:30:00.123456+05:45"]),
    st.sampled_from([("open", None), ("active", None), ("closed", "2026-12-31T00:00:00-12:00")]),
    st.sampled_from([None, "technical_it", "facility_management"]),
).map(
    lambda drawn: {
        "id": drawn[0],
        "version": drawn[1],
        "opened_at": drawn[2],
        "status": drawn[3][0],
        "closed_at": drawn[3][1],
        "category": drawn[4],
    }
)


def told_of(state: dict[str, Any]) -> bytes:
    """Return the event of a state."""
    return encode({"ticket": RIGHT_EVENT["ticket"] | state})


EVENTS = st.one_of(
    GARBAGE,
    broken(encode(RIGHT_EVENT)),
    mutated(RIGHT_EVENT, ODD).map(encode),
    STATES.map(told_of),
    POSSIBLE.map(told_of),
    POSSIBLE.map(told_of),
)
NUMBERS_OF_TICKETS = st.sampled_from(
    ["", "0", "-5", "x", "1.5", "٣", "1" + "0" * 30, str(2**63), str(2**53), "999999", "9" * 222]
)
# The rollups must be what a recount of the states finds; a row that came to zero may stay.
RECOUNT = """
    SELECT 'day', opened_day::text, scope, count(*), sum((status = 'active')::int)
      FROM ticket_state CROSS JOIN LATERAL (VALUES ('all'), (category)) AS scopes (scope)
     GROUP BY 2, 3
    UNION ALL
    SELECT 'month', date_trunc('month', opened_day)::date::text, scope,
           count(*), sum((status <> 'closed')::int)
      FROM ticket_state CROSS JOIN LATERAL (VALUES ('all'), (category)) AS scopes (scope)
     GROUP BY 2, 3
    UNION ALL
    SELECT 'took', date_trunc('month', opened_day)::date::text, scope, count(*), 0
      FROM ticket_state CROSS JOIN LATERAL (VALUES ('all'), (category)) AS scopes (scope)
     WHERE status = 'closed' GROUP BY 2, 3
"""
ROLLUPS = """
    SELECT 'day', day::text, scope, opened, active FROM opened_day WHERE opened > 0
    UNION ALL
    SELECT 'month', month::text, scope, opened, open + active FROM opened_month WHERE opened > 0
    UNION ALL
    SELECT 'took', month::text, scope, sum(closed), 0
      FROM resolution_bucket WHERE closed > 0 GROUP BY 2, 3
"""


@dataclass
class Letterbox:
    """Puts messages into a queue and finds those that were refused."""

    channel: AbstractChannel
    queue: str
    numbers: Iterator[int] = field(default_factory=count)

    async def post(self, body: bytes, correlation_id: str | None = None) -> str:
        """Return the message's id."""
        name = str(next(self.numbers))
        message = signed(body, message_id=name, correlation_id=correlation_id)
        await self.channel.default_exchange.publish(message, self.queue)
        return name

    async def refused(self, n: int) -> set[str]:
        """Return the ids of the next `n` dead letters, waiting for them."""
        dead = await self.channel.get_queue(dead_letter_queue(self.queue), ensure=False)
        found: set[str] = set()
        async with asyncio.timeout(10):
            while len(found) < n:
                if message := await dead.get(fail=False, no_ack=True):
                    found.add(message.message_id or "")
                else:
                    await asyncio.sleep(0.01)
        return found


@pytest.fixture
async def channel(broker: Broker) -> AsyncIterator[AbstractChannel]:
    async with await aio_pika.connect(broker.admin_url) as connection:
        yield await connection.channel()


@pytest.fixture
async def projected(
    analytics_database_url: str, broker: Broker, no_errors_logged: Callable[[], None]
) -> AsyncIterator[Database]:
    """Return a read model that a projection keeps up to date."""
    async with connect(analytics_database_url) as pool:
        async with writing(pool) as connection:
            await store.show(connection, 0, ROME)
        projection = Projection(pool, lambda: asyncio.sleep(0), keys_of("analytics_svc"))
        async with running(projection.run(broker.url("analytics_svc"), "fuzz")):
            yield pool


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.01)


def told(body: bytes) -> tuple[int, int] | None:
    """Return ticket and version of an event that the contracts know, None of any other."""
    try:
        event = Event.model_validate_json(body)
    except ValueError:
        return None
    return event.ticket.id, event.ticket.version


@pytest.mark.timeout(120 * TIMES)
async def test_every_event_is_applied_or_a_dead_letter(
    projected: Database, channel: AbstractChannel
) -> None:
    box = Letterbox(channel, ANALYTICS_TICKETS)
    last = count(1_000_000)
    outcomes: list[bool] = []

    async def seen() -> dict[int, int]:
        async with projected.acquire() as connection:
            return dict(await connection.fetch("SELECT id, version FROM ticket_state"))

    async def post(bodies: list[bytes]) -> None:
        before, known = await seen(), [told(body) for body in bodies]
        names = [await box.post(body) for body in bodies]
        right = ticket(next(last))
        await box.post(Event(ticket=right).model_dump_json().encode())

        async def is_taken() -> bool:
            return right.id in await seen()

        await until(is_taken)
        refused = {name for name, state in zip(names, known, strict=True) if state is None}
        assert await box.refused(len(refused)) == refused
        for state in filter(None, known):
            before[state[0]] = max(state[1], before.get(state[0], 0))
        assert await seen() == before | {right.id: 1}
        async with projected.acquire() as connection:
            assert set(await connection.fetch(ROLLUPS)) == set(await connection.fetch(RECOUNT))
        outcomes.extend(state is None for state in known)

    batches = st.lists(EVENTS, min_size=1, max_size=BATCH_MAX)
    assert await fuzz_here(batches, BATCHES, post) >= BATCHES
    assert outcomes.count(True) > BATCHES
    assert outcomes.count(False) > BATCHES


@pytest.fixture
async def api(
    ticket_database_url: str, broker: Broker, no_errors_logged: Callable[[], None]
) -> AsyncIterator[Api]:
    async with serve(ticket_database_url, broker.url("ticket_svc")) as api:
        yield api


@pytest.mark.timeout(120 * TIMES)
async def test_every_answer_is_applied_or_a_dead_letter(api: Api, channel: AbstractChannel) -> None:
    box = Letterbox(channel, TICKET_CATEGORISED)
    untouched = await api.open("Nobody ever answers for this one")

    async def post(answers: list[tuple[str, bytes]]) -> None:
        names = [
            await box.post(body, asked(TICKET_CATEGORISED, number)) for number, body in answers
        ]
        ticket = await api.open()
        await box.post(encode(RIGHT_ANSWER), asked(TICKET_CATEGORISED, str(ticket["id"])))

        async def is_taken() -> bool:
            return (await api.get(ticket["id"]))["category"] == "technical_it"

        await until(is_taken)
        assert await box.refused(len(names)) == set(names)
        assert await api.get(untouched["id"]) == untouched

    right = encode(RIGHT_ANSWER)
    cut = st.integers(0, len(right) - 1).map(lambda at: right[:at])
    wrong = GARBAGE | cut | st.just(b'{"error":{"code":"internal","message":"It broke."}}')
    answers = st.tuples(NUMBERS_OF_TICKETS, st.just(right)) | st.tuples(
        NUMBERS_OF_TICKETS | st.just(str(untouched["id"])), wrong
    )
    batches = st.lists(answers, min_size=1, max_size=BATCH_MAX)
    assert await fuzz_here(batches, BATCHES, post) >= BATCHES
