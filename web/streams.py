"""Open streams of server-sent events, and one loop of writes to all that hear the same.

A stream is a socket and little else: when its response begins, the connection is taken over from
the HTTP server, so that no request, task or handler lives as long as a page is open. Renders
nothing.
"""

import asyncio
import re
import resource
from collections.abc import Callable, Collection
from typing import NamedTuple

from aiohttp import HttpVersion11, web
from prometheus_client import Counter, Gauge

from runtime.buffers import Unread, abort
from web.fragments import Others
from web.shares import Shares
from web.topics import ReportTopic, Topic
from web.variant import Variant

STREAMS_MAX = 20_000
# Files that a process has open beside its streams: sockets to services, and connections of browsers
# (CONNECTIONS_MAX). Where it may open few, these are half of them.
OTHER_FILES = 2_500
# A browser that has this much to read yet is sent no more until it has read it: what is kept for it
# is this much and one message at most, however slow it is. Then it gets what it lacks. One that
# hardly reads is cut as readers of pages are (`runtime/buffers.py`).
BEHIND_MAX_BYTES = 64 * 1024
# Each is loaded anew at every change of a ticket, and there are as many as questions can be asked.
REPORTS_MAX = 50
LAST_CHUNK = b"0\r\n\r\n"
_LINE_END = re.compile(r"\r\n|\r|\n")

STREAMS = Gauge("web_live_streams", "Open streams of live updates.")
DROPPED = Counter("web_live_dropped_total", "Streams let go because they could not keep up.")


class Place(NamedTuple):
    """Where a page stands that opens a stream.

    It knows everything up to the event id `position`, and of a ticket shows the version `seen`, 0
    where it does not say so. `is_back` says that it lost a stream before.
    """

    position: int = 0
    seen: int = 0
    page: str = ""
    is_back: bool = False


class Stream(asyncio.Protocol):
    """One browser's connection from an address, which hears of `topic` in the words of `variant`.

    `page` is what the page calls itself, so that it is not told of itself. It has been told
    everything up to the event id `position`, except while it `is_behind`; of a ticket it shows the
    version `seen`, 0 where that is not known.
    """

    __slots__ = (
        *("_is_chunked", "_streams", "_transport", "_unread"),
        *("address", "others", "page", "position", "seen", "topic", "variant"),
    )

    def __init__(
        self, streams: "Streams", topic: Topic, variant: Variant, place: "Place", address: str
    ) -> None:
        self._streams = streams
        self.address = address
        self.topic = topic
        self.variant = variant
        self.page = place.page
        self.position = place.position
        self.seen = place.seen
        self._unread: Unread | None = None
        # Who else is there as far as the page was told; it may still show what an earlier stream
        # told it.
        self.others: Others | None = None

    def take_over(self, request: web.Request) -> bool:
        """Take the connection from the HTTP server; return whether it is still there."""
        protocol, transport = request.protocol, request.transport
        if transport is None or transport.is_closing():
            return False
        self._is_chunked = request.version >= HttpVersion11
        self._transport = transport
        transport.set_write_buffer_limits(high=BEHIND_MAX_BYTES)
        transport.set_protocol(self)
        # For the HTTP server the browser has gone: it forgets the connection and closes nothing.
        protocol.transport = None
        protocol.connection_lost(None)
        return True

    @property
    def is_behind(self) -> bool:
        """Tell whether the browser has to read what it was sent before it is sent more."""
        return self._unread is not None

    def send(self, data: bytes, chunk: bytes) -> None:
        """Write the same bytes, bare or as a chunk of HTTP/1.1; nothing to one that is behind."""
        if not self.is_behind:
            self._transport.write(chunk if self._is_chunked else data)

    def end(self) -> None:
        """End the response in good order."""
        if self._is_chunked:
            self._transport.write(LAST_CHUNK)
        self._transport.close()

    def let_go(self) -> None:
        """Cut the connection of a browser that does not read."""
        DROPPED.inc()
        abort(self._transport)

    def pause_writing(self) -> None:
        self._unread = Unread(self._transport, self.address, self.let_go)
        self._streams.on_behind(self)

    def resume_writing(self) -> None:
        self._catch_up()
        self._streams.on_caught_up(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._catch_up()
        self._streams.remove(self)

    def _catch_up(self) -> None:
        if self._unread is not None:
            self._unread.end()
            self._unread = None


class EventStream(web.StreamResponse):
    """The response that becomes a stream once the handlers around it have returned."""

    def __init__(self, request: web.Request, stream: Stream, begin: Callable[[], None]) -> None:
        super().__init__(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        self._begin_request = request
        self._stream = stream
        self._begin = begin

    async def write_eof(self, data: bytes = b"") -> None:
        """Begin the stream where the HTTP server would end the response."""
        if self._stream.take_over(self._begin_request):
            self._begin()


def room() -> int:
    """Return how many streams this process may hold open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(STREAMS_MAX, max(files - OTHER_FILES, files // 2))


class Streams:
    """All open streams of a process, by what they hear."""

    def __init__(self) -> None:
        self._groups: dict[Topic, dict[Variant, set[Stream]]] = {}
        self._shares = Shares[Stream]()
        self._report_shares = Shares[ReportTopic]()
        self.on_change: Callable[[Stream], None] = lambda _: None
        self.on_behind: Callable[[Stream], None] = lambda _: None
        self.on_caught_up: Callable[[Stream], None] = lambda _: None

    def require_room(self, topic: Topic, address: str) -> None:
        """Raise HTTPServiceUnavailable where one more would be too many.

        The address that has the most makes room for others: of streams, and of reports.
        """
        is_new = isinstance(topic, ReportTopic) and topic not in self._groups
        if is_new and len(self._report_shares) >= REPORTS_MAX:
            report = self._report_shares.find_spare(address)
            self._make_room(self.of(report) if report else [])
        if len(self._shares) >= room():
            stream = self._shares.find_spare(address)
            self._make_room([stream] if stream else [])

    def _make_room(self, streams: Collection[Stream]) -> None:
        if not streams:
            raise _no_room()
        for stream in streams:
            stream.end()
            self.remove(stream)

    def add(self, stream: Stream) -> None:
        """Let a stream hear what is sent from now on."""
        variants = self._groups.setdefault(stream.topic, {})
        variants.setdefault(stream.variant, set()).add(stream)
        self._shares.add(stream.address, stream)
        if isinstance(stream.topic, ReportTopic):
            self._report_shares.add(stream.address, stream.topic)
        STREAMS.set(len(self._shares))
        self.on_change(stream)

    def remove(self, stream: Stream) -> None:
        """Forget a stream whose connection has gone."""
        variants = self._groups.get(stream.topic, {})
        group = variants.get(stream.variant, set())
        if stream not in group:
            return
        group.remove(stream)
        if not group:
            del variants[stream.variant]
        if not variants:
            del self._groups[stream.topic]
        self._shares.remove(stream.address, stream)
        if isinstance(stream.topic, ReportTopic):
            self._report_shares.remove(stream.address, stream.topic)
        STREAMS.set(len(self._shares))
        self.on_change(stream)

    def topics(self) -> list[Topic]:
        """Return every topic that somebody hears."""
        return list(self._groups)

    def variants(self, topic: Topic) -> list[Variant]:
        """Return the variants in which a topic is heard; none where nobody hears it."""
        return list(self._groups.get(topic, ()))

    def of(self, topic: Topic) -> list[Stream]:
        """Return the streams that hear a topic."""
        groups = self._groups.get(topic, {}).values()
        return [stream for group in groups for stream in group]

    def keeping_up(self, topic: Topic, variant: Variant) -> dict[int, list[Stream]]:
        """Return the streams of a group that can be sent to, by the version that each shows."""
        by_seen: dict[int, list[Stream]] = {}
        for stream in self._groups.get(topic, {}).get(variant, ()):
            if not stream.is_behind:
                by_seen.setdefault(stream.seen, []).append(stream)
        return by_seen

    def send(self, topic: Topic, variant: Variant, text: str) -> None:
        """Send a text to all that hear a topic in a variant."""
        group = self._groups.get(topic, {}).get(variant)
        if group:
            send(list(group), text)

    def end(self) -> None:
        """End all streams; browsers come back, to another process or to the next one."""
        for topic in self.topics():
            for stream in self.of(topic):
                stream.end()


def _no_room() -> web.HTTPServiceUnavailable:
    return web.HTTPServiceUnavailable(headers={"Retry-After": "30"})


def send(streams: Collection[Stream], text: str) -> None:
    """Send a text to streams: encoded once, in one loop of writes that only fill buffers."""
    data = text.encode()
    chunk = b"%x\r\n%b\r\n" % (len(data), data)
    for stream in streams:
        stream.send(data, chunk)


def message(data: str, *, event_id: int | None = None, event: str = "") -> str:
    """Return one server-sent event; without a name htmx swaps its data in."""
    lines = [f"id: {event_id}"] if event_id is not None else []
    if event:
        lines.append(f"event: {event}")
    # Any line end that a reader knows would otherwise end the field.
    lines += [f"data: {line}" for line in _LINE_END.split(data)]
    return "\n".join(lines) + "\n\n"


def comment(text: str) -> str:
    """Return what browsers read and ignore."""
    return f": {text}\n\n"
