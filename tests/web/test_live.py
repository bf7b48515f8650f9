"""Live updates: nothing is missed, nothing piles up, and streams end when the process does."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.cable import Cable
from tests.conftest import Stack
from tests.web.conftest import Api, MakePerson, Person, Serve
from web.keys import LIVE
from web.live import KEPT_EVENTS, Live
from web.settings import Settings


class Listener:
    """One open stream, read event by event."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def event(self, within_s: float = 3.0) -> dict[str, Any]:
        """Return the next event: its id, name and data."""
        fields: dict[str, Any] = {}
        async with asyncio.timeout(within_s):
            while True:
                line = (await self.response.content.readline()).decode()
                if not line:
                    raise EOFError
                if line == "\n" and "event" in fields:
                    return fields | {"data": json.loads(fields["data"])}
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value


@asynccontextmanager
async def listening(person: Person, path: str, last_id: str = "") -> AsyncIterator[Listener]:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with person.session.get(path, headers=headers) as response:
        assert response.content_type == "text/event-stream"
        yield Listener(response)


async def position(person: Person) -> str:
    html = (await person.see("/tickets")).html
    return html.split("/live?since=")[1].split('"')[0]


async def test_a_page_hears_what_happens_after_it_was_rendered(user: Person, api: Api) -> None:
    since = await position(user)
    ticket = await api.open("Before the stream")
    async with listening(user, f"/live?ticket={ticket.id}&since={since}") as stream:
        opened = await stream.event()
        assert opened["event"] == "ticket"
        assert opened["data"] == {"id": ticket.id, "version": 1, "what": "ticket.opened"}
        await api.open("Another ticket")
        await api.say(ticket.id, "hello")
        said = await stream.event()
        assert said["data"] == {"id": ticket.id, "version": 2, "what": "message.sent"}
        assert int(said["id"]) > int(opened["id"]) > int(since)


async def test_a_browser_that_comes_back_misses_nothing(user: Person, api: Api) -> None:
    since = await position(user)
    ticket = await api.open("Comes back")
    path = f"/live?ticket={ticket.id}&since={since}"
    async with listening(user, path) as stream:
        last = await stream.event()
    await api.move(ticket.id, "active")
    await api.move(ticket.id, "closed")
    async with listening(user, path, last["id"]) as stream:
        assert [(await stream.event())["data"]["version"] for _ in range(2)] == [2, 3]


@pytest.mark.parametrize("since", ["", "0", "1", "nonsense", "-5", "9" * 30])
async def test_a_browser_away_for_too_long_fetches_itself_again(user: Person, since: str) -> None:
    async with listening(user, f"/live?since={since}") as stream:
        assert (await stream.event())["event"] == "stale"


async def test_a_lost_broker_is_said_and_made_up_for(
    people: MakePerson, serve: Serve, settings: Settings
) -> None:
    async with Cable(settings.amqp_url) as cable:
        server = await serve(amqp_url=cable.url)
        live = server.app[LIVE]
        await connected(live)
        async with listening(people("user", server), f"/live?since={live.position}") as stream:
            await cable.cut()
            assert (await stream.event())["event"] == "paused"
            async with listening(people("user", server), f"/live?since={live.position}") as late:
                assert (await late.event())["event"] == "paused"
            await cable.mend()
            assert (await stream.event(10))["event"] == "stale"


async def test_a_stop_ends_streams_at_once(user: Person, stack: Stack) -> None:
    since = await position(user)
    async with listening(user, f"/live?since={since}") as stream:
        assert await asyncio.to_thread(stack.stop, "web") == 0
        await stream.response.content.read()
    await asyncio.to_thread(stack.start, "web")


async def test_who_cannot_keep_up_is_let_go(people: MakePerson, serve: Serve) -> None:
    server = await serve()
    live = server.app[LIVE]
    await connected(live)
    async with listening(people("user", server), f"/live?since={live.position}"):
        assert len(live._streams) == 1
        # Nobody reads: what the sockets hold is soon full.
        for _ in range(400):
            await live._tell(None, "ticket", {"filler": "x" * 60_000})
            if not live._streams:
                break
        assert not live._streams


async def connected(live: Live) -> None:
    while not live.is_connected:
        await asyncio.sleep(0.01)


async def test_what_is_kept_is_bounded() -> None:
    live = Live()
    live.is_connected = True
    start = live.position
    for n in range(KEPT_EVENTS + 5):
        await live._tell(n, "ticket", {"id": n})
    assert len(live._kept) == KEPT_EVENTS
    assert live._complete_since > start


async def test_only_a_get_opens_a_stream(user: Person) -> None:
    assert (await user.ask("HEAD", "/live")).status == 405
