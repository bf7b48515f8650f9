"""Closed loops of requests: each of n connections sends the next one when the last is answered.

Shares the cores with what it measures, so it parses no more of a response than its end.
"""

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)", re.IGNORECASE)
# Time for the requests in flight to end after a round; longer than any deadline in the services.
GRACE_SECONDS = 15.0
LOST = "connection lost"
# As before: so many answers in a row, each within this.
RECOVERED_IN_A_ROW = 10
RECOVERED_SECONDS = 0.25
PROBE_SECONDS = 0.1

NextRequest = Callable[[], bytes]  # whole, as it goes over the wire
Source = Callable[[], str]  # an address of this machine, or "" for any


@dataclass
class Tally:
    """What became of one round; `failed` counts by status or error."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    cpu_ms: Counter[str] = field(default_factory=Counter)  # by program

    def count(self, status: str, started: float) -> None:
        """Take in the answer to a request that was due at `started`."""
        if status < "400":
            self.latencies.append(time.perf_counter() - started)
        else:
            self.failed[status] += 1

    @property
    def rate(self) -> float:
        """Return the requests that succeeded in a second."""
        return len(self.latencies) / self.seconds

    def percentile_ms(self, share: float) -> float:
        """Return the latency in ms that `share` of the requests did not exceed (nearest rank)."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000 if ordered else 0.0


Run = Callable[[int, float], Awaitable[Tally]]


@dataclass(frozen=True)
class Figure:
    """Medians over the rounds."""

    rate: float
    p50_ms: float
    p99_ms: float
    failed: Counter[str]
    cpu_ms: dict[str, float]  # a request, by program

    @classmethod
    def of(cls, rounds: list[Tally]) -> "Figure":
        """Return the figure of several rounds."""
        return cls(
            median(tally.rate for tally in rounds),
            median(tally.percentile_ms(0.5) for tally in rounds),
            median(tally.percentile_ms(0.99) for tally in rounds),
            sum((tally.failed for tally in rounds), Counter()),
            _per_request(rounds),
        )


def _per_request(rounds: list[Tally]) -> dict[str, float]:
    requests = sum(len(tally.latencies) for tally in rounds) or 1
    spent = sum((tally.cpu_ms for tally in rounds), Counter[str]())
    return defaultdict(float, {program: ms / requests for program, ms in spent.items()})


def http_load(url: str, next_request: NextRequest, source: Source = lambda: "") -> Run:
    """Return the load of HTTP requests on n connections, each from the address of `source`."""

    async def run(connections: int, seconds: float) -> Tally:
        tally = Tally()
        started = time.perf_counter()
        until = started + seconds
        async with asyncio.timeout(seconds + GRACE_SECONDS):
            async with asyncio.TaskGroup() as group:
                for _ in range(connections):
                    group.create_task(_go_on(url, source(), next_request, until, tally))
        tally.seconds = time.perf_counter() - started
        return tally

    return run


async def _go_on(
    url: str, source: str, next_request: NextRequest, until: float, tally: Tally
) -> None:
    connection = await connect(url, source)
    while (started := time.perf_counter()) < until:
        tally.count(await connection.ask(next_request()), started)
        if connection.is_lost:
            return
    connection.close()


def crowd() -> Source:
    """Return the addresses of people, each another one, so that no limit of one sender is theirs.

    Raises StopIteration after 60 000.
    """
    addresses = (f"127.1.{n // 250}.{n % 250 + 1}" for n in range(60_000))
    return addresses.__next__


def http_request(
    method: str, path: str, headers: Mapping[str, str], body: bytes = b"", kind: str = ""
) -> bytes:
    """Return a request as it goes over the wire; `kind` is the type of the body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join((*lines, "", "")).encode() + body


async def connect(url: str, source: str = "") -> "Connection":
    """Return a connection to a server, from one of this machine's addresses; raises OSError."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        Connection, parts.hostname, parts.port, local_addr=(source, 0) if source else None
    )
    return connection


async def recover(url: str, next_request: NextRequest, source: str = "") -> float:
    """Return the seconds until RECOVERED_IN_A_ROW requests in a row were answered as before."""
    started = time.perf_counter()
    since = None
    in_a_row = 0
    connection = await connect(url, source)
    while in_a_row < RECOVERED_IN_A_ROW:
        due = time.perf_counter()
        if connection.is_lost:
            connection = await connect(url, source)
        status = await connection.ask(next_request())
        if status < "400" and time.perf_counter() - due < RECOVERED_SECONDS:
            in_a_row += 1
            since = since or due
        else:
            in_a_row, since = 0, None
        await asyncio.sleep(PROBE_SECONDS)
    connection.close()
    return (since or started) - started


def call_load(call: Callable[[int], Awaitable[object]]) -> Run:
    """Return the load of `call(worker)` by n workers; an exception is a failure."""

    async def work(worker: int, until: float, tally: Tally) -> None:
        while (started := time.perf_counter()) < until:
            try:
                await call(worker)
            except Exception as error:
                tally.failed[type(error).__name__] += 1
            else:
                tally.latencies.append(time.perf_counter() - started)

    async def run(in_flight: int, seconds: float) -> Tally:
        tally = Tally()
        started = time.perf_counter()
        async with asyncio.timeout(seconds + GRACE_SECONDS):
            workers = (work(worker, started + seconds, tally) for worker in range(in_flight))
            await asyncio.gather(*workers)
        tally.seconds = time.perf_counter() - started
        return tally

    return run


class Connection(asyncio.Protocol):
    """One connection over which one request at a time goes."""

    def __init__(self) -> None:
        self.is_lost = False
        self._answer: asyncio.Future[str] | None = None
        self._received = bytearray()
        self._expected = 0  # bytes, head and body

    def ask(self, request: bytes) -> "asyncio.Future[str]":
        """Send a request; the result is the answer's status, or "connection lost"."""
        self._answer = asyncio.get_running_loop().create_future()
        if self.is_lost:
            self._answer.set_result(LOST)
        else:
            self._transport.write(request)
        return self._answer

    def close(self) -> None:
        """End the connection."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._expected:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._received, 0, end)
            self._expected = end + 4 + (int(length[1]) if length else 0)
        if len(self._received) < self._expected:
            return
        status = self._received[9:12].decode()
        del self._received[: self._expected]
        self._expected = 0
        self._finish(status)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True
        self._finish(LOST)

    def _finish(self, status: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(status)
