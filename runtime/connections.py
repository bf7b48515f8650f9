"""The connections of every HTTP service: they keep little for whoever is at the other end, and say
in their service's way what they cannot read.

aiohttp answers what it cannot read in plain text, and closes so soon that the answer may be lost;
it has no limit on heads that are slow or large as a whole, on answers that nobody reads, and on
connections that nobody uses. It has no setting for these, so `use_own_connections` puts a subclass
in the place of its connection, once in a process.
"""

import asyncio
import resource
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar

from aiohttp import HttpVersion11, hdrs, web, web_protocol, web_server
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from multidict import CIMultiDict, CIMultiDictProxy

from runtime import heads
from runtime.buffers import BUFFERS, CUT, Unread, abort, give_memory_back, limit_kernel
from runtime.heads import (
    HEAD_MAX_BYTES,
    TOO_LARGE,
    Answer,
    head_size,
    say_problem,
    status_of,
)
from runtime.refusal import Refusal
from runtime.room import Room
from runtime.senders import network_of

# Requests that one connection may send before the first is answered. No browser sends any.
PIPELINED_MAX = 2
# What may come behind a request in the same piece: the beginning of another one, at most.
BEHIND_MAX_BYTES = 16 * 1024
# What is read at once.
PIECE_MAX_BYTES = 64 * 1024
# A body in chunks may come with this and its own length of what stands between them. Each chunk
# costs as much as a thousand bytes, and one of a byte is six on the way.
CHUNKING_MAX_BYTES = 16 * 1024
# Far longer than any type with its parameters.
MEDIA_TYPE_MAX_BYTES = 255
UNKNOWN_TYPE = "application/octet-stream"
# Connections at a time that wait for the other side: those that we are at work for come on top,
# and are bounded where the work is (`runtime/http.py`, `web/streams.py`).
CONNECTIONS_MAX = 2_000
ROOM = Room()


def peer_address(request: web.Request) -> str:
    """Return the address that has connected."""
    return request.remote or ""


def use_own_connections(
    say: Callable[[HTTPStatus], Answer] = say_problem,
    find_caller: Callable[[web.Request], str] = peer_address,
) -> None:
    """Refuse in this process with what `say` returns for a status.

    `find_caller` returns the address for which a body is kept until it is whole, and an answer
    while it is not read.
    """
    Connection.say = staticmethod(say)
    Connection.find_caller = staticmethod(find_caller)
    Connection.room = min(CONNECTIONS_MAX, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
    web_server.RequestHandler = Connection  # type: ignore[attr-defined]
    web_protocol.MAX_MSG_QUEUE_SIZE = PIPELINED_MAX
    give_memory_back()


def _make_request(
    make: Callable[..., web.BaseRequest], message: RawRequestMessage, *parts: Any
) -> web.BaseRequest:
    """Return a request, whose type, where nobody could know it, is that of unknown bytes.

    aiohttp reads it as mail does, in quadratic time: 64 kB of semicolons take it a minute.
    """
    if len(message.headers.get(hdrs.CONTENT_TYPE, "")) > MEDIA_TYPE_MAX_BYTES:
        headers = CIMultiDict(message.headers)
        headers[hdrs.CONTENT_TYPE] = UNKNOWN_TYPE
        message = message._replace(headers=CIMultiDictProxy(headers))
    return make(message, *parts)


class Connection(web.RequestHandler):
    """A connection that keeps little: it ends slow heads, large ones and readers that do not read,
    and says in its service's way what it cannot read.
    """

    __slots__ = (
        *("_answered", "_answering", "_body", "_body_bytes", "_head_bytes", "_head_timer"),
        *("_is_refused", "_peer", "_unread", "heard_at"),
    )
    say: ClassVar[Callable[[HTTPStatus], Answer]] = staticmethod(say_problem)
    find_caller: ClassVar[Callable[[web.Request], str]] = staticmethod(peer_address)
    room: ClassVar[int] = CONNECTIONS_MAX

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        assert self._request_factory is not None
        self._request_factory = partial(_make_request, self._request_factory)
        self._head_timer: asyncio.TimerHandle | None = None
        self._is_refused = False
        self._answering: web.BaseRequest | None = None
        self._answered = 0
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
        self._peer = network_of(str((transport.get_extra_info("peername") or [""])[0]))
        # An answer waits for its reader as soon as the kernel takes no more of it.
        self.transport.set_write_buffer_limits(high=0)
        limit_kernel(transport.get_extra_info("socket"))
        self._note_use()

    def data_received(self, data: bytes) -> None:
        """Take bytes, few enough to stop in between."""
        for start in range(0, max(len(data), 1), PIECE_MAX_BYTES):
            self._take(data[start : start + PIECE_MAX_BYTES])
            if self._messages and isinstance(self._messages[-1][0], web_protocol._ErrInfo):
                return  # what it could not read is answered soon; more would be one more error

    def _take(self, data: bytes) -> None:
        """Take a piece; the first byte of a head starts its time, and its last ends it."""
        if self._is_gone():
            return  # aiohttp passes an empty piece where it reads on, also to one that was cut
        self.heard_at = self._loop.time()
        if self._is_refused:
            return  # aiohttp would note each piece as one more error, and soon stop reading
        was_asked, count = self._is_asked(), self._request_count
        if self._body.is_eof():
            self._head_bytes += len(data)
        elif was_asked:  # what comes of a body after the answer is thrown away
            self._body_bytes += len(data)
        super().data_received(data)
        if self._request_count > count:
            self._note_request(data, was_asked=was_asked)
            self._note_use()
        elif self._head_bytes > HEAD_MAX_BYTES:
            self._refuse_head()
        elif self._is_working():
            self._note_use()
        if self._body_bytes > 2 * self._body.total_bytes + CHUNKING_MAX_BYTES:
            CUT.labels("chunks").inc()
            self.cut()
            return
        if self._body.is_eof():
            self._body_bytes = 0  # whole: it is work now
        self._count()
        if self._is_asked():
            self._stop_timer()
        elif self._head_timer is None:
            self._start_timer()

    def pause_writing(self) -> None:
        """Begin to count what is not read."""
        super().pause_writing()
        assert self.transport is not None
        self._unread = Unread(self.transport, self._find_caller(), self.cut)
        self._note_use()

    def resume_writing(self) -> None:
        """Go on: all was read."""
        self._forget_unread()
        super().resume_writing()
        self._note_use()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer, and forget its request."""
        self._answering = request
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._answering = None
            self._answered += 1
            if not self._is_asked():
                self._body_bytes = 0
                self._begin_next_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget what belongs to the connection."""
        self._stop_timer()
        self._forget_unread()
        ROOM.leave(self, self._peer)
        BUFFERS.drop(self)
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
        return Refusal(known, type(self).say(known), lambda: self.heard_at)

    def _is_gone(self) -> bool:
        return self.transport is None or self.transport.is_closing()

    def _is_asked(self) -> bool:
        """Tell whether a request has come that was not answered."""
        return self._answered < self._request_count

    def _is_working(self) -> bool:
        """Tell whether we, and not the other side, are waited for."""
        return self._is_asked() and self._body.is_eof() and not self._paused

    def _note_use(self) -> None:
        """Let it make room for others, unless we are at work for it."""
        if self._is_working():
            ROOM.leave(self, self._peer)
        else:
            ROOM.enter(self, self._peer)
            CUT.labels("connections").inc(ROOM.make(self.room))

    def _find_caller(self) -> str:
        """Return who asks: who has connected, as long as no request says more."""
        request = self._answering or self._current_request
        if isinstance(request, web.Request) and request._match_info is not None:
            return type(self).find_caller(request)
        return self._peer

    def _count(self) -> None:
        """Count what is kept of a request that is not whole; one that is whole is never cut.

        Whose body it is is known once somebody begins to read it: an empty piece comes then too.
        """
        kept = self._head_bytes + self._body_bytes
        if not kept or self._is_gone():
            BUFFERS.drop(self)
        elif self._body_bytes and not self._messages:
            BUFFERS.keep(self, self._find_caller(), kept)
        else:
            BUFFERS.keep(self, self._peer, kept)

    def _note_request(self, data: bytes, *, was_asked: bool) -> None:
        """Note which request has come; what came behind it stays counted."""
        message, self._body = self._messages[-1]
        if was_asked or not isinstance(message, RawRequestMessage):
            return
        came, self._head_bytes = self._head_bytes, 0
        head = head_size(message)
        if not self._body.is_eof():
            self._body_bytes = max(came - head, 0)
        if came <= BEHIND_MAX_BYTES:
            return
        behind = came - head - int(message.headers.get(hdrs.CONTENT_LENGTH, "0"))
        if head > HEAD_MAX_BYTES:
            self._messages.pop()
            self._request_count -= 1
            self._refuse_head()
        elif len(data) > BEHIND_MAX_BYTES and behind > BEHIND_MAX_BYTES and self._body.is_eof():
            self.close()  # after the answer: nobody knows how much of another head is there

    def _begin_next_head(self) -> None:
        """Give what has come of the next head its time, where it came before it was its turn."""
        if self._is_gone():
            return
        self._count()
        self._note_use()
        if self._head_bytes and self._head_timer is None:
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
        self._request_count += 1
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _forget_unread(self) -> None:
        if self._unread is not None:
            self._unread.end()
            self._unread = None

    def _end_slow_head(self) -> None:
        self._head_timer = None
        if not self._is_asked() and self._body.is_eof():
            self.force_close()

    def _start_timer(self) -> None:
        self._head_timer = self._loop.call_later(heads.HEAD_SECONDS, self._end_slow_head)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
