"""Requests whose head cannot be read, is too large or comes too slowly: what every HTTP service
does before there is a request that a handler or a middleware could see.

aiohttp answers these by itself, in plain text, and closes so soon that the answer may be lost; it
has no limit on slow heads but the one on idle connections. It has no setting for either, so
`use_own_connections` puts a subclass in the place of its connection, once in a process.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple

from aiohttp import HttpVersion11, hdrs, web, web_server
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError, LineTooLong

from contracts.rest import Problem

# A text of 10 000 characters, percent-encoded, fits into an address.
LINE_MAX_BYTES = 128 * 1024
# One header: a Kerberos ticket has up to 48 000 bytes, in base64, and the cookies of all other
# applications under the same domain come in one too.
FIELD_MAX_BYTES = 64 * 1024
# From the first byte of a head to its last.
HEAD_SECONDS = 20.0
# How long what comes after a refusal is still read, so that the refusal arrives, and how long
# nothing has to come before that ends.
LINGER_SECONDS = 2.0
QUIET_SECONDS = 0.1
# The answer's `Server`: what we are, not of which software of which version with which holes.
SERVER = "campus-helpdesk"

DETAILS = {
    HTTPStatus.BAD_REQUEST: "This is not a request of HTTP/1.1.",
    HTTPStatus.REQUEST_URI_TOO_LONG: f"An address must have at most {LINE_MAX_BYTES} bytes.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        f"A header, such as all cookies together, must have at most {FIELD_MAX_BYTES} bytes."
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong here.",
}


class Answer(NamedTuple):
    """The body of a refusal, and what it is."""

    content_type: str
    text: str
    headers: Mapping[str, str] = {}


def say_problem(status: HTTPStatus) -> Answer:
    """Return a refusal for programs."""
    problem = Problem(
        title=status.phrase,
        status=status,
        detail=DETAILS.get(status, f"{status.description}."),
        code=status.name.lower(),
    )
    return Answer("application/problem+json", problem.to_json())


def without_the_request(record: logging.LogRecord) -> bool:
    """Keep the bytes of what cannot be read out of the log: they may hold a secret (a filter)."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = "a request cannot be read: %s", (type(error).__name__,)
        record.exc_info = None
    return True


logging.getLogger("aiohttp.server").addFilter(without_the_request)


async def name_server(_request: web.Request, response: web.StreamResponse) -> None:
    """Say nothing of the software (a handler of `on_response_prepare`)."""
    response.headers[hdrs.SERVER] = SERVER


def use_own_connections(say: Callable[[HTTPStatus], Answer] = say_problem) -> None:
    """Refuse in this process with what `say` returns for a status."""
    Connection.say = staticmethod(say)
    web_server.RequestHandler = Connection  # type: ignore[attr-defined]


class Connection(web.RequestHandler):
    """A connection that ends slow heads, and says in its service's way what it cannot read."""

    __slots__ = ("_head_timer", "_is_refused", "heard_at")
    say: ClassVar[Callable[[HTTPStatus], Answer]] = staticmethod(say_problem)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._is_refused = False
        self.heard_at = 0.0

    def data_received(self, data: bytes) -> None:
        """Take bytes; the first of a head start its time, and its last end it."""
        self.heard_at = self._loop.time()
        if self._is_refused:
            return  # aiohttp would note each piece as one more error, and soon stop reading
        super().data_received(data)
        if not self._is_idle():
            self._stop_timer()
        elif self._head_timer is None:
            self._head_timer = self._loop.call_later(HEAD_SECONDS, self._end_slow_head)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget what belongs to the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the refusal of what aiohttp could not read or of what no middleware caught."""
        # For its words in the log; it raises where an answer has begun.
        super().handle_error(request, status, exc, message)
        self._is_refused = True
        known = _status_of(HTTPStatus(status), exc)
        # aiohttp knows nothing of the request, and answers by HTTP/1.0 then.
        request._version = HttpVersion11
        return _Refusal(self, known, type(self).say(known))

    def _is_idle(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def _end_slow_head(self) -> None:
        self._head_timer = None
        if self._is_idle():
            self.force_close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class _Refusal(web.Response):
    """The last answer of a connection, which waits until the other side has stopped sending.

    Closed with unread bytes, the kernel resets a connection, and the answer may be lost.
    """

    def __init__(self, connection: Connection, status: HTTPStatus, answer: Answer) -> None:
        super().__init__(
            status=status,
            text=answer.text,
            content_type=answer.content_type,
            headers={hdrs.SERVER: SERVER, hdrs.CACHE_CONTROL: "no-store"} | dict(answer.headers),
        )
        self.force_close()
        self._connection = connection

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the end, and read on for a moment."""
        await super().write_eof(data)
        loop = asyncio.get_running_loop()
        end = loop.time() + LINGER_SECONDS
        # Silence is no event that could be waited for.
        while loop.time() < min(end, self._connection.heard_at + QUIET_SECONDS):  # noqa: ASYNC110
            await asyncio.sleep(QUIET_SECONDS)


def _status_of(status: HTTPStatus, error: BaseException | None) -> HTTPStatus:
    if isinstance(error, LineTooLong):
        is_first = LINE_MAX_BYTES in error.args
        return (
            HTTPStatus.REQUEST_URI_TOO_LONG
            if is_first
            else HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        )
    if isinstance(error, BadHttpMessage) and error.message.startswith("Too many headers"):
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    return status
