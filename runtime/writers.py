"""Who changes one ticket takes turns, so that one ticket cannot hold up all others.

PostgreSQL lets one transaction at a time change a row. Those that wait for it there would each hold
a connection and a place, until none is left for other tickets. So they wait here, before the gate,
where waiting costs nothing but their bodies.
"""

from collections.abc import Callable
from functools import partial
from weakref import WeakValueDictionary

from aiohttp import web
from aiohttp.typedefs import Handler

from runtime.contended import Contended
from runtime.http import await_body, everybody
from runtime.turns import Turns

# Of the 16 places of a service. One changes the row, the next is ready when it has done so.
WRITERS_AT_ONCE = 2
# Far more people than ever write to one ticket at once.
WAITING_MAX = 32
# `web` waits 3 s for the ticket service. Behind this come the gate (0.4 s), a connection (1 s) and
# a lock (0.7 s).
WAIT_SECONDS = 0.5


class Writers:
    """Lets WRITERS_AT_ONCE requests at a time change one row; WAITING_MAX more wait.

    `row_of` names the row that a request changes, None where none that is there already. Callers,
    as `caller` names them, take turns, and `spare` places are never had by one alone.
    """

    def __init__(
        self,
        row_of: Callable[[web.Request], str | None],
        *,
        caller: Callable[[web.Request], str] = everybody,
        spare: int = 0,
    ) -> None:
        self._row_of = row_of
        self._caller = caller
        each = WRITERS_AT_ONCE - spare
        self._turns = partial(Turns, WRITERS_AT_ONCE, WAITING_MAX, lambda _share: each)
        # Forgotten as soon as nobody writes or waits.
        self._rows: WeakValueDictionary[str, Turns] = WeakValueDictionary()

    @web.middleware
    async def serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let the handler answer when it is the request's turn.

        Raises Contended, and as `await_body` does.
        """
        row = self._row_of(request)
        if row is None:
            return await handler(request)
        await await_body(request)
        turns = self._rows.setdefault(row, self._turns())
        caller = self._caller(request)
        if not await turns.take(caller, WAIT_SECONDS):
            raise Contended
        try:
            return await handler(request)
        finally:
            turns.give_back(caller)
