"""Builds the service: which workers there are, and how they start and stop together."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Protocol

from aiohttp import web

from analytics_svc import database, health
from analytics_svc.projection import Projection
from analytics_svc.rebuild import TicketApi, build_if_needed
from analytics_svc.reports import (
    active_by_category,
    resolution_time_by_month,
    unclosed_in_period,
)
from analytics_svc.settings import Settings
from bus.connection import end
from bus.link import Link
from bus.rpc_server import RpcServer
from contracts.reports import ActiveRequest, ResolutionRequest, UnclosedRequest
from contracts.topology import RPC_REPORT_ACTIVE, RPC_REPORT_RESOLUTION, RPC_REPORT_UNCLOSED
from runtime.connections import use_own_connections
from runtime.lag import watch_loop
from runtime.listening import listening
from runtime.postgres import Database
from runtime.sessions import only_ours

log = logging.getLogger(__name__)


class Worker(Protocol):
    """Consumes one queue until it is cancelled."""

    @property
    def link(self) -> Link: ...

    @property
    def is_connected(self) -> bool: ...

    async def run(self, url: str, name: str) -> None: ...


def _projection(pool: Database, settings: Settings) -> Worker:
    api = TicketApi(settings.ticket_api_url, settings.ticket_api_token)
    build = partial(build_if_needed, pool, api, settings.timezone)
    return Projection(pool, build, settings.events_keys)


def _unclosed(pool: Database, _: Settings) -> Worker:
    return RpcServer(RPC_REPORT_UNCLOSED, UnclosedRequest, partial(unclosed_in_period.report, pool))


def _resolution(pool: Database, _: Settings) -> Worker:
    return RpcServer(
        RPC_REPORT_RESOLUTION, ResolutionRequest, partial(resolution_time_by_month.report, pool)
    )


def _active(pool: Database, _: Settings) -> Worker:
    return RpcServer(RPC_REPORT_ACTIVE, ActiveRequest, partial(active_by_category.report, pool))


PROJECTION: Final = "projection"
REPORTS: Final = {
    "unclosed_in_period": _unclosed,
    "resolution_time_by_month": _resolution,
    "active_by_category": _active,
}
WORKERS: Final = {PROJECTION: _projection, **REPORTS}


async def serve(settings: Settings, names: Iterable[str]) -> None:
    """Run the workers until SIGTERM or SIGINT, or until one fails; raises CannotListen."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    url = settings.database_url
    async with only_ours("ANALYTICS_DATABASE_URL", url), database.connect(url) as pool:
        workers = {name: WORKERS[name](pool, settings) for name in names}
        health_server = _health(settings, pool, workers)
        async with watch_loop(), health_server, asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(worker.run(settings.amqp_url, f"analytics_svc {name}"))
                for name, worker in workers.items()
            ]
            await stop.wait()
            log.info("stopping")
            # Each worker first stops its intake, then finishes what runs; only then do the
            # health server and the pool, which they use, close.
            await end(*tasks)


@asynccontextmanager
async def _health(
    settings: Settings, pool: Database, workers: dict[str, Worker]
) -> AsyncIterator[None]:
    if settings.port is None:
        yield
        return
    use_own_connections()
    runner = web.AppRunner(health.build(pool, workers))
    await runner.setup()
    try:
        with listening(settings.host, settings.port):
            await web.TCPSite(runner, settings.host, settings.port).start()
        log.info("health on http://%s:%d", settings.host, settings.port)
        yield
    finally:
        await runner.cleanup()
