"""Who holds the event loop is named, and how late it is can be scraped."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import REGISTRY

from runtime import lag
from runtime.lag import Steps, keep_watching, name_slow_steps
from runtime.limits import SELDOM, Buckets

LATE = "event_loop_lag_seconds_bucket"


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async def block(request: web.Request) -> web.Response:
        await asyncio.sleep(0)
        time.sleep(float(request.query["s"]))
        await asyncio.sleep(0)
        return web.Response()

    async def wait(_request: web.Request) -> web.Response:
        for _ in range(10):
            await asyncio.sleep(0.02)
        return web.Response()

    async def fail(_request: web.Request) -> web.Response:
        await asyncio.sleep(0)
        raise web.HTTPGone

    app = web.Application(middlewares=[name_slow_steps])
    app.add_routes(
        [
            web.get("/block/{name}", block),
            web.get("/wait", wait),
            web.get("/fail", fail),
        ]
    )
    app.cleanup_ctx.append(keep_watching)
    async with TestClient(TestServer(app)) as client:
        yield client


def late(le: str = "0.25") -> float:
    """Return how many beats were later than some seconds."""
    count = REGISTRY.get_sample_value("event_loop_lag_seconds_count") or 0.0
    return count - (REGISTRY.get_sample_value(LATE, {"le": le}) or 0.0)


async def test_a_handler_that_holds_the_loop_is_named_once_and_without_what_was_asked(
    client: TestClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag, "_said", Buckets(SELDOM))
    before = late()
    for _ in range(3):
        await client.get("/block/whispered?s=0.4")
        await asyncio.sleep(2 * lag.BEAT_SECONDS)
    said = [record.getMessage() for record in caplog.records if record.name == lag.log.name]
    assert len(said) == 1
    assert said[0].startswith("GET /block/{name} held the loop for 0.")
    assert late() >= before + 3
    labels = {"route": "GET /block/{name}"}
    assert (REGISTRY.get_sample_value("event_loop_held_total", labels) or 0) >= 3


async def test_a_handler_that_waits_in_between_holds_nothing(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[tuple[str, float]] = []
    monkeypatch.setattr(lag, "note_step", lambda route, _wall, cpu: noted.append((route, cpu)))
    await client.get("/wait")
    assert len(noted) == 11
    assert {route for route, _ in noted} == {"GET /wait"}
    # Ten pauses of 20 ms are no computing, whatever the clock says on a busy machine.
    assert max(cpu for _, cpu in noted) < lag.STEP_MAX_SECONDS


async def test_a_thread_that_computes_most_of_the_time_is_busy_until_it_rests(
    client: TestClient,
) -> None:
    def compute() -> None:
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass

    async with asyncio.timeout(20):
        while not lag.is_busy():
            compute()
            await asyncio.sleep(0)
        while lag.is_busy():
            await asyncio.sleep(lag.BEAT_SECONDS)
    # Waiting is no computing.
    await client.get("/block/idle?s=0.4")
    assert not lag.is_busy()


async def test_what_is_raised_sent_and_cancelled_passes_through(client: TestClient) -> None:
    assert (await client.get("/fail")).status == 410

    async def work() -> str:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return "cancelled"
        return "done"

    noted: list[float] = []

    async def run() -> str:
        return await Steps(work(), lambda wall, _: noted.append(wall))

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "cancelled"
    assert len(noted) == 3
