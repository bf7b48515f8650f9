"""What operators and their probes ask: alive, ready, figures. Free of tokens and of ticket data."""

import asyncpg
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest

from ticket_svc import outbox
from ticket_svc.database import DATABASE_AWAY, acquire
from ticket_svc.keys import GATE, POOL, SESSIONS

# Away, or not migrated yet.
_NO_ANSWER: tuple[type[Exception], ...] = (asyncpg.PostgresError, *DATABASE_AWAY)

OUTBOX_DEPTH = Gauge("ticket_outbox_depth", "Messages that RabbitMQ has not confirmed yet.")


async def live(_request: web.Request) -> web.Response:
    """Say that the process answers."""
    return web.json_response({"status": "live"})


async def ready(request: web.Request) -> web.Response:
    """Say whether requests can be served, and what is away.

    A lost broker only degrades: tickets are kept, and events follow.
    """
    app = request.app
    if app[GATE].draining:
        body = {"status": "stopping", "missing": [], "degraded": []}
        return web.json_response(body, status=503)
    missing = [] if await _read_outbox_depth(request) is not None else ["database"]
    is_connected = all(session.is_connected for session in app[SESSIONS])
    body = {
        "status": "unready" if missing else "ready",
        "missing": missing,
        "degraded": [] if is_connected else ["broker"],
    }
    return web.json_response(body, status=503 if missing else 200)


async def metrics(request: web.Request) -> web.Response:
    """Return the figures in Prometheus' text format."""
    depth = await _read_outbox_depth(request)
    OUTBOX_DEPTH.set(float("nan") if depth is None else depth)
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _read_outbox_depth(request: web.Request) -> int | None:
    try:
        async with acquire(request.app[POOL]) as connection:
            return await outbox.fetch_depth(connection)
    except _NO_ANSWER:
        return None
