"""The parts alone, without a helpdesk around them: what no service built on them can exceed.

`python -m bench.floors` is the other side: aiohttp and an aio-pika consumer in a process of their
own, as the services are. It prints its address and runs until it is terminated.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from uuid import uuid4

import aio_pika
import asyncpg
from aio_pika.abc import AbstractIncomingMessage
from aiohttp import web
from jinja2 import Environment

from bench.load import Run, call_load, http_load
from contracts.addresses import parse

PING_QUEUE = "bench.ping"
HELD_CONNECTIONS = 16
LIST_ROWS = 50
LIST = """<!doctype html><html><head><title>{{ title }}</title></head><body><ol>
{% for row in rows %}
<li id="t{{ row.id }}"><a href="/tickets/{{ row.id }}">{{ row.title }}</a>
<span class="status">{{ row.status }}</span> <span class="category">{{ row.category }}</span>
<span class="meta">#{{ row.id }} · {{ row.opened }} · {{ row.messages }} messages</span></li>
{% endfor %}
</ol></body></html>
"""


def get(path: str) -> bytes:
    """Return a bare GET."""
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


@asynccontextmanager
async def web_floors() -> AsyncIterator[tuple[Run, Run, Run]]:
    """Yield aiohttp hello, aiohttp + jinja2 list and aio-pika ping-pong."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.floors", stdout=PIPE
    )
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        async with await aio_pika.connect(admin_url()) as connection:
            yield (
                http_load(url, lambda: get("/hello")),
                http_load(url, lambda: get("/list")),
                await _ping_pong(connection),
            )
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@asynccontextmanager
async def insert_floor() -> AsyncIterator[Run]:
    """Yield INSERT + commit on held connections, into a table of its own."""
    url = os.environ["TICKET_DATABASE_URL"]
    connections = [await asyncpg.connect(url) for _ in range(HELD_CONNECTIONS)]
    try:
        await connections[0].execute(
            "CREATE TABLE bench_floor (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)"
        )
        inserts = [
            await connection.prepare("INSERT INTO bench_floor (v) VALUES ($1)")
            for connection in connections
        ]
        yield call_load(lambda worker: inserts[worker].fetch("a message of usual length"))
    finally:
        # A statement that was prepared and never run still locks the table.
        for connection in connections[1:]:
            await connection.close()
        await connections[0].execute("DROP TABLE IF EXISTS bench_floor")
        await connections[0].close()


async def _ping_pong(connection: aio_pika.abc.AbstractConnection) -> Run:
    channel = await connection.channel(publisher_confirms=False)
    replies = await channel.get_queue("amq.rabbitmq.reply-to", ensure=False)
    pending: dict[str, asyncio.Future[bytes]] = {}

    async def on_reply(message: AbstractIncomingMessage) -> None:
        pending[message.correlation_id or ""].set_result(message.body)

    async def ping(_worker: int) -> bytes:
        key = uuid4().hex
        pending[key] = asyncio.get_running_loop().create_future()
        message = aio_pika.Message(b"ping", correlation_id=key, reply_to="amq.rabbitmq.reply-to")
        await channel.default_exchange.publish(message, PING_QUEUE)
        try:
            return await pending[key]
        finally:
            del pending[key]

    await replies.consume(on_reply, no_ack=True)
    return call_load(ping)


def admin_url() -> str:
    """Return the AMQP address of the administrator, who may use any queue."""
    broker = parse("WEB_AMQP_URL", os.environ["WEB_AMQP_URL"])
    return replace(broker, user="admin", password=os.environ["RABBITMQ_ADMIN_PASSWORD"]).url


async def _serve() -> None:
    page = Environment(autoescape=True).from_string(LIST)
    rows = [
        {
            "id": number,
            "title": "The projector in lecture hall 3 shows a blue picture",
            "status": "open",
            "category": "technical_it",
            "opened": "5 minutes ago",
            "messages": 2,
        }
        for number in range(LIST_ROWS)
    ]

    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def show(_request: web.Request) -> web.Response:
        return web.Response(text=page.render(title="List", rows=rows), content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/hello", hello), web.get("/list", show)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with await aio_pika.connect(admin_url()) as connection:
        channel = await connection.channel(publisher_confirms=False)
        queue = await channel.declare_queue(
            PING_QUEUE, auto_delete=True, arguments={"x-queue-type": "classic"}
        )

        async def answer(message: AbstractIncomingMessage) -> None:
            reply = aio_pika.Message(message.body, correlation_id=message.correlation_id)
            await channel.default_exchange.publish(reply, message.reply_to or "", mandatory=False)

        await queue.consume(answer, no_ack=True)
        host, port = runner.addresses[0]
        print(f"http://{host}:{port}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
