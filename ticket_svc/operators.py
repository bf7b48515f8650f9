"""What operators and their probes ask: alive, ready, figures. Free of tokens and of ticket data."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest

from runtime.postgres import DatabaseAway
from runtime.shared import Shared
from ticket_svc import outbox
from ticket_svc.keys import GATE, POOL, SESSIONS

WHY_NOT: "web.AppKey[Shared[str | None]]" = web.AppKey("why_not")
FIGURES: "web.AppKey[Shared[bytes]]" = web.AppKey("figures")
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
    missing = {"database": why} if (why := await app[WHY_NOT].get()) else {}
    lost = [session.link.reason for session in app[SESSIONS] if not session.is_connected]
    degraded = {"broker": lost[0]} if lost else {}
    state: dict[str, object] = {
        "status": "unready" if missing else "ready",
        "missing": [*missing],
        "degraded": [*degraded],
    }
    if reasons := missing | degraded:
        state["reasons"] = reasons
    return web.json_response(state, status=503 if missing else 200)


async def metrics(request: web.Request) -> web.Response:
    """Return the figures in Prometheus' text format."""
    text = await request.app[FIGURES].get()
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


def share_health(app: web.Application) -> None:
    """Let all who ask at the same time share one connection: nobody's token is looked at here."""
    pool = app[POOL]

    async def make_figures() -> bytes:
        try:
            async with pool.acquire() as connection:
                OUTBOX_DEPTH.set(await outbox.fetch_depth(connection))
        except DatabaseAway:
            OUTBOX_DEPTH.set(float("nan"))
        return generate_latest()

    app[WHY_NOT] = Shared(lambda: pool.why_not(outbox.fetch_depth))
    app[FIGURES] = Shared(make_figures)
