"""`python -m bench.live`: how soon an event is in every open page, beside a bare loop of writes.

Run by `make bench-live` on a throwaway helpdesk, against a web process of its own. An event counts
from when the broker delivers it. The floor writes as many bytes as a list's event has, right before
and after, since machines drift.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

import aio_pika
import aiohttp
from aio_pika.abc import AbstractIncomingMessage

from bench.processes import memory_mib
from contracts.topology import EXCHANGE_TICKETS, WEB_LIVE_PREFIX
from deploy.local.names import free_port
from deploy.local.servers import answers_200, wait_until

EVENTS = 10
# Clients share the machine with the server, and must not be what is measured.
CLIENTS = 2
PAUSE_SECONDS = 0.5
TARGETS_MS = {5_000: 250, 20_000: 1_000}
TARGET_KIB = 20

# Makes a word appear in all streams; returns the moment from which it counts.
Trigger = Callable[[str], Awaitable[float]]


@dataclass(frozen=True)
class Figure:
    """Medians over the events, in ms after the event, and the memory that a stream takes."""

    first: float
    median: float
    last: float
    kib: float


def main() -> int:
    """Measure and print; return 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    parser.add_argument("--streams", type=int, default=5_000)
    options = parser.parse_args()
    if "CAMPUS_HOME" not in os.environ:
        print("the bench needs a throwaway helpdesk: run `make bench-live`.", file=sys.stderr)
        return 2
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    return asyncio.run(_measure(options.streams))


async def _measure(streams: int) -> int:
    print(f"{streams:,} streams, {os.cpu_count()} cores, medians of {EVENTS} events")
    print(f"{'':<24}{'first ms':>10}{'median ms':>11}{'last ms':>9}{'KiB a stream':>14}")
    async with _Helpdesk() as helpdesk:
        list_path, ticket_path = "/live", f"/live?ticket={helpdesk.ticket_id}"
        floor = await _floor(streams)
        a_list = await _web(streams, list_path, helpdesk.edit)
        a_ticket = await _web(streams, ticket_path, helpdesk.edit)
    for name, figure in (("bare loop of writes", floor), ("list", a_list), ("ticket", a_ticket)):
        print(
            f"{name:<24}{figure.first:>10.0f}{figure.median:>11.0f}{figure.last:>9.0f}"
            f"{figure.kib:>14.1f}"
        )
    last, kib = max(a_list.last, a_ticket.last), max(a_list.kib, a_ticket.kib)
    return int(last > TARGETS_MS.get(streams, last) or kib > TARGET_KIB)


async def _floor(streams: int) -> Figure:
    async with _running("bench.live_floor", {}) as process:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession() as session:

            async def send(word: str) -> float:
                # As much as an event of the list is to one browser: row, facts and freshness.
                data = f"data: {word}{'x' * 1_200}\n\n"
                started = time.monotonic()
                async with session.post(f"{url}/send", data=data.encode()):
                    return started

            return await _heard(process.pid, url, streams, "/live", send)


async def _web(streams: int, path: str, edit: Trigger) -> Figure:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with _running("web", {"WEB_PORT": str(port)}) as process:
        health = f"{url}/health/ready"
        await asyncio.to_thread(wait_until, "web", lambda: answers_200(health), _log())
        return await _heard(process.pid, url, streams, path, edit)


async def _heard(pid: int, url: str, streams: int, path: str, trigger: Trigger) -> Figure:
    before = memory_mib([pid])
    parts = urlsplit(url)
    shares = [streams // CLIENTS + (n < streams % CLIENTS) for n in range(CLIENTS)]
    async with AsyncExitStack() as exits:
        clients = [
            await exits.enter_async_context(
                _running("bench.listeners", {}, str(parts.hostname), str(parts.port), str(n), path)
            )
            for n in shares
        ]
        for client in clients:
            assert await _line(client) == "ready"
        kib = (memory_mib([pid]) - before) * 1024 / streams
        events = [await _event(clients, trigger) for _ in range(EVENTS + 1)]
    # The first one warms up.
    first, median, last = (statistics.median(values) for values in zip(*events[1:], strict=True))
    return Figure(first, median, last, kib)


async def _event(clients: list[Process], trigger: Trigger) -> tuple[float, float, float]:
    word = token_hex(8)
    for client in clients:
        assert client.stdin is not None
        client.stdin.write(f"{word}\n".encode())
    started = await trigger(word)
    heard = [json.loads(await _line(client)) for client in clients]
    await asyncio.sleep(PAUSE_SECONDS)
    firsts, medians, lasts = zip(*heard, strict=True)
    moments = (min(firsts), statistics.mean(medians), max(lasts))
    first, median, last = ((moment - started) * 1_000 for moment in moments)
    return first, median, last


async def _line(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


@asynccontextmanager
async def _running(module: str, names: dict[str, str], *words: str) -> AsyncIterator[Process]:
    with _log().open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *words),
            env=os.environ | names,
            stdin=PIPE,
            stdout=PIPE,
            stderr=log if module == "web" else None,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _log() -> Path:
    return Path(os.environ["CAMPUS_HOME"]) / "log" / "bench-live.log"


class _Helpdesk:
    """One ticket that is edited, and the broker's word of when that became an event."""

    async def __aenter__(self) -> "_Helpdesk":
        self._exits = AsyncExitStack()
        headers = {
            "Authorization": f"Bearer {os.environ['TICKET_API_TOKEN']}",
            "X-Role": "helpdesk",
        }
        session = aiohttp.ClientSession(os.environ["TICKET_API_URL"], headers=headers)
        self._session = await self._exits.enter_async_context(session)
        connection = await aio_pika.connect(os.environ["WEB_AMQP_URL"])
        channel = await (await self._exits.enter_async_context(connection)).channel()
        queue = await channel.declare_queue(WEB_LIVE_PREFIX + token_hex(8), exclusive=True)
        await queue.bind(EXCHANGE_TICKETS, "ticket.modified")
        self._events: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        await queue.consume(self._on_event, no_ack=True)
        body = {"description": "Everybody looks at it", "category": "technical_it"}
        async with self._session.post("/v1/tickets", json=body) as answer:
            ticket = await answer.json()
        self.ticket_id, self._version = ticket["id"], ticket["version"]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exits.aclose()

    async def edit(self, word: str) -> float:
        """Put the word into the ticket; return when the broker delivered that."""
        path = f"/v1/tickets/{self.ticket_id}"
        headers = {"If-Match": f'"{self._version}"'}
        body = {"description": f"Everybody looks at {word}"}
        async with self._session.patch(path, json=body, headers=headers) as answer:
            self._version = (await answer.json())["version"]
        while True:
            at, event = await self._events.get()
            if word.encode() in event:
                return at

    async def _on_event(self, message: AbstractIncomingMessage) -> None:
        self._events.put_nowait((time.monotonic(), message.body))


if __name__ == "__main__":
    sys.exit(main())
