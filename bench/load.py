"""Closed loops of requests: each of n connections sends the next one when the last is answered.

Shares the cores with what it measures, so it parses no more of a response than its end.
"""

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import median
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)", re.IGNORECASE)
# Time for the requests in flight to end after a round; longer than any deadline in the services.
GRACE_SECONDS = 15.0


@dataclass
class Tally:
    """What became of one round; `failed` counts by status or error."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    cpu_ms: Counter[str] = field(default_factory=Counter)  # by program

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


def http_load(url: str, next_request: Callable[[], bytes]) -> Run:
    """Return the load of HTTP requests, whole as they go over the wire, on n connections."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    host, port = parts.hostname, parts.port

    async def run(connections: int, seconds: float) -> Tally:
        loop = asyncio.get_running_loop()
        tally = Tally()
        started = time.perf_counter()
        async with asyncio.timeout(seconds + GRACE_SECONDS):
            opened = [
                await loop.create_connection(
                    lambda: _Client(next_request, started + seconds, tally), host, port
                )
                for _ in range(connections)
            ]
            await asyncio.gather(*(client.done for _, client in opened))
        tally.seconds = time.perf_counter() - started
        return tally

    return run


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


class _Client(asyncio.Protocol):
    def __init__(self, next_request: Callable[[], bytes], until: float, tally: Tally) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._next_request = next_request
        self._until = until
        self._tally = tally
        self._received = bytearray()
        self._expected = 0  # bytes, head and body

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

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
        now = time.perf_counter()
        status = self._received[9:12].decode()
        if status < "400":
            self._tally.latencies.append(now - self._started)
        else:
            self._tally.failed[status] += 1
        del self._received[: self._expected]
        self._expected = 0
        if now < self._until:
            self._send()
        else:
            self.done.set_result(None)
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self._tally.failed["connection lost"] += 1
            self.done.set_result(None)

    def _send(self) -> None:
        self._started = time.perf_counter()
        self._transport.write(self._next_request())
