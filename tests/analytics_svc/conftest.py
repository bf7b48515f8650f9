"""A read model of its own for each test, and a ticket service that can be told to misbehave."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from analytics_svc import projection, rebuild, reports, store
from analytics_svc.database import connect, writing
from analytics_svc.rebuild import TicketApi
from analytics_svc.reports import active_by_category
from contracts.messages import Event
from contracts.reports import ActiveRequest
from contracts.rest import Ticket
from contracts.vocabulary import NO_CATEGORY, Category, CategorySource, Status
from runtime.postgres import Database

# What differs is what one wants to read.
pytest.register_assert_rewrite("tests.analytics_svc.agreement")

TOKEN = "a token of the tests"
ROME = "Europe/Rome"
OPENED = datetime(2026, 5, 11, 13, 7, 21, 654_321, tzinfo=UTC)


def ticket(
    id: int = 1,
    version: int = 1,
    status: Status = Status.OPEN,
    category: Category | None = None,
    opened_at: datetime = OPENED,
    took: timedelta = timedelta(days=2),
) -> Ticket:
    """Return a ticket as the ticket service tells of it."""
    closed_at = opened_at + took if status is Status.CLOSED else None
    return Ticket(
        id=id,
        description="The radiator is cold.\nRoom 12",
        status=status,
        category=category,
        category_source=CategorySource.HELPDESK if category else None,
        opened_at=opened_at,
        modified_at=closed_at or opened_at,
        closed_at=closed_at,
        version=version,
        messages=0,
    )


async def take(pool: Database, tickets: Iterable[Ticket]) -> int:
    """Let the read model hear of states as events tell of them; return how many were news."""
    return await projection.take(pool, [Event(ticket=ticket) for ticket in tickets])


async def count_active(pool: Database) -> dict[Category | None, int]:
    """Return how many tickets the report counts in each category that has any."""
    _, counts = await reports.read(pool, partial(active_by_category.count, request=ActiveRequest()))
    return {
        None if name == NO_CATEGORY else Category(name): n for name, (n, _) in counts.items() if n
    }


async def rebuild_all(pool: Database, tickets: "Tickets", timezone: str = ROME) -> None:
    """Rebuild the read model from the ticket service."""
    await rebuild.rebuild(pool, tickets.api, timezone, lambda done, total: None)


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait for a condition, at most `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(*coroutines: Awaitable[None]) -> AsyncIterator[None]:
    """Run something beside the test, and stop it as the service does."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Tickets:
    """The ticket service, as far as the export goes."""

    url: str = ""
    lines: list[bytes] = field(default_factory=list)
    # Waited for before the last line; a test that holds it back has an export that stands still.
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    is_streaming: asyncio.Event = field(default_factory=asyncio.Event)
    cut: bool = False
    status: int = 200
    exports: int = 0

    @property
    def api(self) -> TicketApi:
        return TicketApi(self.url, TOKEN)

    def hold(self, tickets: Iterable[Ticket]) -> None:
        """Make these the tickets of the service."""
        self.lines = [ticket.model_dump_json().encode() + b"\n" for ticket in tickets]

    def app(self) -> web.Application:
        """Return the service as a program of its own would serve it."""
        app = web.Application()
        app.router.add_get("/v1/tickets/counts", self.counts)
        app.router.add_get("/v1/tickets/export", self.export)
        return app

    async def counts(self, _: web.Request) -> web.Response:
        return web.json_response({"open": len(self.lines), "active": 0, "closed": 0})

    async def export(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        assert request.headers["X-Role"] == "helpdesk"
        self.exports += 1
        response = web.StreamResponse(status=self.status)
        response.content_type = "application/x-ndjson"
        await response.prepare(request)
        for index, line in enumerate(self.lines):
            if index == len(self.lines) - 1:
                self.is_streaming.set()
                await self.may_end.wait()
            if self.cut and index == len(self.lines) // 2:
                assert request.transport
                request.transport.abort()
                return response
            await response.write(line)
        await response.write_eof()
        return response


@pytest.fixture
async def tickets() -> AsyncIterator[Tickets]:
    """Return a ticket service without tickets."""
    service = Tickets()
    service.may_end.set()
    async with TestServer(service.app()) as server:
        service.url = str(server.make_url("")).rstrip("/")
        yield service


@pytest.fixture
async def pool(analytics_database_url: str) -> AsyncIterator[Database]:
    """Return a pool on a migrated database where nothing was built yet."""
    async with connect(analytics_database_url) as pool:
        yield pool


@pytest.fixture
async def built_pool(pool: Database) -> Database:
    """Return a pool on a read model that was built from no tickets."""
    async with writing(pool) as connection:
        await store.show(connection, 0, ROME)
    return pool
