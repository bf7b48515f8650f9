"""Whoever sends or reads on purpose what is never done fills nobody's memory, and gets it back."""

import asyncio
from contextlib import ExitStack, closing
from ipaddress import ip_address

import asyncpg
import pytest
from aiohttp import web_server
from aiohttp.test_utils import TestServer

from runtime import buffers
from runtime.buffers import Buffers
from runtime.connections import Connection
from tests.conftest import Stack
from tests.security.patient import Caller, get, patient, post
from ticket_svc.app import build_app
from ticket_svc.settings import read_settings

LARGE = 3_000_000
MIB = 1024 * 1024


@pytest.mark.parametrize("size", [LARGE, 100_000], ids=["here", "in the kernel"])
async def test_an_answer_that_nobody_reads_is_dropped(size: int) -> None:
    async with patient(READ_SECONDS=0.5) as service:
        with closing(Caller(service.port, get(f"/large?bytes={size}"))):
            await service.until("open", 1)  # the one that asks
        assert await service.figure("http_kept_bytes") == 0


async def test_a_reader_that_takes_a_byte_now_and_then_is_cut() -> None:
    async with patient(READ_SECONDS=0.5) as service:
        with closing(Caller(service.port, get(f"/large?bytes={LARGE}"))) as caller:
            async with asyncio.timeout(20):
                while not caller.is_cut:
                    await asyncio.sleep(0.05)
                    await asyncio.get_running_loop().sock_recv(caller.socket, 1)


async def test_a_slow_reader_gets_all_of_its_answer() -> None:
    async with patient(READ_SECONDS=0.5, READ_MIN_BYTES=10_000) as service:
        with closing(Caller(service.port, get(f"/large?bytes={LARGE}"))) as caller:
            # Three seconds, six times as long as one may take that reads nothing.
            await caller.read(LARGE, pause_s=0.02)


async def test_answers_that_nobody_reads_have_a_share_of_memory_and_leave_it() -> None:
    async with patient(READ_SECONDS=5.0) as service, asyncio.timeout(60):
        # What one answer needs is needed anyway.
        with closing(Caller(service.port, get(f"/large?bytes={LARGE}"))) as caller:
            await caller.read(LARGE)
        before = service.memory()
        with ExitStack() as stack:
            callers = []
            for _ in range(60):
                callers.append(Caller(service.port, get(f"/large?bytes={LARGE}")))
                stack.callback(callers[-1].close)
                assert await service.figure("http_kept_bytes") <= buffers.CALLER_MAX_BYTES
            # Beside the bytes that wait an answer itself is there, and what is just being made.
            assert service.memory() - before < 3 * buffers.CALLER_MAX_BYTES
            # The oldest went: whoever reads is served, also from the same address.
            assert callers[0].is_cut
            await callers[-1].read(LARGE)
        await service.until("http_kept_bytes", 0)
        assert service.memory() - before < 16 * MIB


async def test_an_export_that_nobody_reads_is_ended() -> None:
    async with patient(READ_SECONDS=0.5) as service:
        with closing(Caller(service.port, get("/export"))) as caller:
            await service.until("exports", 1)
            await caller.until_cut()
        await service.until("exports", 0)


async def test_an_export_that_nobody_reads_holds_no_transaction(
    stack: Stack, ticket_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "RequestHandler", Connection)
    monkeypatch.setattr(buffers, "READ_SECONDS", 0.5)
    settings = read_settings(
        stack.names.of_service("ticket_svc") | {"TICKET_DATABASE_URL": ticket_database_url}
    )
    database = await asyncpg.connect(ticket_database_url)
    await database.execute(
        "INSERT INTO tickets.ticket (description, opened_at, modified_at)"
        " SELECT n || repeat(' long', 1900), now(), now() FROM generate_series(1, 400) AS n"
    )
    open_transactions = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND state LIKE 'idle in transaction%'"
    )
    async with TestServer(build_app(settings)) as server, asyncio.timeout(30):
        head = (
            b"X-Role: helpdesk\r\n",
            f"Authorization: Bearer {settings.api_token}\r\n".encode(),
        )
        assert server.port
        with closing(Caller(server.port, get("/v1/tickets/export", *head))) as caller:
            while not await database.fetchval(open_transactions):
                await asyncio.sleep(0.02)
            await caller.until_cut()
            while await database.fetchval(open_transactions):
                await asyncio.sleep(0.02)
    await database.close()


async def test_heads_that_never_end_have_a_share_of_memory() -> None:
    part = b"".join(b"X-%d: %b\r\n" % (n, b"x" * 60_000) for n in range(4))
    async with patient() as service:
        before = service.memory()
        with ExitStack() as stack:
            for n in range(100):
                # Alone, and behind a request in the same piece.
                sent = b"GET / HTTP/1.1\r\n" if n % 2 else get("/") + b"GET / HTTP/1.1\r\n"
                caller = Caller(service.port)
                stack.callback(caller.close)
                caller.socket.setblocking(True)
                caller.socket.settimeout(5)
                try:
                    caller.socket.sendall(sent + part)
                except OSError:
                    continue  # cut already
                assert await service.figure("http_kept_bytes") <= buffers.CALLER_MAX_BYTES
            assert service.memory() - before < 3 * buffers.CALLER_MAX_BYTES


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async with patient() as service:
        sizes = [10_000 + n for n in range(100)]
        sent = b"".join(get(f"/large?bytes={size}") for size in sizes)
        with closing(Caller(service.port, sent)) as caller:
            heard = await caller.read(sum(sizes) + 100 * 150)
            at = -1
            for size in sizes:
                at = heard.index(b"Content-Length: %d\r\n" % size, at + 1)


async def test_the_beginning_of_a_head_that_came_before_its_turn_has_its_time_too() -> None:
    async with patient(HEAD_SECONDS=0.5) as service:
        with closing(Caller(service.port, get(f"/large?bytes={LARGE}"))) as caller:
            await service.until("http_kept_bytes", 1, LARGE)  # the answer waits for its reader
            caller.socket.send(b"GET / HTTP/1.1\r\n")
            await caller.read(LARGE)
            await caller.until_cut()


async def test_bytes_of_a_body_count_that_come_with_its_head() -> None:
    async with patient() as service:
        with ExitStack() as stack:
            for _ in range(20):
                caller = Caller(service.port, post(160_000) + b"x" * 60_000)
                stack.callback(caller.close)
            await service.until("http_kept_bytes", 20 * 60_000, 20 * 60_100)
        await service.until("http_kept_bytes", 0)


async def test_only_as_many_bodies_are_cut_as_room_is_needed_for() -> None:
    async with patient() as service:
        with ExitStack() as stack:
            callers = []
            for n in range(70):
                callers.append(Caller(service.port, post(160_000)))
                stack.callback(callers[-1].close)
                callers[-1].socket.settimeout(5)
                callers[-1].socket.sendall(b"x" * 150_000)
                kept = min((n + 1) * 150_000, buffers.CALLER_MAX_BYTES - 160_000)
                await service.until("http_kept_bytes", kept, buffers.CALLER_MAX_BYTES)
            room = buffers.CALLER_MAX_BYTES // 150_000
            await callers[-room - 1].until_cut()  # for the last bytes of the last body
            assert [caller.is_cut for caller in callers] == [True] * (70 - room) + [False] * room


async def test_a_request_in_work_and_other_clients_are_not_cut_for_one_behind_their_proxy() -> None:
    async with patient(CALLER_MAX_BYTES=1_000_000) as service:
        with ExitStack() as stack:

            def call(client: bytes) -> Caller:
                # So small that it comes in one piece.
                sent = post(20_000, b"X-Client: " + client) + b"x" * 10_000
                caller = Caller(service.port, sent)
                stack.callback(caller.close)
                return caller

            in_work = [call(client) for client in (b"greedy", b"other")]
            slow = call(b"other")
            await service.until("http_kept_bytes", 3 * 10_000, 3 * 10_100)
            for caller in in_work:
                caller.socket.send(b"x" * 10_000)
            await service.until("held", 2)
            await service.until("http_kept_bytes", 10_000, 10_100)
            greedy = [call(b"greedy") for _ in range(200)]
            await greedy[95].until_cut()
            await service.until("http_kept_bytes", 980_000, 1_010_100)
            assert not any(caller.is_cut for caller in (*in_work, slow, greedy[-1]))
            slow.socket.send(b"x" * 10_000)
            await service.until("held", 3)


async def test_idle_connections_make_room_for_new_ones() -> None:
    async with patient(CONNECTIONS_MAX=20) as service:
        with ExitStack() as stack:
            callers = []
            for _ in range(60):
                callers.append(Caller(service.port, get("/large?bytes=1")))
                stack.callback(callers[-1].close)
                # Used one after another: among those that come at once any may be the oldest.
                await callers[-1].read(len("HTTP/1.1 200 OK"))
            for caller in callers[:40]:
                await caller.until_cut()
            assert not any(caller.is_cut for caller in callers[40:])
            assert await service.figure('http_cut_total{why="connections"}') >= 40


async def test_the_address_with_the_most_connections_makes_room_and_requests_in_work_do_not() -> (
    None
):
    async with patient(CONNECTIONS_MAX=20) as service:
        with ExitStack() as stack:

            def call(path: str, address: str) -> Caller:
                caller = Caller(service.port, get(path), address)
                stack.callback(caller.close)
                return caller

            idle = [call("/large?bytes=1", "127.0.0.2") for _ in range(5)]
            for caller in idle:
                await caller.read()
            in_work = []
            for n in range(30):
                in_work.append(call("/hold", f"127.0.0.{3 + n % 2}"))
                await service.until("held", n + 1)
            greedy = []
            for _ in range(30):
                greedy.append(call("/large?bytes=1", "127.0.0.3"))
                await greedy[-1].read()
            # Of 20 the others have five.
            for caller in greedy[:15]:
                await caller.until_cut()
            assert not any(caller.is_cut for caller in (*idle, *in_work, *greedy[15:]))


class _Kept:
    def __init__(self) -> None:
        self.is_cut = False

    def cut(self) -> None:
        self.is_cut = True


def test_many_callers_together_have_a_share_and_the_greediest_goes_first() -> None:
    kept = Buffers()
    size = buffers.CALLER_MAX_BYTES // 4
    one = [_Kept() for _ in range(3)]
    for holder in one:
        kept.keep(holder, "greedy", size)
    others = [_Kept() for _ in range(buffers.TOTAL_MAX_BYTES // size)]
    for n, holder in enumerate(others):
        kept.keep(holder, str(ip_address(n)), size)
    assert kept.total <= buffers.TOTAL_MAX_BYTES
    assert all(holder.is_cut for holder in one)
    assert not any(holder.is_cut for holder in others)


def test_what_is_kept_for_one_is_known_to_the_byte() -> None:
    kept = Buffers()
    first, second = _Kept(), _Kept()
    kept.keep(first, "a", 10)
    kept.keep(second, "a", 20)
    kept.keep(first, "a", 5)
    kept.drop(second)
    kept.drop(second)
    assert kept.total == 5
    kept.keep(first, "b", 7)
    assert (kept.total, dict(kept._sums)) == (7, {"b": 7})
    kept.drop(first)
    assert (kept.total, kept._holders, kept._callers, dict(kept._sums)) == (0, {}, {}, {})
