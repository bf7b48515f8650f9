"""Whoever opens streams without end keeps nobody else from live pages."""

from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from tests.web.conftest import MakePerson, Serve
from tests.web.listener import listening
from web import streams
from web.live import LIVE
from web.topics import LIST, ReportTopic

ROOM = 6


@pytest.fixture
async def server(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> TestServer:
    monkeypatch.setattr(streams, "room", lambda: ROOM)
    return await serve()


def from_address(server: TestServer, address: str, role: str = "user") -> aiohttp.ClientSession:
    """Return a caller at another address of this machine."""
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    url = str(server.make_url("/"))
    return aiohttp.ClientSession(url, connector=connector, headers={"Cookie": f"role={role}"})


async def test_the_address_with_the_most_makes_room_for_others(server: TestServer) -> None:
    async with AsyncExitStack() as exits:

        async def open_stream(caller: aiohttp.ClientSession) -> aiohttp.ClientResponse:
            return await exits.enter_async_context(caller.get("/live"))

        crowd = await exits.enter_async_context(from_address(server, "127.0.66.6"))
        for _ in range(ROOM):
            assert (await open_stream(crowd)).status == 200
        refused = await open_stream(crowd)
        assert (refused.status, refused.headers["Retry-After"]) == (503, "30")
        others = []
        for number in range(1, 5):
            other = await exits.enter_async_context(from_address(server, f"127.0.1.{number}"))
            others.append(await open_stream(other))
        assert [answer.status for answer in others] == [200] * 4
        # Nearly as many as the others by now: nobody has to make room.
        assert (await open_stream(other)).status == 503
        for answer in others:
            assert (await answer.content.readline()).startswith(b"retry:")
        assert len(server.app[LIVE].streams.of(LIST)) == ROOM


async def test_the_address_with_the_most_live_reports_makes_room_for_others(
    server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "room", lambda: 100)
    monkeypatch.setattr(streams, "REPORTS_MAX", 4)
    async with AsyncExitStack() as exits:

        async def call(address: str) -> aiohttp.ClientSession:
            return await exits.enter_async_context(from_address(server, address, "helpdesk"))

        async def ask(caller: aiohttp.ClientSession, hours: int) -> aiohttp.ClientResponse:
            path = f"/live?report=unclosed&unit=hours&last={hours}"
            return await exits.enter_async_context(caller.get(path))

        # Two that share all they ask are no better than one, and windows of one report are one.
        crowds = [await call(f"127.0.66.{number}") for number in (6, 7)]
        held = [
            await ask(crowd, hours) for crowd in crowds for hours in (1, 2, 3, 4) for _ in range(2)
        ]
        assert {answer.status for answer in held} == {200}
        assert (await ask(crowds[0], 5)).status == 503
        other, same = await call("127.0.1.1"), await call("127.0.1.2")
        assert (await ask(same, 4)).status == 200
        asked = await ask(other, 6)
        # The fourth report is heard by somebody who has no more than that, so it was the third.
        assert asked.status == 200
        assert (await asked.content.readline()).startswith(b"retry:")
        live = server.app[LIVE].streams
        reports = [topic for topic in live.topics() if isinstance(topic, ReportTopic)]
        assert [topic.question.last for topic in reports] == ["1", "2", "4", "6"]
        assert [len(live.of(topic)) for topic in reports] == [4, 4, 5, 1]
        # A list is not a report, and what is live already has room.
        assert (await exits.enter_async_context(other.get("/live"))).status == 200
        assert (await ask(same, 6)).status == 200
        # Two each are a fair share of four.
        assert (await ask(other, 7)).status == 200
        assert (await ask(other, 8)).status == 503


async def test_questions_without_end_are_not_all_kept_live(
    server: TestServer, people: MakePerson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "REPORTS_MAX", 2)
    person = people("helpdesk", server)
    path = "/live?report=unclosed&unit=hours&last="
    async with AsyncExitStack() as exits:
        for hours in (1, 2, 1):
            await exits.enter_async_context(listening(person, f"{path}{hours}"))
        assert (await person.see(f"{path}3")).status == 503
        await exits.enter_async_context(listening(person, "/live"))
