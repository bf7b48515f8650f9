"""Who changes one ticket takes turns, so that one ticket cannot hold up all others.

PostgreSQL lets one transaction at a time change a row. Those that wait for it there would each hold
a connection and a place, until none is left for other tickets. So they wait here, before the gate,
where waiting costs nothing but their bodies.
"""

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

from aiohttp import web
from aiohttp.typedefs import Handler

from runtime.http import read_body

# Of the 16 places of a service. One changes the row, the next is ready when it has done so.
WRITERS_AT_ONCE = 2
# Far more people than ever write to one ticket at once.
WAITING_MAX = 32
# A caller waits for 3 s. What may come behind this: the gate, a connection, and a lock.
WAIT_SECONDS = 0.8


class Crowded(Exception):
    """More requests want to change one row than can be served in time."""


class _Row(asyncio.Semaphore):
    """The places of one row, given in the order of asking."""

    waiting = 0


class Writers:
    """Lets WRITERS_AT_ONCE requests at a time change one row.

    `row_of` names the row that a request changes, None where none that is there already.
    """

    def __init__(self, row_of: Callable[[web.Request], str | None]) -> None:
        self._row_of = row_of
        # Forgotten as soon as nobody writes or waits.
        self._rows: WeakValueDictionary[str, _Row] = WeakValueDictionary()

    @web.middleware
    async def serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let the handler answer when it is the request's turn.

        Raises Crowded, and as `read_body` does.
        """
        name = self._row_of(request)
        if name is None:
            return await handler(request)
        await read_body(request)
        row = self._rows.setdefault(name, _Row(WRITERS_AT_ONCE))
        await _wait(row)
        try:
            return await handler(request)
        finally:
            row.release()


async def _wait(row: _Row) -> None:
    if row.waiting >= WAITING_MAX:
        raise Crowded
    row.waiting += 1
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await row.acquire()
    except TimeoutError:
        raise Crowded from None
    finally:
        row.waiting -= 1
