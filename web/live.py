"""Tells open pages which tickets changed: RabbitMQ events in, server-sent events out.

One exclusive queue a process. An event's id is the microsecond at which it arrived here, so ids
grow across restarts and agree between processes. A page names the id that it was rendered after;
what is still kept is replayed, and where something may be missing the page hears `stale` and
fetches itself again; while the broker is away it hears `paused`. Says only which ticket changed,
never what is in it.
"""

import asyncio
import json
import logging
import secrets
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aiohttp import web
from prometheus_client import Counter, Gauge
from pydantic import ValidationError

from bus.connection import keep_session
from bus.rpc import reasons
from contracts.messages import Event
from contracts.topology import EXCHANGE_TICKETS, WEB_LIVE_PREFIX

log = logging.getLogger(__name__)

KEPT_EVENTS = 1_000
PING_SECONDS = 15.0
# A browser that is this far behind is let go; it comes back and resumes from its last event id.
BEHIND_MAX_BYTES = 64 * 1024
STREAMS_MAX = 5_000
# How long a browser waits before it connects again.
RETRY_MILLISECONDS = 1_000

STREAMS = Gauge("web_live_streams", "Open streams of live updates.")
DROPPED = Counter("web_live_dropped_total", "Streams let go because they could not keep up.")


@dataclass(frozen=True)
class Change:
    """One event as it is sent; `ticket_id` None concerns every page."""

    id: int
    ticket_id: int | None
    frame: bytes


@dataclass(eq=False)
class Stream:
    """One browser's open response; with `ticket_id` it hears of that ticket only."""

    request: web.Request
    response: web.StreamResponse
    ticket_id: int | None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def wants(self, change: Change) -> bool:
        return self.ticket_id is None or change.ticket_id in (None, self.ticket_id)


class Live:
    """The events that are kept and the streams that hear them."""

    def __init__(self) -> None:
        self._kept: deque[Change] = deque(maxlen=KEPT_EVENTS)
        self._last_id = _now_us()
        # Everything after this id is in `_kept`.
        self._complete_since = self._last_id
        self._streams: set[Stream] = set()
        self.is_connected = False

    @property
    def position(self) -> int:
        """Return the id after which a page that is rendered now has to hear everything."""
        return max(self._last_id, _now_us() - 1)

    async def run(self, url: str) -> None:
        """Consume events until cancelled."""
        await keep_session(url, "web live", self._session)

    async def ping(self) -> None:
        """Keep proxies from closing quiet streams, and notice browsers that are gone."""
        while True:
            await asyncio.sleep(PING_SECONDS)
            await self._send(list(self._streams), b": ping\n\n")

    async def serve(
        self, request: web.Request, since: int, ticket_id: int | None
    ) -> web.StreamResponse:
        """Stream the changes after id `since` until the browser goes or the process stops."""
        if len(self._streams) >= STREAMS_MAX:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "30"})
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        await response.prepare(request)
        stream = Stream(request, response, ticket_id)
        # Nothing is awaited from here to `add`, so no event falls between replay and stream.
        first = self._missed(stream, since)
        self._streams.add(stream)
        STREAMS.set(len(self._streams))
        await self._send([stream], first)
        await stream.ended.wait()
        return response

    def close(self) -> None:
        """End all streams; browsers come back, to another process or to the next one."""
        for stream in list(self._streams):
            self._drop(stream)

    async def _session(self, channel: AbstractChannel) -> None:
        queue = await channel.declare_queue(
            WEB_LIVE_PREFIX + secrets.token_hex(8), exclusive=True, auto_delete=True
        )
        await queue.bind(EXCHANGE_TICKETS, "#")
        await queue.consume(self._on_event, no_ack=True)
        # What happened while there was no queue is unknown: every page fetches itself again.
        self._kept.clear()
        await self._tell(None, "stale", {})
        self._complete_since = self._last_id
        self.is_connected = True
        try:
            await channel.closed()
        finally:
            self.is_connected = False
            await self._tell(None, "paused", {})

    async def _on_event(self, message: AbstractIncomingMessage) -> None:
        try:
            event = Event.model_validate_json(message.body)
        except ValidationError as error:
            log.error("event %s cannot be understood: %s", message.routing_key, reasons(error))
            return
        ticket = event.ticket
        data = {"id": ticket.id, "version": ticket.version, "what": message.routing_key}
        await self._tell(ticket.id, "ticket", data)

    async def _tell(self, ticket_id: int | None, name: str, data: Mapping[str, object]) -> None:
        self._last_id = max(self._last_id + 1, _now_us())
        if len(self._kept) == KEPT_EVENTS:
            self._complete_since = self._kept[0].id
        change = Change(self._last_id, ticket_id, _frame(self._last_id, name, data))
        self._kept.append(change)
        await self._send([s for s in self._streams if s.wants(change)], change.frame)

    def _missed(self, stream: Stream, since: int) -> bytes:
        # The comment makes the first bytes go out, so that the browser knows it is connected.
        start = f": connected\nretry: {RETRY_MILLISECONDS}\n\n".encode()
        if not self.is_connected:
            return start + _frame(self._last_id, "paused", {})
        if since < self._complete_since:
            return start + _frame(self._last_id, "stale", {})
        return start + b"".join(c.frame for c in self._kept if c.id > since and stream.wants(c))

    async def _send(self, streams: list[Stream], frame: bytes) -> None:
        # One loop of writes: they only fill buffers, since whoever has a full one is dropped.
        for stream in streams:
            transport = stream.request.transport
            if transport is None or transport.is_closing():
                self._drop(stream)
            elif transport.get_write_buffer_size() > BEHIND_MAX_BYTES:
                DROPPED.inc()
                self._drop(stream)
                transport.abort()
            else:
                try:
                    await stream.response.write(frame)
                except ConnectionError:
                    self._drop(stream)

    def _drop(self, stream: Stream) -> None:
        self._streams.discard(stream)
        STREAMS.set(len(self._streams))
        stream.ended.set()


def _now_us() -> int:
    return time.time_ns() // 1_000


def _frame(event_id: int, name: str, data: Mapping[str, object]) -> bytes:
    return f"id: {event_id}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()
