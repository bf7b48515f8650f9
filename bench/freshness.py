"""How soon the reports show a step, and how many events a projection takes in."""

import asyncio
import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from random import Random
from typing import Any

import aio_pika
import aiohttp
import asyncpg

from analytics_svc import store
from bench.fill import problem
from bench.floors import admin_url
from bench.processes import cpu_ms
from bench.scale_export import FIRST_ID
from bench.subjects import RPC_TIMEOUT_SECONDS
from bus.rpc_client import RpcClient
from bus.signatures import read_keys, sign_event
from contracts.messages import Event
from contracts.reports import ActiveReport, ActiveRequest
from contracts.rest import Ticket
from contracts.topology import ANALYTICS_TICKETS, RPC_REPORT_ACTIVE
from contracts.vocabulary import Category, CategorySource, Status

WRITES_A_SECOND = 200
WRITING_SECONDS = 10
FRESH_TARGET_MS = 500.0
EVENTS = 40_000
EVENTS_TARGET = 5_000


def rest_client() -> aiohttp.ClientSession:
    """Return a session with the ticket service, as helpdesk."""
    headers = {"Authorization": f"Bearer {os.environ['TICKET_API_TOKEN']}", "X-Role": "helpdesk"}
    return aiohttp.ClientSession(os.environ["TICKET_API_URL"], headers=headers)


async def measure_freshness(client: RpcClient) -> str:
    """Start work on many tickets at a steady pace, and watch the report on the active ones.

    The nth step is shown when the report counts n more than before; steps change places only where
    they are acknowledged at once.
    """
    acknowledged: list[float] = []
    shown: list[float] = []
    base = await _count_active(client)
    steps = WRITES_A_SECOND * WRITING_SECONDS
    open_ids = await _open_ids(steps)
    refused = 0

    async def step(http: aiohttp.ClientSession, ticket_id: int) -> None:
        nonlocal refused
        path = f"/v1/tickets/{ticket_id}/status"
        async with http.put(path, json={"status": "active"}) as answer:
            if answer.status == 200:
                acknowledged.append(time.perf_counter())
            else:
                refused += 1

    async def watch() -> None:
        while True:
            n = await _count_active(client) - base
            now = time.perf_counter()
            shown.extend([now] * (n - len(shown)))
            await asyncio.sleep(0.002)

    watching = asyncio.create_task(watch())
    async with rest_client() as http, asyncio.TaskGroup() as group:
        started = time.perf_counter()
        for number, ticket_id in enumerate(open_ids):
            due = started + number / WRITES_A_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(step(http, ticket_id))
    seconds = time.perf_counter() - started
    with suppress(TimeoutError):
        async with asyncio.timeout(10):
            while len(shown) < len(acknowledged):  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.01)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    late = sorted(max(0.0, s - a) for a, s in zip(acknowledged, shown, strict=False))
    p50, p99 = (late[int(share * len(late))] * 1000 for share in (0.5, 0.99))
    verdict = "reached" if p99 < FRESH_TARGET_MS else "MISSED"
    return (
        f"freshness: {len(acknowledged)} steps at {len(acknowledged) / seconds:.0f}/s, from the"
        f" answer of REST to the report: p50 {p50:.0f} ms, p99 {p99:.0f} ms, last"
        f" {late[-1] * 1000:.0f} ms (p99 {FRESH_TARGET_MS:.0f} ms {verdict}); {refused} refused,"
        f" {len(acknowledged) - len(shown)} not shown"
    )


async def _open_ids(limit: int) -> list[int]:
    connection = await asyncpg.connect(os.environ["TICKET_DATABASE_URL"])
    try:
        rows = await connection.fetch(
            "SELECT id FROM tickets.ticket WHERE status = 'open' LIMIT $1", limit
        )
        return [row["id"] for row in rows]
    finally:
        await connection.close()


async def _count_active(client: RpcClient) -> int:
    request = ActiveRequest(chart=False)
    report = await client.call(RPC_REPORT_ACTIVE, request, ActiveReport, RPC_TIMEOUT_SECONDS)
    return sum(row.active for row in report.categories) + report.uncategorised


async def measure_projection() -> str:
    """Fill the projection's queue while its database is held, let go, and time it."""
    first = 2 * FIRST_ID
    connection = await asyncpg.connect(os.environ["ANALYTICS_DATABASE_URL"])
    try:
        async with connection.transaction():
            await store.lock_for_writing(connection)  # type: ignore[arg-type]
            await _publish(first)
            before, started = cpu_ms(), time.perf_counter()
        while not await connection.fetchval(  # noqa: ASYNC110 (nobody tells)
            "SELECT EXISTS (SELECT FROM ticket_state WHERE id = $1 AND version = 2)",
            first + EVENTS // 2 - 1,
        ):
            await asyncio.sleep(0.02)
        seconds, spent = time.perf_counter() - started, cpu_ms() - before
    finally:
        await connection.close()
    rate = EVENTS / seconds
    verdict = "reached" if rate >= EVENTS_TARGET else "MISSED"
    costs = ", ".join(
        f"{name} {spent[name] / EVENTS * 1000:.0f}"
        for name in ("analytics_svc", "postgres", "rabbitmq")
    )
    return (
        f"projection: {EVENTS:,} waiting events in {seconds:.1f} s, {rate:,.0f}/s"
        f" ({EVENTS_TARGET:,}/s {verdict}); CPU µs an event: {costs}\n"
    )


async def _publish(first: int) -> None:
    """Publish that tickets were opened, and then that work on each has started."""
    chance = Random(7)
    keys = read_keys("ANALYTICS_EVENTS_KEY", os.environ["ANALYTICS_EVENTS_KEY"])
    now = datetime.now(UTC)
    async with await aio_pika.connect(admin_url()) as connection:
        channel = await connection.channel(publisher_confirms=False)
        for version, status in ((1, Status.OPEN), (2, Status.ACTIVE)):
            for number in range(EVENTS // 2):
                category, description = problem(chance)
                ticket = Ticket(
                    id=first + number,
                    description=description,
                    status=status,
                    category=Category(category),
                    category_source=CategorySource.CLASSIFIER,
                    opened_at=now,
                    modified_at=now,
                    closed_at=None,
                    version=version,
                    messages=0,
                )
                body = Event(ticket=ticket).model_dump_json().encode()
                message_id = f"{ticket.id}.{version}"
                headers: dict[str, Any] = {
                    **sign_event({"analytics_svc": keys}, "ticket.opened", message_id, body)
                }
                message = aio_pika.Message(
                    body, type="ticket.opened", message_id=message_id, headers=headers
                )
                await channel.default_exchange.publish(message, ANALYTICS_TICKETS)
