"""How long requests take, by route: what an operator scrapes from `/metrics`."""

import time

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import Histogram

REQUEST_SECONDS = Histogram(
    "web_request_seconds", "Time to answer a request.", ["route", "method", "status"]
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
LIVE_ROUTE = "/live"


@web.middleware
async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Observe one request; a stream of live updates lasts as long as its page and is left out."""
    started = time.perf_counter()
    response = await handler(request)
    resource = request.match_info.route.resource
    route = resource.canonical if resource else "none"
    if route != LIVE_ROUTE:
        # Methods are made up by callers too; only known ones become a label.
        method = request.method if request.method in METHODS else "other"
        REQUEST_SECONDS.labels(route, method, response.status).observe(
            time.perf_counter() - started
        )
    return response
