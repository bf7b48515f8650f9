"""Builds the web tier: its parts, what lives as long as it does, and its addresses."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from aiohttp import web

from bus.connection import end
from bus.rpc_client import RpcClient
from runtime.heads import name_server
from runtime.http import HANDLER_ARGS, Gate, is_flood
from runtime.lag import is_busy, keep_watching, name_slow_steps
from runtime.shared import Shared
from runtime.writers import Writers
from web.assets import Assets
from web.browser import know_browser
from web.classify import Because
from web.event_clock import EVENT_CLOCK, EventClock
from web.forms import FORM_MAX_BYTES, row_of
from web.forwarded import client_network, watch_for_path
from web.fragments import Fragments
from web.hosts import OWN_HOSTS, OwnHosts
from web.keys import ASSETS, BECAUSE, GATE, RENDERER, RPC, TICKET_API
from web.limits import LIMITS, Limits, limit_senders
from web.live import LIVE, Live
from web.metrics import measure
from web.pages.errors import answer_errors
from web.pages.health import FIGURES, IS_READY, share_figures
from web.preferences import apply_preferences
from web.presence import PRESENCE, Presence
from web.render import Renderer
from web.role import require_shown_role
from web.routes import ROUTES
from web.security import add_headers, require_own_request
from web.settings import SETTINGS, Settings
from web.ticket_api import TicketApi

# A page takes turns with the others at each answer of a service, so few at once are fast; the queue
# is what is served in WAIT_SECONDS. Measured with `make overload`.
PAGES_AT_ONCE = 16
PAGES_WAITING = 64
# What one address may have of them, what a flood may, and what a flood may where this process
# computes most of the time: then others wait for whatever is in work. Measured with `make
# overload`, as a flood of one.
PAGES_OF_ONE = 12
PAGES_OF_FLOOD = 4
PAGES_OF_FLOOD_BUSY = 1
# Not for one address alone, of the places of one ticket.
WRITERS_SPARE = 1
# Streams have a limit of their own, and operators must see a busy service too.
FREE = ("/live", "/static/", "/health/", "/metrics")


def build_app(settings: Settings) -> web.Application:
    """Return the application; raises SettingsError where htmx is not installed."""
    gate = Gate(PAGES_AT_ONCE, PAGES_WAITING, FREE, caller=client_network, each=_pages_of_one)
    writers = Writers(row_of, caller=client_network, spare=WRITERS_SPARE)
    app = web.Application(
        middlewares=[
            *(name_slow_steps, measure, watch_for_path(), apply_preferences, answer_errors),
            *(gate.pace, require_own_request, know_browser, limit_senders),
            *(writers.serve, gate.serve, require_shown_role),
        ],
        client_max_size=FORM_MAX_BYTES,
        handler_args=HANDLER_ARGS,
    )
    app[GATE] = gate
    app[SETTINGS] = settings
    app[LIMITS] = Limits(settings.limits)
    app[OWN_HOSTS] = OwnHosts()
    app[ASSETS] = Assets(settings.node_modules)
    app[RENDERER] = Renderer(settings, app[ASSETS])
    app[TICKET_API] = TicketApi(settings.ticket_api_url, settings.ticket_api_token)
    app[IS_READY] = Shared(app[TICKET_API].is_ready)
    app[FIGURES] = share_figures()
    app[RPC] = RpcClient(settings.amqp_url, "web rpc")
    app[BECAUSE] = Because(app[RPC])
    fragments = Fragments(app)
    app[EVENT_CLOCK] = EventClock()
    app[LIVE] = Live(fragments, app[EVENT_CLOCK], settings.events_keys)
    app[PRESENCE] = Presence(app[LIVE].streams, fragments)
    app.cleanup_ctx.extend([keep_watching, _clients])
    app.on_response_prepare.extend([add_headers, name_server])
    # Streams never finish by themselves: end them first, or they would hold up the stop.
    app.on_shutdown.append(_end_streams)
    app.add_routes(ROUTES)
    return app


def _pages_of_one(share: float) -> int:
    if not is_flood(share):
        return PAGES_OF_ONE
    return PAGES_OF_FLOOD_BUSY if is_busy() else PAGES_OF_FLOOD


async def _clients(app: web.Application) -> AsyncIterator[None]:
    async with (
        app[TICKET_API],
        _running(app[RPC].run()),
        _running(app[LIVE].run(app[SETTINGS].amqp_url)),
        _running(app[LIVE].ping()),
        _running(app[PRESENCE].run(app[SETTINGS].amqp_url)),
    ):
        yield


async def _end_streams(app: web.Application) -> None:
    app[LIVE].close()


@asynccontextmanager
async def _running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await end(task)
