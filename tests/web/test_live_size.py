"""An event costs what it changed, and who reads slowly gets there, and nobody is cut for a size."""

import asyncio
import re
import socket

import pytest
from aiohttp.test_utils import TestServer

from contracts.vocabulary import Role
from runtime import buffers
from tests.web.conftest import Api, LongThread, MakePerson, Person, Serve
from tests.web.listener import listening
from tests.web.test_live import connected, make_ticket
from web import streams
from web.i18n import Language
from web.live import LIVE, MISSED_ROWS_MAX, Live
from web.pages.ticket_part import THREAD_ITEMS
from web.pages.ticket_update import ALWAYS
from web.streams import message
from web.topics import LIST, TicketTopic, Topic
from web.variant import Variant

# The head, the item of the history, the sentence, and what HTTP and the stream add.
OVERHEAD_BYTES = 4_000
LONG = "A long story about a lift that stops between the floors. " * 52
USER = Variant(Role.USER, Language.ENGLISH)
PARTIAL = re.compile(
    r'<hx-partial hx-target="#([\w-]+)" hx-swap="(\w+)">(.*?)</hx-partial>', re.DOTALL
)
# Forms name the version that they start from; another one is no conflict by itself.
VERSIONS = re.compile(r'name="version" value="\d+"')


async def stream_path(person: Person, ticket_id: int) -> str:
    """Return the address of the stream of a ticket's page as it is now."""
    html = (await person.see(f"/tickets/{ticket_id}")).html
    found = re.search(r'data-stream="([^"]+)"', html)
    assert found
    return found[1].replace("&amp;", "&")


@pytest.mark.parametrize(("messages", "body"), [(60, LONG), (1_000, "and another one")])
async def test_one_message_costs_about_one_message_however_long_the_thread(
    user: Person, api: Api, long_thread: LongThread, messages: int, body: str
) -> None:
    ticket = await long_thread(messages, body)
    async with listening(user, await stream_path(user, ticket.id)) as stream:
        for n in range(2):
            await api.say(ticket.id, f"new {n} {LONG}")
            update = await stream.until("thread", f"new {n}")
            assert update.fills("head")
            assert len(update.data.encode()) < len(LONG) + OVERHEAD_BYTES


async def test_whatever_else_changes_costs_about_its_place_in_the_page(
    helpdesk: Person, api: Api, long_thread: LongThread
) -> None:
    ticket = await long_thread(60, LONG)
    async with listening(helpdesk, await stream_path(helpdesk, ticket.id)) as stream:
        await api.move(ticket.id, "active")
        assert len((await stream.until("actions")).data.encode()) < 2 * OVERHEAD_BYTES
        await api.edit(await api.fetch(ticket.id), category="facility_management")
        assert len((await stream.until("actions")).data.encode()) < 2 * OVERHEAD_BYTES
        await api.edit(await api.fetch(ticket.id), description="Other words")
        assert len((await stream.until("description")).data.encode()) < 2 * OVERHEAD_BYTES


async def test_what_an_update_leaves_out_has_not_changed(helpdesk: Person, api: Api) -> None:
    ticket, other = await api.open("Followed"), await api.open("The original")
    place = f"/tickets/{ticket.id}"

    async def blocks() -> dict[str, str]:
        html = (await helpdesk.see(f"{place}?seen=0", htmx=True)).html
        return {name: VERSIONS.sub("", block) for name, _, block in PARTIAL.findall(html)}

    await api.say(ticket.id, "the first message")

    async def edit() -> None:
        await api.edit(await api.fetch(ticket.id), description="Other words")

    async def correct() -> None:
        await api.edit(await api.fetch(ticket.id), category="facility_management")

    async def mark() -> None:
        await api.ask("PUT", f"{place}/duplicate_of", json={"ticket": other.id})

    async def unmark() -> None:
        await api.ask("DELETE", f"{place}/duplicate_of")

    async with listening(helpdesk, await stream_path(helpdesk, ticket.id)) as stream:
        for change in (
            edit,
            correct,
            lambda: api.say(ticket.id, "one more"),
            mark,
            unmark,
            lambda: api.move(ticket.id, "active"),
            lambda: api.move(ticket.id, "closed"),
        ):
            before = await blocks()
            await change()
            update = await stream.until("head")
            sent = {name for name, _, _ in PARTIAL.findall(update.data)}
            # These two are added to.
            sent |= {"history"} if "history-items" in sent else set()
            after = await blocks()
            changed = {name for name in after if after[name] != before.get(name)}
            assert changed - {"said", "alert", *ALWAYS} <= sent


async def test_a_page_that_was_away_gets_what_it_lacks_and_no_more(
    user: Person, api: Api, long_thread: LongThread
) -> None:
    ticket = await long_thread(20, LONG)
    path = await stream_path(user, ticket.id)
    await api.say(ticket.id, "said meanwhile")
    await api.say(ticket.id, "and this")
    async with listening(user, path, last_id="1") as stream:
        update = await stream.until("thread", "and this")
        assert "said meanwhile" in update.text
        assert len(update.data.encode()) < OVERHEAD_BYTES


async def test_a_page_that_missed_too_much_is_told_to_load(user: Person, api: Api) -> None:
    ticket = await api.open("Away for long")
    path = await stream_path(user, ticket.id)
    for n in range(THREAD_ITEMS + 1):
        await api.say(ticket.id, f"{n}")
    async with listening(user, path) as stream:
        await stream.event("behind")


async def test_a_list_that_missed_very_much_is_told_that_it_is_stale(
    people: MakePerson, serve: Serve
) -> None:
    server = await serve()
    live = server.app[LIVE]
    await connected(live)
    after = live.clock.position
    for n in range(MISSED_ROWS_MAX + 1):
        live.hear(make_ticket(n + 1))
    async with listening(people("user", server), f"/live?after={after}") as stream:
        assert (await stream.message()).event == "stale"


class SlowReader:
    """A browser at the end of a path that takes little at a time."""

    def __init__(self, server: TestServer, path: str) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        self._socket.connect((str(server.host), server.port))
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: role=user\r\n\r\n"
        self._socket.sendall(head.encode())
        self._socket.setblocking(False)
        self.heard = b""

    async def read(self, until: bytes, at_once: int = 65_536) -> None:
        async with asyncio.timeout(10):
            while until not in self.heard:
                data = await asyncio.get_running_loop().sock_recv(self._socket, at_once)
                assert data, "the stream was cut"
                self.heard += data

    def close(self) -> None:
        self._socket.close()


async def behind(live: Live, topic: Topic) -> streams.Stream:
    """Send until the one stream of a topic cannot take more; return it."""
    while not live.streams.of(topic):
        await asyncio.sleep(0.01)
    [stream] = live.streams.of(topic)
    # What the kernel would take beside is nothing that anybody has read.
    stream._transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384
    )
    for _ in range(400):
        live.streams.send(topic, USER, message("x" * 100_000))
        await asyncio.sleep(0)
        if stream.is_behind:
            return stream
    raise AssertionError("it took everything")


async def test_a_slow_reader_is_live_again_once_it_has_read(serve: Serve, api: Api) -> None:
    server = await serve()
    live = server.app[LIVE]
    await connected(live)
    ticket = await api.open("Read slowly")
    topic = TicketTopic(ticket.id)
    reader = SlowReader(server, f"/live?ticket={ticket.id}&seen=1&after={live.clock.position}")
    try:
        stream = await behind(live, topic)
        held = stream._transport.get_write_buffer_size()
        for n in range(20):
            await api.say(ticket.id, f"message {n} {LONG}")
        async with asyncio.timeout(5):
            while live._kept[ticket.id].ticket.version < 21:
                await asyncio.sleep(0.01)
        # Nothing is kept for it but what it was sent already.
        assert stream._transport.get_write_buffer_size() <= held
        await reader.read(b"message 19")
        assert reader.heard.count(b"HTTP/1.1 200") == 1
        await api.say(ticket.id, "live again")
        await reader.read(b"live again")
    finally:
        reader.close()


async def test_who_does_not_read_at_all_is_let_go(
    serve: Serve, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await serve()
    live = server.app[LIVE]
    await connected(live)
    ticket = await api.open("Read by nobody")
    topic = TicketTopic(ticket.id)
    reader = SlowReader(server, f"/live?ticket={ticket.id}&seen=1&after={live.clock.position}")
    try:
        monkeypatch.setattr(buffers, "READ_SECONDS", 0.5)
        await behind(live, topic)
        async with asyncio.timeout(3):
            while live.streams.of(topic):
                await asyncio.sleep(0.01)
    finally:
        reader.close()


async def test_a_list_that_was_behind_gets_the_rows_that_it_missed(serve: Serve) -> None:
    server = await serve()
    live = server.app[LIVE]
    await connected(live)
    reader = SlowReader(server, f"/live?after={live.clock.position}")
    try:
        await behind(live, LIST)
        live.hear(make_ticket(10**9, "Missed while it was behind"))
        await reader.read(b"Missed while it was behind")
    finally:
        reader.close()
