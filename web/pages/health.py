"""What operators and their probes read."""

import asyncio

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from runtime.shared import Shared
from web.keys import GATE, RPC
from web.live import LIVE

# They cost 6 ms, and whoever reaches the pages may ask for them.
METRICS_SECONDS = 1.0

FIGURES: "web.AppKey[Shared[bytes]]" = web.AppKey("figures")
IS_READY: "web.AppKey[Shared[bool]]" = web.AppKey("is_ready")


async def live(_request: web.Request) -> web.Response:
    """Say that the process runs."""
    return web.json_response({"status": "live"})


async def ready(request: web.Request) -> web.Response:
    """Say whether pages can be served; without a broker they can, only less of them."""
    if request.app[GATE].draining:
        return web.json_response({"status": "stopping", "missing": []}, status=503)
    has_tickets = await request.app[IS_READY].get()
    sessions = request.app[RPC], request.app[LIVE]
    lost = [session.link.reason for session in sessions if not session.is_connected]
    missing = [] if has_tickets else ["ticket service"]
    missing += ["broker"] if lost else []
    status = "ready" if not missing else "degraded" if has_tickets else "unavailable"
    body: dict[str, object] = {"status": status, "missing": missing}
    if lost:
        body["reasons"] = {"broker": lost[0]}
    return web.json_response(body, status=200 if has_tickets else 503)


async def metrics(request: web.Request) -> web.Response:
    """Return the process's figures in Prometheus's text format, at most METRICS_SECONDS old."""
    text = await request.app[FIGURES].get()
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


def share_figures() -> Shared[bytes]:
    """Return the process's figures, made once for a crowd that asks for them."""

    async def make() -> bytes:
        return await asyncio.get_running_loop().run_in_executor(None, generate_latest)

    return Shared(make, METRICS_SECONDS)
