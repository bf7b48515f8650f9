"""What callers may rely on when a service is overloaded, called slowly, or told to stop."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from deploy.local.names import free_port
from runtime import http
from runtime.http import Busy, Gate

PLACES, QUEUE = 3, 2
# A service with one slow and one free address, which drains for a second.
SERVICE = """
import asyncio, sys
from aiohttp import web
from runtime.http import Gate, run

async def slow(request):
    await asyncio.sleep(0.3)
    return web.Response(text="served")

async def ready(request):
    return web.Response(status=503 if gate.draining else 200)

gate = Gate(10, 10, ("/ready",))
app = web.Application(middlewares=[gate.serve])
app.add_routes([web.get("/", slow), web.get("/ready", ready)])
run(app, gate, host="127.0.0.1", port=int(sys.argv[1]), drain_s=1)
"""


@web.middleware
async def answer_busy(request: web.Request, handler: web.RequestHandler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Busy:
        return web.Response(status=503)


@asynccontextmanager
async def gated(held: asyncio.Event, spare: int = 0) -> AsyncIterator[TestClient]:
    """Serve an address that answers once `held` is set, and a free one, to whoever says a name."""

    async def hold(_: web.Request) -> web.Response:
        await held.wait()
        return web.Response()

    async def free(_: web.Request) -> web.Response:
        return web.Response()

    def caller(request: web.Request) -> str:
        return request.headers.get("From", "")

    gate = Gate(PLACES, QUEUE, ("/free",), caller=caller, each=lambda _share: PLACES - spare)
    app = web.Application(middlewares=[answer_busy, gate.serve])
    app.add_routes([web.route("*", "/", hold), web.get("/free", free)])
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_a_crowd_waits_a_moment_and_the_rest_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http, "WAIT_SECONDS", 5.0)
    held = asyncio.Event()
    async with gated(held) as client, asyncio.timeout(10):
        waiting = [asyncio.create_task(client.get("/")) for _ in range(PLACES + QUEUE)]
        await asyncio.sleep(0.1)
        assert [(await client.get("/")).status for _ in range(5)] == [503] * 5
        assert (await client.get("/free")).status == 200
        held.set()
        assert {(await request).status for request in waiting} == {200}
        assert (await client.get("/")).status == 200


async def test_a_flood_of_one_leaves_others_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "WAIT_SECONDS", 5.0)
    held = asyncio.Event()
    async with gated(held, spare=1) as client, asyncio.timeout(10):
        flood = [
            asyncio.create_task(client.get("/", headers={"From": "flood"}))
            for _ in range(PLACES + QUEUE)
        ]
        await asyncio.sleep(0.1)
        others = [
            asyncio.create_task(client.get("/", headers={"From": name})) for name in ("a", "b")
        ]
        await asyncio.sleep(0.1)
        held.set()
        assert [(await request).status for request in others] == [200, 200]
        # Two had a place, two waited, of whom the last made room for the second other.
        assert sorted([(await request).status for request in flood]) == [200] * 3 + [503] * 2


async def test_who_waits_too_long_is_refused_and_takes_no_place() -> None:
    held = asyncio.Event()
    async with gated(held) as client, asyncio.timeout(10):
        running = [asyncio.create_task(client.get("/")) for _ in range(PLACES)]
        await asyncio.sleep(0.1)
        assert (await client.get("/")).status == 503
        held.set()
        assert {(await request).status for request in running} == {200}
        again = [client.get("/") for _ in range(PLACES + QUEUE)]
        assert {answer.status for answer in await asyncio.gather(*again)} == {200}


async def test_a_body_that_comes_slowly_takes_nobody_s_place_and_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http, "BODY_SECONDS", 1.0)

    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x"
            await asyncio.sleep(0.1)

    held = asyncio.Event()
    held.set()
    async with gated(held) as client, asyncio.timeout(10):
        slow = [asyncio.create_task(client.post("/", data=slowly())) for _ in range(2 * PLACES)]
        await asyncio.sleep(0.3)
        assert (await client.get("/")).status == 200
        assert {(await request).status for request in slow} == {408}


async def test_a_service_told_to_stop_serves_on_until_proxies_have_turned_away() -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, str(port), env=os.environ
    )
    url = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession() as session, asyncio.timeout(20):
        while True:
            try:
                assert (await session.get(f"{url}/ready")).status == 200
                break
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
        in_work = asyncio.create_task(session.get(url))
        await asyncio.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
        assert (await session.get(f"{url}/ready")).status == 503
        answer = await session.get(url)
        assert (answer.status, await answer.text()) == (200, "served")
        assert answer.headers["Connection"] == "close"
        assert (await in_work).status == 200
        assert await process.wait() == 0
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(url)


@pytest.mark.parametrize("text", ["-1", "a while", "61", "1.5", "１"])
def test_a_wrong_drain_time_is_explained(text: str) -> None:
    with pytest.raises(ValueError, match="DRAIN_SECONDS must be"):
        http.read_drain_seconds({"DRAIN_SECONDS": text})
