"""Whoever opens streams without end keeps nobody else from live pages."""

from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from tests.web.conftest import MakePerson, Serve
from tests.web.listener import listening
from web import streams
from web.live import LIVE
from web.topics import LIST

ROOM = 6


@pytest.fixture
async def server(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> TestServer:
    monkeypatch.setattr(streams, "room", lambda: ROOM)
    return await serve()


def from_address(server: TestServer, address: str) -> aiohttp.ClientSession:
    """Return a caller at another address of this machine."""
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    url = str(server.make_url("/"))
    return aiohttp.ClientSession(url, connector=connector, headers={"Cookie": "role=user"})


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
