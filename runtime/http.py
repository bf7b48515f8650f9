"""What every HTTP service does around requests: let in no more than can be served in time, and stop
without failing one that was let in.

A crowd of a moment waits for a moment. Beyond that a request is refused at once: a longer queue
would only make everybody late.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from prometheus_client import Counter

from runtime.connections import CONNECTIONS_MAX, peer_address, use_own_connections
from runtime.heads import (
    FIELD_MAX_BYTES,
    LINE_MAX_BYTES,
    LINGER_SECONDS,
    Answer,
    say_problem,
)
from runtime.lag import is_busy
from runtime.listening import listening
from runtime.turns import Turns

log = logging.getLogger(__name__)

# The largest form of 160 KiB in this time is 16 kB/s, a bad phone line; slower ones hold up nobody
# but themselves, and not for ever.
BODY_SECONDS = 10.0
# Longer than any proxy in front keeps an idle connection, or it would now and then send a request
# into one that is just being closed: nginx and AWS 60 s, Traefik 90 s, Caddy 120 s, Azure 240 s,
# Google 600 s.
KEEPALIVE_SECONDS = 620.0
# How long requests that run may take to finish after SIGTERM.
FINISH_SECONDS = 10.0
# Who finds no place in the kernel's queue of new connections tries again only after a second.
BACKLOG = 1_024
# For `web.Application(handler_args=…)`.
HANDLER_ARGS: dict[str, Any] = {
    "access_log": None,
    "keepalive_timeout": KEEPALIVE_SECONDS,
    "lingering_time": LINGER_SECONDS,
    "max_line_size": LINE_MAX_BYTES,
    "max_field_size": FIELD_MAX_BYTES,
    # Nobody of ours sends a packed body; the readers of bodies refuse one.
    "auto_decompress": False,
}
# Of the latest requests one caller's.
FLOOD_SHARE = 0.5
# How long a request of a flood may wait until it is looked at.
PACE_SECONDS = 10.0
# How long a request may wait for its turn: unnoticed by people, and longer than a crowd lasts.
WAIT_SECONDS = 0.4
# When to come back after a refusal; overload is over sooner than that, or not at all.
RETRY_AFTER_SECONDS = 2
# A proxy that asks for health every few seconds has turned away by then.
DRAIN_MAX_SECONDS = 60

# Far more than any address of ours has: what a vocabulary holds can be named a few times over.
PARAMETERS_MAX = 50

REFUSED_TOTAL = Counter("http_refused_total", "Requests refused because too many were in work.")


class Busy(Exception):
    """As many requests as can be served in time are being worked on already."""


def everybody(_request: web.Request) -> str:
    """Return one caller for all requests."""
    return ""


def is_flood(share: float) -> bool:
    """Tell whether a caller is one beside which others hardly get their turn, from its share of
    the latest requests, 0-1: somebody alone is none.
    """
    return FLOOD_SHARE < share < 1.0


def _begun_of_one(share: float) -> int:
    # Nobody alone is later for it: what is begun ends before the next one would.
    return 1 if share > FLOOD_SHARE and is_busy() else BACKLOG


class Gate:
    """Lets in `places` requests at a time, and any number to addresses that start with `free`.

    `queue` more wait for a place, at most WAIT_SECONDS. Callers, as `caller` names them, take
    turns, and one of them has at most as many places as `each` returns, which is told the share of
    the latest requests that were that one's. `draining` is true once the process was told to stop.
    """

    def __init__(
        self,
        places: int,
        queue: int,
        free: tuple[str, ...],
        *,
        caller: Callable[[web.Request], str] = everybody,
        each: Callable[[float], int] | None = None,
    ) -> None:
        self._turns = Turns(places, queue, each or (lambda _share: places))
        self._rounds = Turns(BACKLOG, CONNECTIONS_MAX, _begun_of_one)
        self._caller = caller
        self._free = free
        self.draining = False

    @web.middleware
    async def serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let the handler answer, once the body is here.

        Raises Busy, HTTPRequestTimeout after BODY_SECONDS, and HTTPRequestEntityTooLarge.
        """
        if request.path.startswith(self._free):
            return await handler(request)
        await await_body(request)
        caller = self._caller(request)
        if not await self._turns.take(caller, WAIT_SECONDS):
            REFUSED_TOTAL.inc()
            raise Busy
        try:
            return await handler(request)
        finally:
            self._turns.give_back(caller)

    @web.middleware
    async def pace(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Begin one request of a flood in a round of the loop, whatever is asked.

        Many of a flood are answered in one step, such as with what is not found, and have given a
        place back before anybody else's turn comes.

        Raises Busy, and ConnectionResetError where whoever wanted to read something has gone: its
        answer would be made for nobody. What somebody has sent is taken all the same.
        """
        caller = self._caller(request)
        if not await self._rounds.take(caller, PACE_SECONDS):
            raise Busy
        asyncio.get_running_loop().call_soon(self._rounds.give_back, caller)
        if request.transport is None and request.method in (hdrs.METH_GET, hdrs.METH_HEAD):
            raise ConnectionResetError("The caller has gone.")
        return await handler(request)

    def drain_on_sigterm(self, app: web.Application, seconds: float) -> None:
        """On SIGTERM become not ready, serve on for `seconds`, and only then stop.

        A proxy has this time to turn to another replica; connections end with their next answer.
        """
        # aiohttp sets its own handler, which stops at once, before it starts the application.
        app.on_startup.append(partial(self._listen, seconds))
        app.on_response_prepare.append(self._close_after)

    async def _listen(self, seconds: float, _app: web.Application) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._drain, seconds)

    def _drain(self, seconds: float) -> None:
        log.info("draining for %g s", seconds)
        self.draining = True
        asyncio.get_running_loop().call_later(seconds, _stop)

    async def _close_after(self, _request: web.Request, response: web.StreamResponse) -> None:
        if self.draining:
            response.force_close()
            # aiohttp has written its own headers by now.
            response.headers[hdrs.CONNECTION] = "close"


def run(
    app: web.Application,
    gate: Gate,
    *,
    host: str,
    port: int,
    drain_s: float,
    say: Callable[[HTTPStatus], Answer] = say_problem,
    find_caller: Callable[[web.Request], str] = peer_address,
) -> None:
    """Serve until SIGINT, or SIGTERM and `drain_s`; then finish what runs.

    `say` returns what is answered to bytes that are no request, `find_caller` the address that
    asks. Raises CannotListen.
    """
    use_own_connections(say, find_caller)
    if drain_s:
        gate.drain_on_sigterm(app, drain_s)
    with listening(host, port):
        web.run_app(
            app,
            host=host,
            port=port,
            backlog=BACKLOG,
            shutdown_timeout=FINISH_SECONDS,
            print=None,
        )


def read_drain_seconds(environment: Mapping[str, str]) -> float:
    """Return DRAIN_SECONDS, 0 unless set; raises ValueError with what to set."""
    text = environment.get("DRAIN_SECONDS") or "0"
    if not (text.isascii() and text.isdigit() and int(text) <= DRAIN_MAX_SECONDS):
        raise ValueError(f"DRAIN_SECONDS must be 0 to {DRAIN_MAX_SECONDS} seconds, not {text!r}.")
    return float(text)


async def await_body(request: web.Request) -> None:
    """Wait until the body is here, before the request takes a place: a slow one must not hold it.

    Raises HTTPRequestTimeout after BODY_SECONDS, and HTTPRequestEntityTooLarge.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None


def has_too_many_parameters(request: web.Request) -> bool:
    """Tell whether an address has more than PARAMETERS_MAX; they are counted, not read."""
    return request.rel_url.raw_query_string.count("&") >= PARAMETERS_MAX


def _stop() -> None:
    raise web.GracefulExit
