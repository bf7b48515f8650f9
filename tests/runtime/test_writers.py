"""Who changes one row takes turns, by caller: a flood of one makes only that one late."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from runtime import writers
from runtime.contended import Contended
from runtime.writers import WAITING_MAX, WRITERS_AT_ONCE, Writers


class Rows:
    """A service whose requests change a row until `held` is set."""

    def __init__(self) -> None:
        self.held = asyncio.Event()
        self.inside: list[str] = []
        self.asked: Counter[str] = Counter()
        self.client: TestClient[web.Request, web.Application]

    async def change(self, request: web.Request) -> web.Response:
        self.inside.append(request.headers["From"])
        await self.held.wait()
        return web.Response()

    def caller(self, request: web.Request) -> str:
        # Asked when the body is here, so right before the turn.
        self.asked[request.headers["From"]] += 1
        return request.headers["From"]

    async def send(self, name: str, times: int) -> list[asyncio.Task[int]]:
        """Send so many requests of one caller to one row; return once all ask for their turn."""
        before = self.asked[name]
        tasks = [asyncio.create_task(self._send(name)) for _ in range(times)]
        while self.asked[name] < before + times:
            await asyncio.sleep(0)
        return tasks

    async def _send(self, name: str) -> int:
        async with self.client.post("/row", headers={"From": name}) as answer:
            return answer.status


@web.middleware
async def answer_contended(request: web.Request, handler: web.RequestHandler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Contended:
        return web.Response(status=503)


@asynccontextmanager
async def rows_with(spare: int) -> AsyncIterator[Rows]:
    rows = Rows()
    turns = Writers(lambda request: request.path, caller=rows.caller, spare=spare)
    app = web.Application(middlewares=[answer_contended, turns.serve])
    app.router.add_post("/row", rows.change)
    async with TestClient(TestServer(app)) as rows.client:
        yield rows


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "WAIT_SECONDS", 60.0)


async def test_who_fills_a_row_is_behind_whoever_comes_next() -> None:
    room = WRITERS_AT_ONCE + WAITING_MAX
    async with rows_with(spare=0) as rows, asyncio.timeout(20):
        flood = await rows.send("flood", room)
        [one] = await rows.send("one", 1)
        rows.held.set()
        assert await one == 200
        statuses = Counter([await request for request in flood])
    assert statuses == {200: room - 1, 503: 1}, "the last that waited made room"
    assert rows.inside.index("one") <= WRITERS_AT_ONCE + 1


async def test_a_spare_place_of_a_row_is_never_had_by_one_alone() -> None:
    async with rows_with(spare=1) as rows, asyncio.timeout(20):
        flood = await rows.send("flood", 5)
        [one] = await rows.send("one", 1)
        while len(rows.inside) < WRITERS_AT_ONCE:
            await asyncio.sleep(0)
        assert rows.inside == ["flood", "one"]
        rows.held.set()
        assert {await request for request in [*flood, one]} == {200}
