"""Tells operators and orchestrators how the process is; holds no rule of its own."""

from collections.abc import Mapping
from typing import Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from analytics_svc import gauges, store
from analytics_svc.store import NotBuilt
from bus.link import Link
from runtime.heads import name_server
from runtime.http import HANDLER_ARGS
from runtime.postgres import Database
from runtime.shared import Shared


class Connected(Protocol):
    """A worker, as far as its health goes."""

    @property
    def link(self) -> Link: ...

    @property
    def is_connected(self) -> bool: ...


def build(pool: Database, workers: Mapping[str, Connected]) -> web.Application:
    """Return the application with its three addresses.

    All who ask at the same time share one connection: anybody who reaches the port may ask.
    """
    why_not = Shared(lambda: pool.why_not(store.fetch_built))
    reports = Shared(lambda: gauges.generate(pool, gauges.REPORTS.keys() & workers))

    async def live(_: web.Request) -> web.Response:
        return web.json_response({"status": "live"})

    async def ready(_: web.Request) -> web.Response:
        missing = {
            f"broker ({name})": w.link.reason for name, w in workers.items() if not w.is_connected
        }
        try:
            if why := await why_not.get():
                missing["database"] = why
        except NotBuilt as reason:
            missing["read model"] = str(reason)
        if missing:
            body = {"status": "not ready", "missing": [*missing], "reasons": missing}
            return web.json_response(body, status=503)
        return web.json_response({"status": "ready"})

    async def metrics(_: web.Request) -> web.Response:
        body = generate_latest() + await reports.get()
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application(handler_args=HANDLER_ARGS)
    app.on_response_prepare.append(name_server)
    app.add_routes(
        [
            web.get("/health/live", live),
            web.get("/health/ready", ready),
            web.get("/metrics", metrics),
        ]
    )
    return app
