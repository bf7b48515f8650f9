"""What callers get before there is a request: room, a sentence, an end, and no name of software."""

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from contracts.rest import Problem
from deploy.local.names import free_port
from runtime.heads import FIELD_MAX_BYTES, LINE_MAX_BYTES, SERVER
from runtime.http import KEEPALIVE_SECONDS
from tests.conftest import Stack
from tests.fuzz.raw import exchange, request

SERVICES = {"web": "WEB_URL", "ticket_svc": "TICKET_API_URL"}
every_service = pytest.mark.parametrize("service", SERVICES)
PATH = b"/health/live"
LANGUAGES = {"it", "de", "es", "fr"}
UNREADABLE = {
    "a long address": (request(b"GET", b"/?" + b"x" * LINE_MAX_BYTES, {}), 414),
    "a very long address": (request(b"GET", b"/?" + b"x" * 8_000_000, {}), 414),
    "a long cookie": (request(b"GET", PATH, {b"Cookie": b"a=" + b"x" * FIELD_MAX_BYTES}), 431),
    "a long name": (request(b"GET", PATH, {b"x" * (FIELD_MAX_BYTES + 1): b"1"}), 431),
    "a large head": (request(b"GET", PATH, {b"X-%d" % n: b"x" * 60_000 for n in range(6)}), 431),
    "many headers": (request(b"GET", PATH, {b"X-%d" % n: b"1" for n in range(200)}), 431),
    "no request": (b"hello\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500, 400),
    "a header with a NUL": (request(b"GET", PATH, {b"X-A": b"\x00"}), 400),
    "two lengths": (b"POST /leave HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
}


@every_service
@pytest.mark.parametrize("kind", UNREADABLE)
async def test_what_cannot_be_read_is_answered_with_a_sentence(
    stack: Stack, service: str, kind: str
) -> None:
    sent, status = UNREADABLE[kind]
    answer = await exchange(stack[SERVICES[service]], sent)
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    if service == "web":
        assert answer.content_type == "text/html"
        assert "Content-Security-Policy".lower() in answer.headers
        page = answer.body.decode()
        assert "<h1>" in page
        assert "under a path" not in page
        assert set(re.findall(r'<p lang="(\w\w)">\w', page)) >= LANGUAGES
    else:
        assert answer.content_type == "application/problem+json"
        problem = Problem.model_validate(json.loads(answer.body))
        assert (problem.status, bool(problem.detail)) == (status, True)


@every_service
@pytest.mark.parametrize("name", [b"Cookie", b"Authorization"])
async def test_what_a_single_sign_on_sends_along_has_room(
    stack: Stack, service: str, name: bytes
) -> None:
    value = b"a=" + b"x" * 16_000 + b"; b=" + b"y" * 47_000
    answer = await exchange(stack[SERVICES[service]], request(b"GET", PATH, {name: value}))
    assert answer.status == 200


# Answers of handlers, of middlewares, and to what no handler sees.
async def test_no_answer_names_the_software_behind_it(stack: Stack) -> None:
    ports = stack.names.ports
    for part in ("web", "ticket_api", "analytics", "classifier"):
        url = f"http://127.0.0.1:{ports[part]}"
        for sent in (
            request(b"GET", b"/metrics", {}),
            request(b"GET", b"/nothing-here", {}),
            request(b"POST", b"/v1/tickets", {}, b"x"),
            request(b"GET", b"/", {b"Expect": b"the-best"}),
            request(b"GET", b"/", {b"X-Long": b"x" * 70_000}),
        ):
            answer = await exchange(url, sent)
            assert answer.headers["server"].strip() == SERVER, (part, sent[:40], answer)


# A service with limits that a test can wait for.
SERVICE = """
import sys
from aiohttp import web
from runtime import heads, http

heads.HEAD_SECONDS = 0.5
async def hello(request):
    return web.Response(text="served")
gate = http.Gate(10, 10, ())
app = web.Application(handler_args=http.HANDLER_ARGS | {"keepalive_timeout": 2.0})
app.add_routes([web.get("/", hello)])
http.run(app, gate, host="127.0.0.1", port=int(sys.argv[1]), drain_s=0)
"""


@asynccontextmanager
async def impatient() -> AsyncIterator[int]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVICE, str(port))
    try:
        while True:
            try:
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                break
            except OSError:
                await asyncio.sleep(0.05)
        yield port
    finally:
        process.terminate()
        assert await process.wait() == 0


async def test_a_head_that_comes_slowly_is_ended_and_an_idle_connection_is_not() -> None:
    async with impatient() as port, asyncio.timeout(20):
        whole = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

        async def begin(*, served: bool) -> float:
            """Return after which time a connection is ended that sends a byte now and then."""
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            if served:
                writer.write(whole)
                await reader.readuntil(b"served")
            started = time.monotonic()
            end = asyncio.create_task(reader.read())
            for byte in whole[:-1]:
                writer.write(bytes([byte]))
                if (await asyncio.wait({end}, timeout=0.1))[0]:
                    break
            writer.close()
            return time.monotonic() - started

        async def pause() -> None:
            """Use a connection again after a pause that is longer than a head may take."""
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(2):
                writer.write(whole)
                await reader.readuntil(b"served")
                await asyncio.sleep(0.8)
            writer.close()

        first, later, _ = await asyncio.gather(begin(served=False), begin(served=True), pause())
        assert 0.4 < first < 1.5
        assert 0.4 < later < 1.5


def test_idle_connections_are_kept_longer_than_any_usual_proxy_keeps_them() -> None:
    assert KEEPALIVE_SECONDS > 600
