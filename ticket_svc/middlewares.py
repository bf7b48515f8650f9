"""What happens around every request: measure, check the caller, count it, tell the relay."""

import hmac
import time

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from prometheus_client import Counter, Histogram

from contracts.vocabulary import Role
from runtime.limits import Limited
from ticket_svc.errors import BadRole, Unauthorized
from ticket_svc.keys import API_TOKEN, LIMITS, POOL, RELAY, ROLE

REQUEST_SECONDS = Histogram(
    "ticket_request_seconds", "Time to answer one request.", ["method", "route", "status"]
)
LIMITED_TOTAL = Counter(
    "ticket_limited_total", "Calls refused because there were too many with the token.", ["kind"]
)
_READS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
PROTECTED = "/v1/"
# The sender of all calls: there is one token, and who has another is refused before.
_TOKEN = "token"  # noqa: S105


@web.middleware
async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Record how long the answer took, by the route's template and never by its values."""
    started = time.perf_counter()
    status = 500
    try:
        response = await handler(request)
        status = response.status
        return response
    finally:
        resource = request.match_info.route.resource
        route = resource.canonical if resource else "none"
        method = request.method if resource else "none"
        REQUEST_SECONDS.labels(method, route, status).observe(time.perf_counter() - started)


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in under `/v1/` who has the token and says in which role it asks."""
    if request.path.startswith(PROTECTED):
        expected = f"Bearer {request.app[API_TOKEN]}".encode()
        given = request.headers.get(hdrs.AUTHORIZATION, "").encode(errors="surrogateescape")
        if not hmac.compare_digest(given, expected):
            raise Unauthorized
        try:
            request[ROLE] = Role(request.headers.get("X-Role", ""))
        except ValueError:
            raise BadRole from None
    return await handler(request)


def row_of(request: web.Request) -> str | None:
    """Return what names the row that a request changes; None where none that is there already.

    A mark of a duplicate locks a second ticket, which may be that of all other marks: they take
    turns with each other. So do canned replies, whose table is locked.
    """
    if request.method in _READS:
        return None
    if request.path.startswith("/v1/replies"):
        return "replies"
    if "id" not in request.match_info:
        return None
    if request.path.endswith("/duplicate_of"):
        return "duplicate_of"
    return "/".join(request.path.split("/")[:4])


@web.middleware
async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raise Limited where a caller writes or searches more than its token may."""
    kind = _find_kind(request)
    buckets = request.app[LIMITS].get(kind)
    if buckets is not None:
        if wait_s := buckets.wait(_TOKEN):
            LIMITED_TOTAL.labels(kind).inc()
            raise Limited(kind, wait_s)
        buckets.take(_TOKEN)
    return await handler(request)


def _find_kind(request: web.Request) -> str:
    if not request.path.startswith(PROTECTED):
        return ""
    if request.method not in _READS:
        return "write"
    is_search = request.path.endswith("/similar") or "q" in request.query
    return "search" if is_search else ""


@web.middleware
async def wake_relay(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell the relay after each write that something may wait in the outbox."""
    response = await handler(request)
    if request.method not in _READS:
        request.app[POOL].wrote()
        request.app[RELAY].wake()
    return response
