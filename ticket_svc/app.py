"""Builds the service: one screen."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from bus.connection import end
from ticket_svc.categorised import make_consumer
from ticket_svc.database import create_pool
from ticket_svc.keys import API_TOKEN, CONSUMER, OPENAPI, POOL, RELAY
from ticket_svc.middlewares import authenticate, measure, wake_relay
from ticket_svc.openapi import describe_api
from ticket_svc.problems import answer_problems
from ticket_svc.relay import Relay
from ticket_svc.routes import add_routes
from ticket_svc.settings import Settings

# 10 000 characters fill 120 kB where a program writes each emoji as two \u escapes; in an
# address, percent-encoded, as much.
REQUEST_MAX_BYTES = 128 * 1024


def build_app(settings: Settings) -> web.Application:
    """Return the application; nothing connects before it starts."""
    app = web.Application(
        middlewares=[measure, answer_problems, authenticate, wake_relay],
        client_max_size=REQUEST_MAX_BYTES,
        handler_args={"access_log": None, "max_line_size": REQUEST_MAX_BYTES},
    )
    app[API_TOKEN] = settings.api_token
    app[OPENAPI] = describe_api()
    add_routes(app)

    async def keep_pool(app: web.Application) -> AsyncIterator[None]:
        async with create_pool(settings.database_url) as pool:
            app[POOL] = pool
            yield

    async def carry_messages(app: web.Application) -> AsyncIterator[None]:
        relay = app[RELAY] = Relay(app[POOL])
        consumer = app[CONSUMER] = make_consumer(app[POOL], relay)
        tasks = [
            asyncio.create_task(relay.run(settings.amqp_url, "ticket_svc relay")),
            asyncio.create_task(consumer.run(settings.amqp_url, "ticket_svc categorised")),
        ]
        yield
        await end(*tasks)

    # Ended in reverse: nothing uses the pool any more when it closes.
    app.cleanup_ctx.extend([keep_pool, carry_messages])
    return app
