"""The reports agree with a count over the tickets, whatever happened to them and in which order.

Hypothesis prints the failing example and the line that repeats it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics_svc import store
from analytics_svc.database import writing
from analytics_svc.periods import length_of
from analytics_svc.state import state_of
from analytics_svc.store import Built
from contracts.reports import UnclosedRequest
from contracts.rest import Ticket
from contracts.vocabulary import NO_CATEGORY, Category, PeriodUnit, Status
from runtime.postgres import Database
from tests.analytics_svc import naive
from tests.analytics_svc.agreement import reports_agree
from tests.analytics_svc.conftest import ticket

ZONES = [ZoneInfo(name) for name in ("Europe/Rome", "Asia/Kathmandu", "America/St_Johns")]
# Where counts by campus time go wrong: ends of months and years, a leap day, both clock changes.
EDGES = [
    *(datetime(*day, tzinfo=zone).astimezone(UTC) for zone in ZONES
      for day in ((2024, 2, 29), (2024, 3, 1), (2025, 10, 27), (2026, 1, 1), (2026, 5, 1))),
    datetime(2025, 10, 26, 1, tzinfo=UTC),
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2025, 11, 2, 4, 30, tzinfo=UTC),
    datetime(2026, 3, 8, 5, 30, tzinfo=UTC),
]  # fmt: skip
NUDGES = [timedelta(microseconds=n) for n in (0, 0, 1, -1, 59_999_999, -899_999_999)]
STEPS = [timedelta(minutes=n) for n in (0, 0, 15, -15, 45, 60, -60, 1_440, -1_560, -44_640)]
PERIODS = [
    (PeriodUnit.HOURS, 1),
    (PeriodUnit.HOURS, 25),
    (PeriodUnit.HOURS, 72),
    (PeriodUnit.HOURS, 73),
    (PeriodUnit.DAYS, 1),
    (PeriodUnit.DAYS, 31),
    (PeriodUnit.DAYS, 92),
    (PeriodUnit.DAYS, 93),
    (PeriodUnit.DAYS, 800),
]


def instants(near: list[datetime]) -> st.SearchStrategy[datetime]:
    """Return instants that are at, or just beside, or some steps from one of these."""
    parts = (st.sampled_from(near), st.sampled_from(STEPS), st.sampled_from(NUDGES))
    return st.builds(lambda edge, step, nudge: edge + step + nudge, *parts)


@st.composite
def histories(draw: Any, near: list[datetime]) -> list[list[Ticket]]:
    """Return, for some tickets, each state that they went through."""
    made = []
    for id_ in range(1, draw(st.integers(0, 8)) + 1):
        opened_at = draw(instants(near))
        took = timedelta(microseconds=draw(st.one_of(st.just(0), st.integers(1, 10**13))))
        status, category = Status.OPEN, draw(st.sampled_from([None, *Category]))
        states = [ticket(id_, 1, status, category, opened_at, took)]
        for version in range(2, draw(st.integers(1, 6)) + 1):
            match draw(st.sampled_from(["move", "move", "categorise", "message"])):
                case "move" if status is not Status.CLOSED:
                    status = Status.ACTIVE if status is Status.OPEN else Status.CLOSED
                case "categorise" if status is not Status.CLOSED:
                    category = draw(st.sampled_from(list(Category)))
            states.append(ticket(id_, version, status, category, opened_at, took))
        made.append(states)
    return made


@st.composite
def cases(draw: Any) -> tuple[ZoneInfo, datetime, UnclosedRequest, list[list[Ticket]]]:
    """Return a zone, a moment, a period, and what arrives until then, batch by batch."""
    zone = draw(st.sampled_from(ZONES))
    as_of = draw(instants(EDGES))
    unit, last = draw(st.sampled_from(PERIODS))
    since = as_of - length_of(last, unit)
    midnights = [
        instant.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
        for instant in (as_of, since, since + timedelta(days=1))
    ]
    made = draw(histories([as_of, as_of, since, since, *midnights, draw(st.sampled_from(EDGES))]))
    sent = [state for states in made for state in states]
    if sent:
        sent += draw(st.lists(st.sampled_from(sent), max_size=5))
        sent = draw(st.permutations(sent))
    cuts = sorted(draw(st.lists(st.integers(0, len(sent)), max_size=4)))
    batches = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    category = draw(st.sampled_from([None, None, *Category, NO_CATEGORY]))
    return zone, as_of, UnclosedRequest(unit=unit, last=last, category=category), batches


@given(case=cases())
@settings(
    max_examples=300,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_any_history_in_any_order_gives_what_a_recount_gives(
    pool: Database, case: tuple[ZoneInfo, datetime, UnclosedRequest, list[list[Ticket]]]
) -> None:
    zone, as_of, period, batches = case
    async with writing(pool) as connection:
        await store.empty(connection, 0)
        await store.show(connection, 0, zone.key)
        for batch in batches:
            await store.apply(connection, 0, [state_of(state, zone) for state in batch])
        tickets = naive.newest(state for batch in batches for state in batch)
        await reports_agree(connection, Built(0, zone.key, as_of), period, tickets)
