"""Whatever happens to tickets, events and the service, the reports equal a recount.

A machine of states: hypothesis chooses what happens next, and prints the shortest story that fails.
"""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar
from zoneinfo import ZoneInfo

import pytest
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from analytics_svc import store
from analytics_svc.database import connect, writing
from analytics_svc.rebuild import ExportFailed
from contracts.reports import UnclosedRequest
from contracts.rest import Ticket
from contracts.vocabulary import EVERY_CATEGORY, Category, Status
from tests.analytics_svc.agreement import reports_agree
from tests.analytics_svc.conftest import Tickets, rebuild_all, take, ticket
from tests.analytics_svc.test_agreement import EDGES, PERIODS, ZONES

PATIENCE_SECONDS = 20
MICROSECOND = timedelta(microseconds=1)
PAUSES = st.sampled_from(
    [timedelta(0), MICROSECOND, timedelta(minutes=14), timedelta(hours=1), timedelta(days=9)]
)
CATEGORIES = st.sampled_from([None, *Category])
ResultT = TypeVar("ResultT")


class Campus(RuleBasedStateMachine):
    """Tickets as they are, the events of them that are on their way, and what has arrived."""

    database_url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self.now = datetime(2024, 2, 28, 22, 30, tzinfo=UTC)
        self.zone = ZONES[0]
        self.tickets: list[Ticket] = []
        self.sent: list[Ticket] = []
        self.waiting: list[Ticket] = []
        self.seen: dict[int, Ticket] = {}
        self.run(self._start())

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return self._runner.run(asyncio.wait_for(work, PATIENCE_SECONDS))

    def teardown(self) -> None:
        self.run(self._stop())
        self._runner.close()

    async def _start(self) -> None:
        self.service = Tickets()
        self.service.may_end.set()
        self._server = TestServer(self.service.app())
        await self._server.start_server()
        self.service.url = str(self._server.make_url("")).rstrip("/")
        self.pool = await connect(self.database_url).open()
        async with writing(self.pool) as connection:
            await connection.execute("DELETE FROM projection")
        await rebuild_all(self.pool, self.service, self.zone.key)

    async def _stop(self) -> None:
        await self.pool.close()
        await self._server.close()

    def _change(self, index: int, **fields: object) -> None:
        changed = self.tickets[index].model_copy(
            update={**fields, "version": self.tickets[index].version + 1, "modified_at": self.now}
        )
        self.tickets[index] = changed
        self._send(changed)

    def _send(self, state: Ticket) -> None:
        self.sent.append(state)
        self.waiting.append(state)

    def _unclosed(self, data: st.DataObject) -> int:
        indexes = [i for i, one in enumerate(self.tickets) if one.status is not Status.CLOSED]
        return data.draw(st.sampled_from(indexes), "ticket")

    def has_unclosed(self) -> bool:
        return any(one.status is not Status.CLOSED for one in self.tickets)

    @rule(pause=PAUSES)
    def time_passes(self, pause: timedelta) -> None:
        self.now += pause

    @rule(nudge=st.sampled_from([-MICROSECOND, timedelta(0), MICROSECOND]))
    def an_edge_comes(self, nudge: timedelta) -> None:
        """Go to where a month, a leap day or daylight saving begins or ends, or just beside it."""
        later = [edge for edge in EDGES if edge + nudge > self.now]
        self.now = min(later) + nudge if later else self.now + timedelta(days=30)

    @rule(category=CATEGORIES)
    def a_ticket_is_opened(self, category: Category | None) -> None:
        opened = ticket(len(self.tickets) + 1, category=category, opened_at=self.now)
        self.tickets.append(opened)
        self._send(opened)

    @precondition(has_unclosed)
    @rule(data=st.data())
    def a_step_is_made(self, data: st.DataObject) -> None:
        index = self._unclosed(data)
        if self.tickets[index].status is Status.OPEN:
            self._change(index, status=Status.ACTIVE)
        else:
            self._change(index, status=Status.CLOSED, closed_at=self.now)

    @precondition(has_unclosed)
    @rule(data=st.data())
    def a_ticket_is_opened_worked_on_and_closed_in_one_instant(self, data: st.DataObject) -> None:
        index = self._unclosed(data)
        if self.tickets[index].status is Status.OPEN:
            self._change(index, status=Status.ACTIVE)
        self._change(index, status=Status.CLOSED, closed_at=self.now)

    @precondition(has_unclosed)
    @rule(data=st.data(), category=st.sampled_from(list(Category)))
    def a_category_is_corrected(self, data: st.DataObject, category: Category) -> None:
        self._change(self._unclosed(data), category=category)

    @precondition(has_unclosed)
    @rule(data=st.data())
    def a_description_is_edited(self, data: st.DataObject) -> None:
        self._change(self._unclosed(data), description=f"Edited at {self.now}\nin room 12")

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def some_events_arrive(self, data: st.DataObject) -> None:
        """Deliver some of what waits, in any order, in one batch."""
        batch = data.draw(st.lists(st.sampled_from(self.waiting), min_size=1, max_size=8), "batch")
        self.waiting = [state for state in self.waiting if state not in batch]
        self._take(batch)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def old_events_arrive_again(self, data: st.DataObject) -> None:
        self._take(data.draw(st.lists(st.sampled_from(self.sent), min_size=1, max_size=5), "again"))

    def _take(self, batch: list[Ticket]) -> None:
        self._see(batch)
        self.run(take(self.pool, batch))

    def _see(self, states: list[Ticket]) -> None:
        for state in states:
            known = self.seen.get(state.id)
            if known is None or known.version < state.version:
                self.seen[state.id] = state

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), zone=st.sampled_from(ZONES))
    def the_read_model_is_rebuilt(self, data: st.DataObject, zone: ZoneInfo) -> None:
        """Rebuild, for another time zone too, while tickets change and events go on."""
        self.service.hold(self.tickets)
        self._see(self.tickets)
        for _ in range(data.draw(st.integers(0, 3), "changes after the export")):
            if self.has_unclosed():
                self.a_step_is_made(data)
        self.a_ticket_is_opened(data.draw(CATEGORIES, "category"))
        meanwhile = data.draw(
            st.lists(st.sampled_from(self.sent[-9:]), min_size=1, max_size=9), "meanwhile"
        )
        self._see(meanwhile)

        async def rebuild() -> None:
            self.service.may_end.clear()
            self.service.is_streaming.clear()
            async with asyncio.TaskGroup() as group:
                group.create_task(rebuild_all(self.pool, self.service, zone.key))
                await self.service.is_streaming.wait()
                await take(self.pool, meanwhile)
                self.service.may_end.set()

        self.run(rebuild())
        self.zone = zone

    @precondition(lambda self: self.tickets)
    @rule()
    def a_rebuild_fails(self) -> None:
        self.service.hold(self.tickets)
        self.service.cut = True
        with pytest.raises(ExportFailed):
            self.run(rebuild_all(self.pool, self.service, self.zone.key))
        self.service.cut = False

    @rule()
    def the_service_is_restarted(self) -> None:
        async def restart() -> None:
            await self.pool.close()
            self.pool = await connect(self.database_url).open()

        self.run(restart())

    @rule(period=st.sampled_from(PERIODS), category=st.sampled_from([None, None, *EVERY_CATEGORY]))
    def the_reports_are_read(self, period: tuple[Any, int], category: str | None) -> None:
        unit, last = period
        request = UnclosedRequest(unit=unit, last=last, category=category)

        async def compare() -> None:
            async with self.pool.acquire() as connection:
                built = await store.fetch_built(connection)
                assert built.timezone == self.zone.key
                at = store.Built(built.generation, built.timezone, self.now)
                await reports_agree(connection, at, request, list(self.seen.values()))

        self.run(compare())


def test_any_story_of_a_campus_gives_what_a_recount_gives(analytics_database_url: str) -> None:
    class Here(Campus):
        database_url = analytics_database_url

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Here,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
