"""Whoever changes one thing again and again at the pages leaves others their turn."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from ipaddress import ip_network

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from runtime import http, writers
from tests.web.conftest import MakePerson, Serve

FLOOD = 6
# How the flood's n-th request comes, and that of another sender.
CHANGES: Mapping[str, tuple[str, dict[str, str]]] = {
    "one ticket": ("/tickets/7/description", {"text": "Text {n}", "version": "1", "was": "y"}),
    "the original of many duplicates": ("/tickets/{n}/duplicate", {"of": "7"}),
    "the canned replies": ("/replies", {"title": "Title {n}", "text": "Text"}),
}


class Held:
    """A ticket service that answers nobody until it is told to; knows which changes came."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.open = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        if request.method != "GET":
            self.asked.append(f"{request.path} {await request.text()}")
        await self.open.wait()
        return web.Response(status=503)

    async def until_asked(self, times: int) -> None:
        async with asyncio.timeout(2):  # less than web waits for an answer
            while len(self.asked) < times:
                await asyncio.sleep(0.01)


@pytest.fixture
async def held() -> AsyncIterator[tuple[Held, str]]:
    service = Held()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.answer)
    async with TestServer(app) as server:
        yield service, str(server.make_url("")).rstrip("/")
        service.open.set()


@pytest.mark.parametrize(("path", "fields"), CHANGES.values(), ids=CHANGES)
async def test_a_flood_of_changes_leaves_others_their_turn(
    held: tuple[Held, str],
    serve: Serve,
    people: MakePerson,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    fields: dict[str, str],
) -> None:
    monkeypatch.setattr(writers, "WAIT_SECONDS", 30.0)
    monkeypatch.setattr(http, "WAIT_SECONDS", 30.0)
    service, url = held
    server = await serve(ticket_api_url=url, trusted_proxies=(ip_network("127.0.0.1"),))
    person = people("helpdesk", server)

    async def change(n: int, address: str) -> None:
        own = {name: value.format(n=n) for name, value in fields.items()}
        headers = {"X-Forwarded-For": address}
        await person.send(path.format(n=n), headers=headers, **own)

    flood = [asyncio.create_task(change(n, "203.0.113.1")) for n in range(10, 10 + FLOOD)]
    await service.until_asked(1)
    other = asyncio.create_task(change(99, "203.0.113.2"))
    await service.until_asked(2)
    assert ["99" in asked for asked in service.asked] == [False, True]
    service.open.set()
    await asyncio.gather(*flood, other)
    for n in range(10, 10 + FLOOD):
        assert any(str(n) in asked for asked in service.asked), "nobody was refused"
