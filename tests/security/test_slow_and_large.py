"""What is too large is refused, and who sends slowly holds up nobody else."""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.conftest import Stack
from tests.security.conftest import send_raw, status_of

SERVICES = {"web": "WEB_URL", "ticket_svc": "TICKET_API_URL"}
SLOW_CONNECTIONS = 200
# Generous: a machine that is busy with other tests is no defect. A server that waited for each of
# the slow ones would need minutes.
ANSWER_SECONDS = 5.0
# The services give a body 10 s.
BODY_END_SECONDS = 15.0
every_service = pytest.mark.parametrize("service", SERVICES)


def _headers(stack: Stack, service: str) -> bytes:
    if service == "web":
        return (
            b"Host: 127.0.0.1\r\nCookie: role=user\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n"
        )
    token = stack["TICKET_API_TOKEN"].encode()
    return (
        b"Host: 127.0.0.1\r\nX-Role: user\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %b\r\n" % token
    )


def _address(service: str) -> bytes:
    return b"/tickets" if service == "web" else b"/v1/tickets"


TOO_LARGE = {
    "a long address": (b"GET %(path)b?q=" + b"x" * 200_000, b"", {400, 414, 431}),
    "a long header": (b"GET %(path)b", b"X-Long: " + b"x" * 70_000 + b"\r\n", {400, 431}),
    "a long header name": (b"GET %(path)b", b"x" * 70_000 + b": 1\r\n", {400, 431}),
    "many headers": (b"GET %(path)b", b"X-Many: 1\r\n" * 5_000, {400, 431}),
    "a long cookie": (b"GET %(path)b", b"Cookie: role=" + b"x" * 70_000 + b"\r\n", {400, 431}),
    "a long method": (b"X" * 200_000 + b" %(path)b", b"", {400, 405, 501}),
}


@every_service
@pytest.mark.parametrize("kind", TOO_LARGE)
async def test_a_head_that_is_too_large_is_refused(stack: Stack, service: str, kind: str) -> None:
    line, extra, statuses = TOO_LARGE[kind]
    request = line.replace(b"%(path)b", _address(service)) + b" HTTP/1.1\r\n"
    request += _headers(stack, service) + extra + b"Connection: close\r\n\r\n"
    answer = await send_raw(stack[SERVICES[service]], request)
    # A server may end the connection before it has read all of it, and the answer is lost then.
    assert not answer or status_of(answer) in statuses
    assert await _is_served(stack, service)


@every_service
async def test_a_body_that_says_it_is_too_large_is_refused(stack: Stack, service: str) -> None:
    head = b"POST %b HTTP/1.1\r\n%bContent-Length: 1000000000000\r\nConnection: close\r\n\r\n"
    request = head % (_address(service), _headers(stack, service))
    answer = await send_raw(stack[SERVICES[service]], request + b"x" * 200_000, head_only=True)
    assert status_of(answer) == 413


@every_service
async def test_a_chunked_body_that_grows_too_large_is_refused(stack: Stack, service: str) -> None:
    head = b"POST %b HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    request = head % (_address(service), _headers(stack, service))
    chunks = b"%x\r\n%b\r\n" % (50_000, b"x" * 50_000) * 6 + b"0\r\n\r\n"
    answer = await send_raw(stack[SERVICES[service]], request + chunks, head_only=True)
    assert status_of(answer) == 413


@every_service
async def test_a_body_in_chunks_of_a_byte_is_not_read_to_its_end(
    stack: Stack, service: str
) -> None:
    head = b"POST %b HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n"
    request = head % (_address(service), _headers(stack, service))
    parts = urlsplit(stack[SERVICES[service]])
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    sent = 0
    try:
        writer.write(request)
        async with asyncio.timeout(ANSWER_SECONDS):
            with suppress(ConnectionError):
                while not reader.at_eof():
                    writer.write(b"1\r\nx\r\n" * 5_000)
                    await writer.drain()
                    sent += 5_000
                    await asyncio.sleep(0.01)
    finally:
        writer.close()
    assert sent < 50_000  # of the 128 kB and more that a body may have
    assert await _is_served(stack, service)


@every_service
async def test_a_small_body_that_unpacks_to_a_large_one_is_refused(
    stack: Stack, service: str
) -> None:
    packed = zlib.compress(b"x" * 20_000_000)
    head = (
        b"POST %b HTTP/1.1\r\n%bContent-Encoding: deflate\r\nContent-Length: %d\r\n"
        b"Connection: close\r\n\r\n"
    )
    request = head % (_address(service), _headers(stack, service), len(packed))
    answer = await send_raw(stack[SERVICES[service]], request + packed, head_only=True)
    assert status_of(answer) in (400, 413, 415)
    assert await _is_served(stack, service)


async def _is_served(stack: Stack, service: str) -> bool:
    """Tell whether somebody else gets a page or a list in time."""
    headers = {"X-Role": "user", "Authorization": f"Bearer {stack['TICKET_API_TOKEN']}"}
    headers["Cookie"] = "role=user"
    started = time.monotonic()
    async with (
        aiohttp.ClientSession(stack[SERVICES[service]], headers=headers) as session,
        session.get(_address(service).decode()) as answer,
    ):
        await answer.read()
    return answer.status == 200 and time.monotonic() - started < ANSWER_SECONDS


class Slow:
    """A connection that sends the beginning of a request, then a byte each second."""

    def __init__(self, url: str, beginning: bytes) -> None:
        self._place = urlsplit(url)
        self._beginning = beginning
        self.status: int | None = None
        self.answered_after_s: float | None = None

    async def run(self) -> None:
        reader, writer = await asyncio.open_connection(self._place.hostname, self._place.port)
        started = time.monotonic()
        answer = asyncio.create_task(reader.readline())
        try:
            writer.write(self._beginning)
            while not answer.done():
                await asyncio.wait({answer}, timeout=1)
                writer.write(b"x")
            self.answered_after_s = time.monotonic() - started
            self.status = status_of(answer.result())
        finally:
            answer.cancel()
            writer.transport.abort()


@asynccontextmanager
async def slowly(url: str, *beginnings: bytes) -> AsyncIterator[list[Slow]]:
    """Keep SLOW_CONNECTIONS slow senders at a server, as many with each of the beginnings."""
    number = SLOW_CONNECTIONS // len(beginnings)
    senders = [Slow(url, beginning) for beginning in beginnings for _ in range(number)]
    tasks = [asyncio.create_task(sender.run()) for sender in senders]
    try:
        await asyncio.sleep(1)
        yield senders
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _head(stack: Stack, service: str) -> bytes:
    return b"POST %b HTTP/1.1\r\n%b" % (_address(service), _headers(stack, service))


@every_service
async def test_slow_headers_hold_up_nobody_else(stack: Stack, service: str) -> None:
    beginnings = (b"GET /tick", _head(stack, service) + b"X-Slow: ")
    async with slowly(stack[SERVICES[service]], *beginnings):
        for _ in range(3):
            assert await _is_served(stack, service)


async def test_slow_bodies_hold_up_nobody_else_and_are_ended(stack: Stack) -> None:
    # At once, since each takes as long as the services give a body.
    await asyncio.gather(*(_send_slow_bodies(stack, service) for service in SERVICES))


async def _send_slow_bodies(stack: Stack, service: str) -> None:
    head = _head(stack, service)
    beginnings = (
        head + b"Content-Length: 1000\r\n\r\ntext=",
        head + b"Transfer-Encoding: chunked\r\n\r\n1000\r\ntext=",
    )
    async with slowly(stack[SERVICES[service]], *beginnings) as senders:
        started = time.monotonic()
        while any(sender.answered_after_s is None for sender in senders):
            assert await _is_served(stack, service)
            assert time.monotonic() - started < 2 * BODY_END_SECONDS
            await asyncio.sleep(1)
    assert max(sender.answered_after_s or 0 for sender in senders) < BODY_END_SECONDS
    assert {sender.status for sender in senders} == {408}
