"""Watches the event loop, in production too: how late it is, and which route holds it.

Whatever computes without a pause makes everybody else wait. A beat measures how late the loop
comes back to it; a handler's own steps, from one `await` to the next, are measured one by one, so
that a long one has a name. Costs 1.6 µs a step and ten beats a second. asyncio's debug mode would
tell as much, and makes everything slower.

It also knows whether the loop's thread is what everybody waits for (`is_busy`).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import Counter, Gauge, Histogram

from runtime.limits import SELDOM, Buckets

log = logging.getLogger(__name__)

BEAT_SECONDS = 0.1
STEP_MAX_SECONDS = 0.05
# A thread that computes for the first share of its time is busy, and no more below the second: one
# that now serves few at once, because it was busy, computes less.
BUSY_SHARE = 0.5
IDLE_SHARE = 0.25

LAG_SECONDS = Histogram(
    "event_loop_lag_seconds",
    "How much later than asked the event loop came back to a timer.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
HELD = Counter(
    "event_loop_held_total", f"Steps of over {STEP_MAX_SECONDS:g} s without a pause.", ["route"]
)

COMPUTING = Gauge("event_loop_busy_ratio", "Share of its time in which the loop's thread computed.")

ResultT = TypeVar("ResultT")
_said = Buckets(SELDOM)


@asynccontextmanager
async def watch_loop() -> AsyncIterator[None]:
    """Measure the loop's lag meanwhile."""
    task = asyncio.create_task(_beat())
    try:
        yield
    finally:
        task.cancel()


async def keep_watching(_app: web.Application) -> AsyncIterator[None]:
    """Measure the loop's lag while an application runs (a cleanup context)."""
    async with watch_loop():
        yield


@web.middleware
async def name_slow_steps(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say in the log which route's handler held the loop, by its pattern and never by its values.

    Tasks that a handler starts are not its steps.
    """
    resource = request.match_info.route.resource
    route = f"{request.method} {resource.canonical}" if resource else "no route"
    return await Steps(handler(request), lambda wall_s, cpu_s: note_step(route, wall_s, cpu_s))


def note_step(route: str, wall_s: float, cpu_s: float) -> None:
    """Count and log a step of that many seconds, of which `cpu_s` were our own computing."""
    if wall_s <= STEP_MAX_SECONDS:
        return
    HELD.labels(route).inc()
    # What is slow is slow for everybody who asks; once is enough to find it.
    if _said.try_take(route):
        log.warning("%s held the loop for %.3f s (%.3f s of CPU)", route, wall_s, cpu_s)


def is_busy() -> bool:
    """Tell whether the loop's thread computes most of the time: then it is what all wait for."""
    return _load.is_busy


async def _beat() -> None:
    loop = asyncio.get_running_loop()
    while True:
        started, computed = loop.time(), time.thread_time()
        await asyncio.sleep(BEAT_SECONDS)
        took = loop.time() - started
        LAG_SECONDS.observe(max(0.0, took - BEAT_SECONDS))
        _load.note((time.thread_time() - computed) / took)


class _Load:
    """How much of its time the loop's thread has computed of late."""

    def __init__(self) -> None:
        self._share = 0.0
        self.is_busy = False

    def note(self, share: float) -> None:
        """Take in what it was in a beat."""
        # Half of it is new, so that neither one slow page nor one pause decides.
        self._share = (self._share + share) / 2
        self.is_busy = self._share >= (IDLE_SHARE if self.is_busy else BUSY_SHARE)
        COMPUTING.set(self._share)


_load = _Load()


class Steps(Awaitable[ResultT]):
    """Something to await; `note` hears of each of its steps how long it took: on the clock, and of
    CPU in this thread, in seconds.
    """

    def __init__(self, awaitable: Awaitable[ResultT], note: Callable[[float, float], None]) -> None:
        self._awaitable = awaitable
        self._note = note

    def __await__(self) -> Generator[Any, Any, ResultT]:
        """Run step by step, and pass on what is sent, thrown and returned."""
        steps = self._awaitable.__await__()
        step: Callable[[], Any] = partial(next, steps)
        try:
            while True:
                wall_s, cpu_s = time.perf_counter(), time.thread_time()
                try:
                    waited_for = step()
                except StopIteration as end:
                    result: ResultT = end.value
                    return result
                finally:
                    self._note(time.perf_counter() - wall_s, time.thread_time() - cpu_s)
                try:
                    sent = yield waited_for
                except GeneratorExit:
                    raise
                except BaseException as thrown:
                    step = partial(steps.throw, thrown)
                else:
                    step = partial(steps.send, sent)
        finally:
            steps.close()
