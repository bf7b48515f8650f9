"""People at a ticket see that others are there, without names, and not for longer than they are."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp.test_utils import TestServer

from tests.cable import Cable
from tests.web.conftest import Api, MakePerson, Person, Serve
from tests.web.listener import Listener, listening
from web import presence
from web.presence import PRESENCE
from web.settings import Settings

ELSEWHERE = "This ticket is also open in another helpdesk window."


class Window:
    """An open ticket page: its stream, and what it says about others."""

    def __init__(self, person: Person, ticket_id: int, page: str, stream: Listener) -> None:
        self._person = person
        self._ticket_id = ticket_id
        self._page = page
        self._stream = stream

    async def type(self) -> None:
        seen = await self._person.send(f"/tickets/{self._ticket_id}/typing", page=self._page)
        assert seen.status == 204

    async def says(self, words: str, within_s: float = 10.0) -> None:
        """Wait until the page says exactly these words about others."""
        async with asyncio.timeout(within_s):
            while (await self._stream.until("presence", "", within_s)).text != words:
                pass


@asynccontextmanager
async def window(person: Person, ticket_id: int) -> AsyncIterator[Window]:
    html = (await person.see(f"/tickets/{ticket_id}")).html
    path = re.search(r'data-stream="([^"]+)"', html)
    page = re.search(r'data-page="([^"]+)"', html)
    assert path
    assert page
    async with listening(person, path[1].replace("&amp;", "&")) as stream:
        yield Window(person, ticket_id, page[1], stream)


async def ready(*servers: TestServer) -> None:
    for server in servers:
        while not server.app[PRESENCE].is_connected:
            await asyncio.sleep(0.01)


@pytest.fixture
async def two(serve: Serve) -> tuple[TestServer, TestServer]:
    """Return two web processes, as far as the broker can tell."""
    servers = await serve(), await serve()
    await ready(*servers)
    return servers


async def test_typing_is_seen_by_others_at_every_process_and_is_over_by_itself(
    two: tuple[TestServer, TestServer],
    people: MakePerson,
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(presence, "TYPING_SECONDS", 0.5)
    ticket = await api.open("Typed at")
    user, helpdesk = people("user", two[0]), people("helpdesk", two[1])
    async with window(user, ticket.id) as mine, window(helpdesk, ticket.id) as theirs:
        await mine.says("")
        await theirs.says("")
        await theirs.type()
        await mine.says("Helpdesk is typing…")
        await mine.says("")
        await mine.type()
        await theirs.says("Somebody is typing…")
        await theirs.says("")


async def test_a_page_is_not_told_of_itself(
    two: tuple[TestServer, TestServer], people: MakePerson, api: Api
) -> None:
    ticket = await api.open("Typed at")
    user = people("user", two[0])
    async with window(user, ticket.id) as mine, window(user, ticket.id) as other:
        await mine.says("")
        await mine.type()
        await other.says("Somebody is typing…")
        await other.type()
        # The first and only one: what it typed itself was not said to it before.
        assert (await mine._stream.until("presence")).text == "Somebody is typing…"


async def test_helpdesk_sees_another_helpdesk_window_until_it_closes(
    two: tuple[TestServer, TestServer], people: MakePerson, api: Api
) -> None:
    ticket = await api.open("Open twice")
    here, there = people("helpdesk", two[0]), people("helpdesk", two[1])
    async with window(here, ticket.id) as mine, window(people("user", two[0]), ticket.id) as user:
        await mine.says("")
        async with window(there, ticket.id) as theirs:
            await mine.says(ELSEWHERE)
            await theirs.says(ELSEWHERE)
        await mine.says("")
        await user.says("")


async def test_while_the_broker_is_away_nothing_is_said_and_nothing_fails(
    people: MakePerson, serve: Serve, settings: Settings, api: Api
) -> None:
    ticket = await api.open("Typed at")
    async with Cable(settings.amqp_url) as cable:
        server = await serve(amqp_url=cable.url)
        await ready(server)
        user = people("user", server)
        async with window(user, ticket.id) as mine, window(user, ticket.id) as other:
            await mine.type()
            await other.says("Somebody is typing…")
            await cable.cut()
            await other.says("")
            await mine.type()
            await cable.mend()
            await ready(server)
            await mine.type()
            await other.says("Somebody is typing…")


@pytest.mark.parametrize("page", ["", "x", "0" * 17, "<b>"])
async def test_a_page_that_cannot_be_is_refused(user: Person, page: str) -> None:
    assert (await user.send("/tickets/1/typing", page=page)).status == 400
