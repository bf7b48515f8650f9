"""What operators and their probes read."""

import asyncio

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from web.keys import GATE, RPC, TICKET_API
from web.live import LIVE


async def live(_request: web.Request) -> web.Response:
    """Say that the process runs."""
    return web.json_response({"status": "live"})


async def ready(request: web.Request) -> web.Response:
    """Say whether pages can be served; without a broker they can, only less of them."""
    if request.app[GATE].draining:
        return web.json_response({"status": "stopping", "missing": []}, status=503)
    has_tickets = await request.app[TICKET_API].is_ready()
    sessions = request.app[RPC], request.app[LIVE]
    lost = [session.link.reason for session in sessions if not session.is_connected]
    missing = [] if has_tickets else ["ticket service"]
    missing += ["broker"] if lost else []
    status = "ready" if not missing else "degraded" if has_tickets else "unavailable"
    body: dict[str, object] = {"status": status, "missing": missing}
    if lost:
        body["reasons"] = {"broker": lost[0]}
    return web.json_response(body, status=200 if has_tickets else 503)


async def metrics(_request: web.Request) -> web.Response:
    """Return the process's figures in Prometheus's text format."""
    text = await asyncio.get_running_loop().run_in_executor(None, generate_latest)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})
