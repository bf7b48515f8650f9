"""Whoever asks without a pause for what costs nearly nothing is one among others all the same."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from runtime import http
from runtime.http import Gate

FLOOD, OTHERS = 40, 3


class Begun:
    """Who was begun in which order, at a gate through which no page passes."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.gate = Gate(10, 10, (), caller=lambda request: request.headers["From"])

    async def ask(self, caller: str, request: web.Request | None = None) -> None:
        async def handler(_: web.Request) -> web.Response:
            self.order.append(caller)
            return web.Response()

        request = request or make_mocked_request("GET", "/nothing", {"From": caller})
        await self.gate.pace(request, handler)

    async def ask_all(self) -> None:
        """Let a flood ask for as much as there may be, and then the others."""
        callers = ["flood"] * FLOOD + [f"other {n}" for n in range(OTHERS)]
        await asyncio.gather(*map(self.ask, callers))


async def test_others_do_not_wait_behind_a_flood_where_it_keeps_the_process_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http, "is_busy", lambda: True)
    begun = Begun()
    await begun.ask_all()
    assert len(begun.order) == FLOOD + OTHERS
    # The first two are begun before there is a flood.
    assert [name for name in begun.order[: OTHERS + 2] if name != "flood"] == [
        f"other {n}" for n in range(OTHERS)
    ]


async def test_all_are_begun_at_once_where_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "is_busy", lambda: False)
    begun = Begun()
    await begun.ask_all()
    assert begun.order == ["flood"] * FLOOD + [f"other {n}" for n in range(OTHERS)]


async def test_nothing_is_read_for_who_has_gone_and_what_they_sent_is_taken() -> None:
    begun = Begun()
    sent = make_mocked_request("POST", "/tickets", {"From": "person"})
    sent.protocol.transport = None
    await begun.ask("person", sent)
    request = make_mocked_request("GET", "/nothing", {"From": "flood"})
    request.protocol.transport = None
    with pytest.raises(ConnectionResetError):
        await begun.ask("flood", request)
    assert begun.order == ["person"]
