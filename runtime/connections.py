"""The connections of every HTTP service: they keep little for whoever is at the other end, and say
in their service's way what they cannot read.

aiohttp answers what it cannot read in plain text, and closes so soon that the answer may be lost;
it has no limit on heads that are slow or large as a whole, on answers that nobody reads, and on
connections that nobody uses. It has no setting for these, so `use_own_connections` puts a subclass
in the place of its connection, once in a process.
"""

import asyncio
import resource
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar

from aiohttp import HttpVersion11, hdrs, web, web_protocol, web_server
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from runtime import heads
from runtime.buffers import BUFFERS, CUT, Unread, abort, give_memory_back, limit_kernel
from runtime.heads import (
    HEAD_MAX_BYTES,
    LINGER_SECONDS,
    QUIET_SECONDS,
    SERVER,
    TOO_LARGE,
    Answer,
    say_problem,
    status_of,
)

# Requests that one connection may send before the first is answered. No browser sends any.
PIPELINED_MAX = 2
# What may come behind a request in the same piece: the beginning of another one, at most.
BEHIND_MAX_BYTES = 16 * 1024
# Connections at a time, streams apart: the one that was not used for longest makes room.
CONNECTIONS_MAX = 2_000


def peer_address(request: web.Request) -> str:
    """Return the address that has connected."""
    return request.remote or ""


def use_own_connections(
    say: Callable[[HTTPStatus], Answer] = say_problem,
    find_caller: Callable[[web.Request], str] = peer_address,
) -> None:
    """Refuse in this process with what `say` returns for a status.

    `find_caller` returns the address for which an answer is kept while it is not read.
    """
    Connection.say = staticmethod(say)
    Connection.find_caller = staticmethod(find_caller)
    Connection.room = min(CONNECTIONS_MAX, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
    web_server.RequestHandler = Connection  # type: ignore[attr-defined]
    web_protocol.MAX_MSG_QUEUE_SIZE = PIPELINED_MAX
    give_memory_back()


class Connection(web.RequestHandler):
    """A connection that keeps little: it ends slow heads, large ones and readers that do not read,
    and says in its service's way what it cannot read.
    """

    __slots__ = (
        *("_answering", "_body", "_head_bytes", "_head_timer", "_is_refused", "_peer", "_unread"),
        *("_body_bytes", "heard_at"),
    )
    say: ClassVar[Callable[[HTTPStatus], Answer]] = staticmethod(say_problem)
    find_caller: ClassVar[Callable[[web.Request], str]] = staticmethod(peer_address)
    room: ClassVar[int] = CONNECTIONS_MAX
    # All there are, the one that was not used for longest first.
    _open: ClassVar["OrderedDict[Connection, None]"] = OrderedDict()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._is_refused = False
        self._answering: web.BaseRequest | None = None
        self._unread: Unread | None = None
        # The body of the latest request, and what has come of it and of the next head.
        self._body: StreamReader = EMPTY_PAYLOAD
        self._body_bytes = self._head_bytes = 0
        self._peer = ""
        self.heard_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bound what is kept for it, here and in the kernel, and how many there are."""
        super().connection_made(transport)
        assert self.transport is not None
        self._peer = str((transport.get_extra_info("peername") or [""])[0])
        # An answer waits for its reader as soon as the kernel takes no more of it.
        self.transport.set_write_buffer_limits(high=0)
        limit_kernel(transport.get_extra_info("socket"))
        self._open[self] = None
        if len(self._open) > self.room:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Take bytes; the first of a head start its time, and its last end it."""
        self.heard_at = self._loop.time()
        if self._is_refused:
            return  # aiohttp would note each piece as one more error, and soon stop reading
        was_idle, count = self._is_idle(), self._request_count
        if self._body.is_eof():
            self._head_bytes += len(data)
        else:
            self._body_bytes += len(data)
        super().data_received(data)
        if self._request_count > count:
            self._open.move_to_end(self)
            self._note_request(data, was_idle=was_idle)
        elif self._head_bytes > HEAD_MAX_BYTES:
            self._refuse_head()
        if kept := self._head_bytes + self._body_bytes:
            BUFFERS.keep(self, self._peer, kept)
        if not self._is_idle():
            self._stop_timer()
        elif self._head_timer is None:
            self._start_timer()

    def pause_writing(self) -> None:
        """Begin to count what is not read."""
        super().pause_writing()
        request = self._answering or self._current_request
        caller = self._peer
        if isinstance(request, web.Request) and not self._is_refused:
            caller = type(self).find_caller(request)
        assert self.transport is not None
        self._unread = Unread(self.transport, caller, self.cut)

    def resume_writing(self) -> None:
        """Go on: all was read."""
        self._forget_unread()
        super().resume_writing()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer, and forget its request."""
        self._answering = request
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._answering = None
            self._body_bytes = 0
            if not self._messages and self._body.is_eof():
                self._begin_next_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget what belongs to the connection."""
        self._stop_timer()
        self._forget_unread()
        self._open.pop(self, None)
        BUFFERS.drop(self, self._peer)
        super().connection_lost(exc)

    def cut(self) -> None:
        """End the connection at once, whatever is on its way."""
        if self.transport is not None:
            abort(self.transport)

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
        known = status_of(HTTPStatus(status), exc)
        # aiohttp knows nothing of the request, and answers by HTTP/1.0 then.
        request._version = HttpVersion11
        return _Refusal(self, known, type(self).say(known))

    def _is_idle(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def _is_working(self) -> bool:
        """Tell whether we, and not the other side, are waited for."""
        is_asked = self._request_in_progress or bool(self._messages)
        return is_asked and self._body.is_eof() and not self._paused

    def _make_room(self) -> None:
        """End those that were not used for longest, unless we are at work for them."""
        for connection in [one for one in self._open if not one._is_working()]:
            if len(self._open) <= self.room:
                return
            CUT.labels("connections").inc()
            connection.cut()
            del self._open[connection]

    def _note_request(self, data: bytes, *, was_idle: bool) -> None:
        """Note which request has come; what came behind it stays counted."""
        message, self._body = self._messages[-1]
        if not was_idle or not isinstance(message, RawRequestMessage):
            return
        came, self._head_bytes = self._head_bytes, 0
        if came <= BEHIND_MAX_BYTES:
            return
        head = _head_size(message)
        behind = came - head - int(message.headers.get(hdrs.CONTENT_LENGTH, "0"))
        if head > HEAD_MAX_BYTES:
            self._messages.pop()
            self._refuse_head()
        elif len(data) > BEHIND_MAX_BYTES and behind > BEHIND_MAX_BYTES and self._body.is_eof():
            self.close()  # after the answer: nobody knows how much of another head is there

    def _begin_next_head(self) -> None:
        """Give what has come of the next head its time, where it came before it was its turn."""
        if not self._head_bytes:
            BUFFERS.drop(self, self._peer)
        elif self._head_timer is None and self.transport is not None:
            self._start_timer()

    def _refuse_head(self) -> None:
        self._is_refused = True
        error = web_protocol._ErrInfo(
            status=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            exc=BadHttpMessage(TOO_LARGE),
            message=TOO_LARGE,
        )
        self._head_bytes = 0
        self._messages.append((error, EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _forget_unread(self) -> None:
        if self._unread is not None:
            self._unread.end()
            self._unread = None

    def _end_slow_head(self) -> None:
        self._head_timer = None
        if self._is_idle():
            self.force_close()

    def _start_timer(self) -> None:
        self._head_timer = self._loop.call_later(heads.HEAD_SECONDS, self._end_slow_head)

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


def _head_size(message: RawRequestMessage) -> int:
    """Return how many bytes the head of a request had, but for a few of its first line."""
    fields = sum(len(name) + len(value) + 4 for name, value in message.raw_headers)
    return len(message.method) + len(message.path) + fields
