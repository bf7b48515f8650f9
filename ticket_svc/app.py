"""Builds the service: one screen."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from bus.connection import end
from bus.rpc_client import RpcClient
from runtime.heads import name_server
from runtime.http import HANDLER_ARGS, Gate
from runtime.lag import keep_watching, name_slow_steps
from runtime.limits import Buckets
from runtime.sessions import only_ours
from runtime.writers import Writers
from ticket_svc import categorised, embedded
from ticket_svc.database import POOL_MAX_CONNECTIONS, create_pool
from ticket_svc.keys import API_TOKEN, GATE, LIMITS, OPENAPI, POOL, RELAY, RPC, SESSIONS
from ticket_svc.middlewares import authenticate, limit, measure, row_of, wake_relay
from ticket_svc.openapi import describe_api
from ticket_svc.operators import share_health
from ticket_svc.problems import answer_problems
from ticket_svc.relay import Relay
from ticket_svc.routes import add_routes
from ticket_svc.settings import Settings

# 10 000 characters fill 120 kB where a program writes each emoji as two \u escapes.
REQUEST_MAX_BYTES = 128 * 1024
# One for each connection, so that nobody waits twice; the queue holds the calls of the pages that
# the web tier lets in at once.
REQUESTS_AT_ONCE = POOL_MAX_CONNECTIONS
REQUESTS_WAITING = 64
# Operators must see a busy service too.
FREE = ("/health/", "/metrics", "/openapi.json")


def build_app(settings: Settings) -> web.Application:
    """Return the application; nothing connects before it starts."""
    gate = Gate(REQUESTS_AT_ONCE, REQUESTS_WAITING, FREE)
    app = web.Application(
        middlewares=[
            name_slow_steps,
            measure,
            answer_problems,
            authenticate,
            limit,
            Writers(row_of).serve,
            gate.serve,
            wake_relay,
        ],
        client_max_size=REQUEST_MAX_BYTES,
        handler_args=HANDLER_ARGS,
    )
    app[GATE] = gate
    app[API_TOKEN] = settings.api_token
    app[LIMITS] = {kind: Buckets(rate) for kind, (rate,) in settings.limits.items()}
    app[OPENAPI] = describe_api()
    app.on_response_prepare.append(name_server)
    add_routes(app)

    async def keep_pool(app: web.Application) -> AsyncIterator[None]:
        url = settings.database_url
        async with only_ours("TICKET_DATABASE_URL", url), create_pool(url) as pool:
            app[POOL] = pool
            share_health(app)
            yield

    async def carry_messages(app: web.Application) -> AsyncIterator[None]:
        url, pool, keys = settings.amqp_url, app[POOL], settings.keys
        relay = app[RELAY] = Relay(pool, keys)
        rpc = app[RPC] = RpcClient(url, "ticket_svc rpc")
        categories = categorised.make_consumer(pool, relay, keys.answers)
        vectors = embedded.make_consumer(pool, keys.answers)
        app[SESSIONS] = (relay, rpc, categories, vectors)
        tasks = [
            asyncio.create_task(relay.run(url, "ticket_svc relay")),
            asyncio.create_task(rpc.run()),
            asyncio.create_task(categories.run(url, "ticket_svc categorised")),
            asyncio.create_task(vectors.run(url, "ticket_svc embedded")),
            asyncio.create_task(embedded.ask_for_missing(pool, relay, rpc)),
        ]
        yield
        await end(*tasks)

    # Ended in reverse: nothing uses the pool any more when it closes.
    app.cleanup_ctx.extend([keep_watching, keep_pool, carry_messages])
    return app
