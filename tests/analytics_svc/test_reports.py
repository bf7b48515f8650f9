"""What a caller of the reports may rely on, over the real broker."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import aio_pika
import pytest

from analytics_svc.app import REPORTS
from analytics_svc.database import connect
from analytics_svc.settings import Settings
from bus.rpc import RpcError
from bus.rpc_client import RpcClient
from contracts.reports import (
    ActiveReport,
    ActiveRequest,
    ResolutionReport,
    ResolutionRequest,
    UnclosedReport,
    UnclosedRequest,
)
from contracts.topology import (
    DIRECT_REPLY_TO,
    RPC_REPORT_ACTIVE,
    RPC_REPORT_RESOLUTION,
    RPC_REPORT_UNCLOSED,
)
from contracts.vocabulary import Category, PeriodUnit, Status
from runtime.postgres import Database
from tests.analytics_svc.conftest import ROME, running, take, ticket, until
from tests.conftest import Broker

SETTINGS = Settings.read({}, frozenset())


@pytest.fixture
async def client(broker: Broker) -> AsyncIterator[RpcClient]:
    client = RpcClient(broker.url("web"), "test client")
    async with running(client.run()):
        await until(lambda: client.is_connected)
        yield client


@pytest.fixture
async def reports(built_pool: Database, broker: Broker) -> AsyncIterator[Database]:
    """Run the three workers on an empty read model."""
    async with serving(built_pool, broker):
        yield built_pool


@asynccontextmanager
async def serving(pool: Database, broker: Broker) -> AsyncIterator[None]:
    workers = [build(pool, SETTINGS) for build in REPORTS.values()]
    url = broker.url("analytics_svc")
    async with running(*(worker.run(url, "test worker") for worker in workers)):
        await until(lambda: all(worker.is_connected for worker in workers))
        yield


async def ask(broker: Broker, queue: str, body: bytes) -> dict[str, Any]:
    """Send a request that the client of ours would never send; return the whole reply."""
    async with await aio_pika.connect(broker.url("web")) as connection:
        channel = await connection.channel()
        replies: asyncio.Queue[Any] = asyncio.Queue()
        reply_to = await channel.get_queue(DIRECT_REPLY_TO, ensure=False)
        await reply_to.consume(replies.put, no_ack=True)
        request = aio_pika.Message(body, reply_to=DIRECT_REPLY_TO, correlation_id="1")
        await channel.default_exchange.publish(request, queue)
        async with asyncio.timeout(10):
            reply = await replies.get()
        return dict(json.loads(reply.body))


async def test_unclosed_in_period(client: RpcClient, reports: Database) -> None:
    now = datetime.now(UTC)
    states = [
        ticket(1, opened_at=now - timedelta(minutes=1)),
        ticket(2, 2, Status.ACTIVE, opened_at=now - timedelta(hours=5)),
        ticket(3, 3, Status.CLOSED, opened_at=now - timedelta(hours=23)),
        ticket(4, opened_at=now - timedelta(hours=25)),
        ticket(5, opened_at=now + timedelta(minutes=10)),
    ]
    await take(reports, states)
    request = UnclosedRequest(unit=PeriodUnit.HOURS, last=24)
    report = await client.call(RPC_REPORT_UNCLOSED, request, UnclosedReport, 5)
    assert (report.count, report.opened, report.timezone) == (2, 3, ROME)
    assert report.as_of - report.since == timedelta(hours=24)
    assert report.buckets[0].start == report.since
    assert len(report.buckets) in (24, 25)
    assert report.svg.startswith("<svg ")


async def test_resolution_time_by_month(client: RpcClient, reports: Database) -> None:
    this_month = datetime.now(ZoneInfo(ROME)).replace(day=1, hour=0, minute=0, second=30)
    before = (this_month - timedelta(days=40)).astimezone(UTC)
    states = [
        ticket(1, 3, Status.CLOSED, opened_at=this_month, took=timedelta(microseconds=1)),
        ticket(2, 3, Status.CLOSED, opened_at=this_month, took=timedelta(seconds=2)),
        ticket(3, opened_at=this_month),
        ticket(4, 2, Status.ACTIVE, opened_at=before),
    ]
    await take(reports, states)
    report = await client.call(RPC_REPORT_RESOLUTION, ResolutionRequest(), ResolutionReport, 5)
    assert len(report.months) in (2, 3)
    latest, first = report.months[-1], report.months[0]
    assert latest.month == f"{this_month:%Y-%m}"
    assert (latest.closed, latest.still_open, latest.mean_seconds) == (2, 1, 1.0000005)
    assert (first.closed, first.still_open, first.mean_seconds) == (0, 1, None)
    limited = await client.call(
        RPC_REPORT_RESOLUTION, ResolutionRequest(months=1), ResolutionReport, 5
    )
    assert limited.months == [latest]


async def test_active_by_category(client: RpcClient, reports: Database) -> None:
    states = [
        ticket(1, 2, Status.ACTIVE, Category.TECHNICAL_IT),
        ticket(2, 2, Status.ACTIVE),
        ticket(3, 1, Status.OPEN, Category.TECHNICAL_IT),
    ]
    await take(reports, states)
    report = await client.call(RPC_REPORT_ACTIVE, ActiveRequest(), ActiveReport, 5)
    assert {row.category: row.active for row in report.categories} == {
        Category.FACILITY_MANAGEMENT: 0,
        Category.TECHNICAL_IT: 1,
        Category.SERVICES_COMPLAINTS: 0,
    }
    assert report.uncategorised == 1


async def test_an_empty_helpdesk_has_reports_too(client: RpcClient, reports: Database) -> None:
    request = UnclosedRequest(unit=PeriodUnit.DAYS, last=3660)
    unclosed = await client.call(RPC_REPORT_UNCLOSED, request, UnclosedReport, 5)
    assert (unclosed.count, unclosed.opened) == (0, 0)
    resolution = await client.call(RPC_REPORT_RESOLUTION, ResolutionRequest(), ResolutionReport, 5)
    assert [(row.closed, row.still_open) for row in resolution.months] == [(0, 0)]
    active = await client.call(RPC_REPORT_ACTIVE, ActiveRequest(), ActiveReport, 5)
    assert (sum(row.active for row in active.categories), active.uncategorised) == (0, 0)


@pytest.mark.parametrize(
    ("queue", "body", "field"),
    [
        (RPC_REPORT_UNCLOSED, {"last": 0, "unit": "days"}, "last"),
        (RPC_REPORT_UNCLOSED, {"last": -1, "unit": "days"}, "last"),
        (RPC_REPORT_UNCLOSED, {"last": 10**9, "unit": "hours"}, "last"),
        (RPC_REPORT_UNCLOSED, {"last": 10**400, "unit": "hours"}, "last"),
        (RPC_REPORT_UNCLOSED, {"last": "abc", "unit": "hours"}, "last"),
        (RPC_REPORT_UNCLOSED, {"last": 1.5, "unit": "hours"}, "last"),
        (RPC_REPORT_UNCLOSED, {"last": True, "unit": "hours"}, "last"),
        (RPC_REPORT_UNCLOSED, {"unit": "hours"}, "last"),
        (RPC_REPORT_UNCLOSED, {"last": 1}, "unit"),
        (RPC_REPORT_UNCLOSED, {"last": 1, "unit": "weeks"}, "unit"),
        (RPC_REPORT_UNCLOSED, {"last": 1, "unit": "days", "now": 1}, "now"),
        (RPC_REPORT_RESOLUTION, {"months": 0}, "months"),
        (RPC_REPORT_RESOLUTION, {"months": 10**9}, "months"),
        (RPC_REPORT_RESOLUTION, {"months": "abc"}, "months"),
        (RPC_REPORT_RESOLUTION, {"since": "2026-13"}, "since"),
        (RPC_REPORT_RESOLUTION, {"since": "2026-5"}, "since"),
        (RPC_REPORT_RESOLUTION, {"since": 202605}, "since"),
        (RPC_REPORT_RESOLUTION, {"until": "May 2026"}, "until"),
        (RPC_REPORT_RESOLUTION, {"since": "2026-05", "until": "2026-04"}, "until"),
        (RPC_REPORT_ACTIVE, {"category": "gardening"}, "category"),
        (RPC_REPORT_ACTIVE, [], "body"),
        (RPC_REPORT_ACTIVE, "not JSON", "body"),
    ],
)
async def test_a_bad_request_is_told_the_field_and_the_reason(
    reports: Database, broker: Broker, queue: str, body: object, field: str
) -> None:
    raw = b"{" if body == "not JSON" else json.dumps(body).encode()
    reply = await ask(broker, queue, raw)
    assert "result" not in reply
    assert reply["error"]["code"] == "bad_request"
    assert [error["field"] for error in reply["error"]["errors"]] == [field]
    assert reply["error"]["errors"][0]["message"]


async def test_the_longest_request_is_answered(client: RpcClient, reports: Database) -> None:
    request = UnclosedRequest(unit=PeriodUnit.HOURS, last=3660 * 24)
    report = await client.call(RPC_REPORT_UNCLOSED, request, UnclosedReport, 5)
    assert 120 <= len(report.buckets) <= 122


async def test_a_report_that_was_never_built_is_unavailable(
    pool: Database, broker: Broker, client: RpcClient
) -> None:
    async with serving(pool, broker):
        with pytest.raises(RpcError, match="not built yet") as raised:
            await client.call(RPC_REPORT_ACTIVE, ActiveRequest(), ActiveReport, 5)
    assert raised.value.code == "unavailable"


async def test_a_report_without_database_is_unavailable(broker: Broker, client: RpcClient) -> None:
    async with connect("postgresql://nobody@127.0.0.1:9/none") as pool, serving(pool, broker):
        with pytest.raises(RpcError, match="database") as raised:
            await client.call(RPC_REPORT_ACTIVE, ActiveRequest(), ActiveReport, 5)
    assert raised.value.code == "unavailable"
