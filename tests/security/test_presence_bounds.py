"""Whoever says that somebody types, however often and under however many names, costs next to
nothing: who is shown as typing changes twice at most.
"""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from secrets import token_hex

import pytest
from aiohttp.test_utils import TestServer
from pydantic import ValidationError

from contracts.messages import PRESENCE_TICKETS_MAX
from contracts.messages import Presence as Said
from contracts.vocabulary import Role
from tests.web.conftest import Api, MakePerson, Serve
from tests.web.listener import listening
from web.presence import PRESENCE, PROCESSES_MAX, TYPISTS_OF_A_ROLE, Presence
from web.streams import Stream
from web.topics import TicketTopic, Topic

CALLS = 100
WINDOWS = 20


@pytest.fixture
async def server(serve: Serve) -> TestServer:
    server = await serve()
    while not server.app[PRESENCE].is_connected:
        await asyncio.sleep(0.01)
    return server


def count_looks(presence: Presence, monkeypatch: pytest.MonkeyPatch) -> list[Topic]:
    """Return a list that grows each time that all streams of a ticket are gone through."""
    looks: list[Topic] = []
    find = presence._streams.of

    def of(topic: Topic) -> list[Stream]:
        looks.append(topic)
        return find(topic)

    monkeypatch.setattr(presence._streams, "of", of)
    return looks


async def test_a_crowd_of_typists_costs_as_much_as_two(
    server: TestServer, people: MakePerson, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = await api.open("Typed at by everybody")
    topic, presence, user = TicketTopic(ticket.id), server.app[PRESENCE], people("user", server)
    async with AsyncExitStack() as exits:
        path = f"/live?ticket={ticket.id}"
        windows = [await exits.enter_async_context(listening(user, path)) for _ in range(WINDOWS)]
        for window in windows:
            await window.until("presence")
        looks = count_looks(presence, monkeypatch)
        monkeypatch.setattr(presence, "_sweep", lambda: None)  # what time does is not counted
        for _ in range(CALLS):
            seen = await user.send(f"/tickets/{ticket.id}/typing", page=token_hex(8))
            assert seen.status == 204
        await windows[0].until("presence", "Somebody is typing…")
        assert looks.count(topic) <= TYPISTS_OF_A_ROLE
        assert len(presence._typing[ticket.id]) <= TYPISTS_OF_A_ROLE
        # Helpdesk is still heard.
        helpdesk = people("helpdesk", server)
        await helpdesk.send(f"/tickets/{ticket.id}/typing", page=token_hex(8))
        await windows[0].until("presence", "Helpdesk is typing…")


async def test_a_page_that_types_on_is_told_of_now_and_then(
    server: TestServer, people: MakePerson, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = await api.open("Typed at for long")
    presence, user = server.app[PRESENCE], people("user", server)
    told: list[Said] = []
    tell = presence._tell

    async def count(said: Said) -> None:
        if said.typing:
            told.append(said)
        await tell(said)

    monkeypatch.setattr(presence, "_tell", count)
    async with listening(user, f"/live?ticket={ticket.id}") as window:
        await window.until("presence")
        page = token_hex(8)
        await user.send(f"/tickets/{ticket.id}/typing", page=page)
        await window.until("presence", "Somebody is typing…")
        monkeypatch.setattr("web.presence.RETELL_SECONDS", 5.0)
        for _ in range(10):
            await user.send(f"/tickets/{ticket.id}/typing", page=page)
    assert len(told) == 1


async def test_what_a_process_says_is_bounded() -> None:
    known = {"process": token_hex(8)}
    Said.model_validate(known | {"open": dict.fromkeys(range(1, PRESENCE_TICKETS_MAX + 1), 1)})
    typing = {"ticket": 1, "page": token_hex(8), "role": Role.USER}
    Said.model_validate(known | {"typing": typing})
    for wrong in (
        {"process": "0" * 17},
        {"process": ""},
        known | {"open": dict.fromkeys(range(1, PRESENCE_TICKETS_MAX + 2), 1)},
        known | {"open": {1: 20_001}},
        known | {"open": {0: 1}},
        known | {"typing": typing | {"page": "x" * 100_000}},
    ):
        with pytest.raises(ValidationError):
            Said.model_validate(wrong)


async def test_processes_without_number_are_not_remembered(server: TestServer) -> None:
    presence = server.app[PRESENCE]
    for _ in range(3 * PROCESSES_MAX):
        presence._hear_of(token_hex(8), Counter({1: 1}))
    assert len(presence._elsewhere) <= PROCESSES_MAX
