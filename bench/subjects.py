"""What is measured: pages and forms as browsers ask for them, and RPC; each with its floor."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

import asyncpg
from pydantic import BaseModel

from bench import fill
from bench.floors import insert_floor, web_floors
from bench.load import Run, call_load, http_load, http_request
from bus.rpc_client import RpcClient
from contracts import topology
from contracts.messages import Classification, ClassifyRequest
from contracts.reports import (
    ActiveReport,
    ActiveRequest,
    ResolutionReport,
    ResolutionRequest,
    UnclosedReport,
    UnclosedRequest,
)
from contracts.vocabulary import PeriodUnit, Role

# Every page answers at 16 connections within this, for 99 of 100 requests.
P99_TARGET_MS = 120.0
TARGET_CONNECTIONS = 16
RPC_IN_FLIGHT = (1, 64)
RPC_TIMEOUT_SECONDS = 10.0
# Enough that no cache holds them all, few enough to choose from at once.
TICKETS_SEEN = 20_000


@dataclass(frozen=True)
class Subject:
    """One thing to measure; `target` is in requests a second at TARGET_CONNECTIONS."""

    name: str
    run: Run
    floor: "Subject | None" = None
    target: int | None = None
    levels: tuple[int, ...] = (1, TARGET_CONNECTIONS)


@asynccontextmanager
async def subjects(seed: int) -> AsyncIterator[list[Subject]]:
    """Yield everything that is measured, ready to run."""
    chance = random.Random(seed)
    every, unclosed = await ticket_ids()
    async with AsyncExitStack() as stack:
        runs = await stack.enter_async_context(web_floors())
        names = ("aiohttp hello", "aiohttp + jinja2 list of 50", "aio-pika ping-pong")
        hello, rows, ping = (Subject(name, run) for name, run in zip(names, runs, strict=True))
        insert = Subject("INSERT + commit", await stack.enter_async_context(insert_floor()))
        client = await stack.enter_async_context(rpc_client())

        def page(role: Role, path: Callable[[], str]) -> Run:
            return _browse(lambda: page_request("GET", path(), role))

        def form(path: Callable[[], str], text: Callable[[], str]) -> Run:
            def submit() -> bytes:
                key = str(UUID(int=chance.getrandbits(128), version=4))
                return page_request("POST", path(), Role.USER, {"key": key, "text": text()})

            return _browse(submit)

        def report(analysis: str) -> Subject:
            run = page(Role.HELPDESK, lambda: f"/analytics/{analysis}")
            return Subject(f"report page: {analysis}", run, ping, 100)

        def rpc(queue: str, result: type[BaseModel], request: Callable[[], BaseModel]) -> Subject:
            run = call_load(
                lambda _worker: client.call(queue, request(), result, RPC_TIMEOUT_SECONDS)
            )
            return Subject(queue, run, ping, levels=RPC_IN_FLIGHT)

        week = UnclosedRequest(last=7, unit=PeriodUnit.DAYS)
        yield [
            Subject("list of 50, helpdesk", page(Role.HELPDESK, lambda: "/tickets"), rows, 300),
            Subject("list of 50, user", page(Role.USER, lambda: "/tickets"), rows, 300),
            Subject(
                "ticket page",
                page(Role.HELPDESK, lambda: f"/tickets/{chance.choice(every)}"),
                hello,
                400,
            ),
            Subject(
                "report a problem, categorised",
                form(lambda: "/tickets", lambda: fill.problem(chance)[1]),
                ping,
                150,
            ),
            Subject(
                "send a message",
                form(
                    lambda: f"/tickets/{chance.choice(unclosed)}/messages",
                    lambda: fill.message(chance),
                ),
                insert,
            ),
            report("unclosed"),
            report("resolution"),
            report("active"),
            rpc(
                topology.RPC_CLASSIFY,
                Classification,
                lambda: ClassifyRequest(text=fill.problem(chance)[1]),
            ),
            rpc(topology.RPC_REPORT_UNCLOSED, UnclosedReport, lambda: week),
            rpc(topology.RPC_REPORT_RESOLUTION, ResolutionReport, ResolutionRequest),
            rpc(topology.RPC_REPORT_ACTIVE, ActiveReport, ActiveRequest),
        ]


async def count_uncategorised() -> int:
    """Return how many tickets wait for a category: reported while the classifier was too slow."""
    connection = await _connect()
    try:
        return int(await connection.fetchval("SELECT count(*) FROM ticket WHERE category IS NULL"))
    finally:
        await connection.close()


def _browse(next_request: Callable[[], bytes]) -> Run:
    return http_load(os.environ["WEB_URL"], next_request)


def page_request(method: str, path: str, role: Role, form: dict[str, str] | None = None) -> bytes:
    """Return what a browser sends, as far as the server looks at it."""
    headers = {"Accept-Encoding": "gzip", "Cookie": f"role={role}"}
    body = urlencode(form).encode() if form else b""
    return http_request(method, path, headers, body, "application/x-www-form-urlencoded")


@asynccontextmanager
async def rpc_client() -> AsyncIterator[RpcClient]:
    """Yield a client that is connected."""
    client = RpcClient(os.environ["WEB_AMQP_URL"], "bench")
    running = asyncio.create_task(client.run())
    try:
        while not client.is_connected:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.05)
        yield client
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def ticket_ids() -> tuple[list[int], list[int]]:
    """Return some of all tickets, and all that are not closed."""
    connection = await _connect()
    try:
        every = await connection.fetch(
            "SELECT id FROM ticket ORDER BY random() LIMIT $1", TICKETS_SEEN
        )
        unclosed = await connection.fetch("SELECT id FROM ticket WHERE status <> 'closed'")
    finally:
        await connection.close()
    return [row["id"] for row in every], [row["id"] for row in unclosed]


async def _connect() -> "asyncpg.Connection[asyncpg.Record]":
    return await asyncpg.connect(
        os.environ["TICKET_DATABASE_URL"], server_settings={"search_path": "tickets, extensions"}
    )
