"""Keeps open pages current: RabbitMQ events in, fragments of pages out as server-sent events.

One exclusive queue a process. An event's id is the microsecond at which it arrived here, so ids
grow across restarts and agree between processes. A page names the id that it was rendered after,
and a ticket's page its version; it is sent what has changed since. Where that is too much, a list
hears `stale` and offers to fetch itself, and a ticket hears `behind` and loads itself; while the
broker is away or takes no messages all hear `paused`. Each fragment is rendered once for each
variant and version, however many browsers get it, and nothing is sent to one that has not read
what it was sent before.
"""

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aiohttp import web
from pydantic import ValidationError

from bus.connection import end, keep_session, require_right_to_publish, stay_able_to_publish
from bus.link import Link
from bus.rpc import RpcError, reasons
from bus.signatures import Forged, Keys, check_event
from contracts.messages import Event
from contracts.rest import Ticket
from contracts.topology import EXCHANGE_TICKETS, WEB_LIVE_PREFIX
from contracts.vocabulary import Status
from web.change import Change
from web.event_clock import EventClock
from web.forwarded import client_network
from web.fragments import Fragments
from web.streams import EventStream, Place, Stream, Streams, comment, message, send
from web.ticket_api import ApiError, Unavailable
from web.topics import LIST, Topic
from web.variant import Variant

log = logging.getLogger(__name__)

KEPT_TICKETS = 1_000
# A list that missed more rows is better fetched, compressed and as it is now.
MISSED_ROWS_MAX = 30
PING_SECONDS = 15.0
# How long a browser waits at first before it connects again; live.js lets the pauses grow.
RETRY_MILLISECONDS = 2_000
# After a lost broker every open page is loaded anew: few at a time, beside people's requests.
LOADS_AT_ONCE = 4
LOAD_AGAIN_SECONDS = 2.0


@dataclass(eq=False)
class Watch:
    """How often a topic has still to be looked at, and what it was like the last time.

    `drawn` is kept for topics of which a crowd comes back at once, as after a restart. What was
    seen was last sent at the event id `sent_at`.
    """

    looks: int = 0
    digest: object = None
    drawn: dict[Variant, str] = field(default_factory=dict)
    sent_at: int = 0
    task: "asyncio.Task[None] | None" = None


class Live:
    """The changes that are kept, the streams that hear of them, and what loads the rest."""

    def __init__(self, fragments: Fragments, clock: EventClock, keys: Keys) -> None:
        self._fragments = fragments
        self._keys = keys
        self.clock = clock
        self._kept: OrderedDict[int, Change] = OrderedDict()
        # Everything after this id is in `_kept`.
        self._complete_since = clock.position
        self.streams = Streams()
        self.streams.on_behind = self._note_behind
        self.streams.on_caught_up = self._make_up
        self._watches: dict[Topic, Watch] = {}
        self._loads = asyncio.Semaphore(LOADS_AT_ONCE)
        self.link = Link()
        self.is_connected = False

    async def run(self, url: str) -> None:
        """Consume events until cancelled."""
        try:
            await keep_session(url, "web live", self._session, self.link)
        finally:
            await end(*(watch.task for watch in self._watches.values() if watch.task))

    async def ping(self) -> None:
        """Say that all is well: proxies close quiet streams, and a page shows how fresh it is."""
        while True:
            await asyncio.sleep(PING_SECONDS)
            for topic in self.streams.topics():
                for variant in self.streams.variants(topic):
                    self.streams.send(topic, variant, self._ping(topic, variant))
            heard = set(self.streams.topics())
            self._watches = {t: w for t, w in self._watches.items() if t in heard or w.task}

    def serve(
        self, request: web.Request, topic: Topic, variant: Variant, place: Place
    ) -> web.StreamResponse:
        """Return the stream of what happens to a topic after the place where a page stands.

        Raises HTTPServiceUnavailable.
        """
        address = client_network(request)
        self.streams.require_room(topic, address)
        stream = Stream(self.streams, topic, variant, place, address)
        return EventStream(request, stream, lambda: self._begin(stream, is_back=place.is_back))

    def close(self) -> None:
        """End all streams; browsers come back, to another process or to the next one."""
        self.streams.end()

    def _begin(self, stream: Stream, *, is_back: bool) -> None:
        watch = self._watches.get(stream.topic)
        if watch and not watch.task and not self.streams.variants(stream.topic):
            # Nobody has looked at it since the last one went.
            del self._watches[stream.topic]
        self.streams.add(stream)
        send([stream], f"retry: {RETRY_MILLISECONDS}\n")
        self._catch_up(stream, is_back=is_back)

    def _note_behind(self, stream: Stream) -> None:
        # All that was sent so far it will have read when it goes on.
        stream.position = self.clock.position

    def _make_up(self, stream: Stream) -> None:
        """Let a stream that was behind have what was not sent to it."""
        self._catch_up(stream, is_back=False)
        stream.others = None
        self.streams.on_change(stream)

    def _catch_up(self, stream: Stream, *, is_back: bool) -> None:
        topic, variant, since = stream.topic, stream.variant, stream.position
        watch = self._watches.get(topic)
        missed = [c for c in self._kept.values() if self._is_missed(c, stream)]
        is_gap = since < self._complete_since
        if not self.is_connected:
            text = message("", event="paused")
        elif topic == LIST and (is_gap or len(missed) > MISSED_ROWS_MAX):
            text = message("", event="stale", event_id=self.clock.position)
        else:
            rows = missed if topic == LIST else ()
            text = "".join(change.text(self._fragments, variant) for change in rows)
            text += self._ping(topic, variant)
        # A position may come from a process that heard an event sooner; a version is a version.
        is_unsure = is_back and not stream.seen
        if missed or is_unsure or is_gap or (watch and watch.sent_at > since):
            if self.is_connected and watch and not watch.task and variant in watch.drawn:
                text += message(watch.drawn[variant])
            else:
                self._look(topic, is_missed=True)
        send([stream], text)

    def _is_missed(self, change: Change, stream: Stream) -> bool:
        if not stream.topic.is_concerned(change.ticket.id):
            return False
        if stream.seen:
            return change.ticket.version > stream.seen
        return change.id_for(stream.variant) > stream.position

    async def _session(self, channel: AbstractChannel) -> None:
        await require_right_to_publish(channel)
        queue = await channel.declare_queue(
            WEB_LIVE_PREFIX + secrets.token_hex(8), exclusive=True, auto_delete=True
        )
        await queue.bind(EXCHANGE_TICKETS, "#")
        await queue.consume(self._on_event, no_ack=True)
        # What happened while there was no queue is unknown.
        self._kept.clear()
        self._complete_since = self.clock.next_id()
        self.is_connected = True
        self._tell(LIST, "stale")
        for topic in self.streams.topics():
            self._look(topic, is_missed=True)
        try:
            await stay_able_to_publish(channel)
        finally:
            self.is_connected = False
            for topic in self.streams.topics():
                self._tell(topic, "paused")

    async def _on_event(self, received: AbstractIncomingMessage) -> None:
        try:
            check_event("web", self._keys, received, received.body)
            event = Event.model_validate_json(received.body)
        except (Forged, ValidationError) as error:
            reason = reasons(error) if isinstance(error, ValidationError) else error
            log.error("event %s cannot be understood: %s", received.routing_key, reason)
            return
        self.hear(event.ticket)

    def hear(self, ticket: Ticket) -> None:
        """Keep what an event says and send it on; what is older than what is known is dropped."""
        known = self._kept.pop(ticket.id, None)
        if known and known.ticket.version >= ticket.version:
            # It came late; users may not read any more what it says.
            self._kept[ticket.id] = known
            return
        event_id = self.clock.next_id()
        was_closed = known and known.ticket.status is Status.CLOSED
        id_for_users = known.id_for_users if known and was_closed else event_id
        change = self._kept[ticket.id] = Change(event_id, ticket, id_for_users)
        if len(self._kept) > KEPT_TICKETS:
            _, oldest = self._kept.popitem(last=False)
            self._complete_since = oldest.id
        for variant in self.streams.variants(LIST):
            if change.id_for(variant) != event_id:
                continue
            text = change.text(self._fragments, variant) + self._ping(LIST, variant)
            self.streams.send(LIST, variant, text)
        for topic in self.streams.topics():
            if topic.is_concerned(ticket.id):
                self._look(topic)

    def _look(self, topic: Topic, *, is_missed: bool = False) -> None:
        """Have a topic looked at soon; where something `is_missed`, it is sent in any case."""
        watch = self._watches.setdefault(topic, Watch())
        watch.looks = topic.LOOKS
        if is_missed:
            watch.digest = None
        if watch.task is None:
            watch.task = asyncio.create_task(self._keep_looking(topic, watch))

    async def _keep_looking(self, topic: Topic, watch: Watch) -> None:
        try:
            while watch.looks and (variants := self.streams.variants(topic)):
                watch.looks -= 1
                pause_s = topic.PAUSE_SECONDS
                try:
                    async with self._loads:
                        await self._show(topic, watch, variants)
                except (Unavailable, RpcError) as error:
                    log.warning("%s is looked at again: %s", topic, error or type(error).__name__)
                    watch.looks, pause_s = max(watch.looks, 1), LOAD_AGAIN_SECONDS
                except (ApiError, ValidationError) as error:
                    log.warning("%s cannot be shown: %s", topic, error)
                await asyncio.sleep(pause_s)
        except Exception:
            log.exception("%s cannot be shown", topic)
        finally:
            watch.task = None

    async def _show(self, topic: Topic, watch: Watch, variants: Collection[Variant]) -> None:
        position = self.clock.position
        state = await topic.load(self._fragments, variants)
        if state.digest == watch.digest:
            return
        watch.digest = state.digest
        watch.drawn.clear()
        for variant in variants:
            version = state.version(variant)
            for seen, streams in self.streams.keeping_up(topic, variant).items():
                if version and seen >= version:
                    continue
                html = state.draw(variant, seen)
                if html is None:
                    text = message("", event="behind")
                else:
                    if topic.IS_KEPT:
                        watch.drawn[variant] = html
                    html += self._fragments.freshness(variant)
                    text = message(html, event_id=position)
                for stream in streams:
                    stream.seen = version
                send(streams, text)
        watch.sent_at = self.clock.position

    def _ping(self, topic: Topic, variant: Variant) -> str:
        if not self.is_connected:
            return comment("ping")
        watch = self._watches.get(topic)
        # Who comes back after this id would not be told what is being loaded now.
        is_known = watch is None or watch.task is None or topic == LIST
        position = self.clock.position if is_known else None
        return message(self._fragments.freshness(variant), event_id=position)

    def _tell(self, topic: Topic, event: str) -> None:
        for variant in self.streams.variants(topic):
            self.streams.send(topic, variant, message("", event=event))


LIVE = web.AppKey("live", Live)
