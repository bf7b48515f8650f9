"""Who else is at a ticket, without names: somebody types, or another helpdesk window shows it.

Processes tell each other over a fanout exchange, with messages that may be lost: what is not said
again is forgotten within seconds. While the broker is away nobody is told anything new.
"""

import asyncio
import logging
import secrets
import time
from collections import Counter, defaultdict
from contextlib import suppress
from typing import NamedTuple

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage
from aiohttp import web
from pydantic import ValidationError

from bus.connection import CONFIRM_SECONDS, is_lost, keep_session
from bus.rpc import reasons
from contracts.messages import Presence as Said
from contracts.messages import Typing
from contracts.topology import EXCHANGE_PRESENCE, WEB_LIVE_PREFIX
from contracts.vocabulary import Role
from web.fragments import Fragments, Others
from web.streams import Stream, Streams, message, send
from web.topics import TicketTopic
from web.variant import Variant

log = logging.getLogger(__name__)

# Longer than the pause between two reports of a page in which somebody types (app.js).
TYPING_SECONDS = 6.0
# How soon what is over is noticed.
SWEEP_SECONDS = 1.0
# Between two lists of what a process has open, and how long its last one counts.
TELL_SECONDS = 10.0
OPEN_SECONDS = 25.0
# A window that is loaded anew closes and opens.
SETTLE_SECONDS = 0.3


class Typist(NamedTuple):
    """Whose page it is in which somebody types, and until when that counts."""

    role: Role
    until: float


class Elsewhere(NamedTuple):
    """Which tickets helpdesk has open in another process, and until when that counts."""

    open: Counter[int]
    until: float


class Presence:
    """What this process knows of who is where, and tells the streams of tickets."""

    def __init__(self, streams: Streams, fragments: Fragments) -> None:
        self._streams = streams
        self._fragments = fragments
        self._process = secrets.token_hex(8)
        self._exchange: AbstractExchange | None = None
        self._elsewhere: dict[str, Elsewhere] = {}
        self._typing: dict[int, dict[str, Typist]] = {}
        # Tickets whose streams have to be told, and whether processes have.
        self._changed: set[int] = set()
        self._is_to_tell = asyncio.Event()
        streams.on_change = self._note

    @property
    def is_connected(self) -> bool:
        """Tell whether other processes are heard."""
        return self._exchange is not None

    async def run(self, url: str) -> None:
        """Tell and hear until cancelled."""
        await keep_session(url, "web presence", self._session)

    async def tell_typing(self, ticket_id: int, page: str, role: Role) -> None:
        """Tell every process, this one too, that somebody types in a page of a ticket."""
        typing = Typing(ticket=ticket_id, page=page, role=role)
        await self._tell(Said(process=self._process, typing=typing))

    async def _session(self, channel: AbstractChannel) -> None:
        queue = await channel.declare_queue(
            WEB_LIVE_PREFIX + secrets.token_hex(8), exclusive=True, auto_delete=True
        )
        await queue.bind(EXCHANGE_PRESENCE)
        await queue.consume(self._on_message, no_ack=True)
        self._exchange = await channel.get_exchange(EXCHANGE_PRESENCE, ensure=False)
        self._is_to_tell.set()
        told_at = 0.0
        try:
            while not channel.is_closed:
                with suppress(TimeoutError):
                    async with asyncio.timeout(SWEEP_SECONDS):
                        await self._is_to_tell.wait()
                    await asyncio.sleep(SETTLE_SECONDS)
                if self._is_to_tell.is_set() or _now() > told_at + TELL_SECONDS:
                    self._is_to_tell.clear()
                    told_at = _now()
                    await self._tell(Said(process=self._process, open=dict(self._open_here())))
                self._sweep()
        finally:
            self._exchange = None
            self._changed |= self._typing.keys()
            self._typing.clear()
            for process in list(self._elsewhere):
                self._forget(process)
            self._sweep()

    async def _on_message(self, received: AbstractIncomingMessage) -> None:
        try:
            said = Said.model_validate_json(received.body)
        except ValidationError as error:
            log.error("presence cannot be understood: %s", reasons(error))
            return
        if said.open is not None and said.process != self._process:
            if said.process in self._elsewhere:
                self._forget(said.process)
            else:
                self._is_to_tell.set()  # it has just started, and does not know of us
            self._elsewhere[said.process] = Elsewhere(Counter(said.open), _now() + OPEN_SECONDS)
            self._changed |= said.open.keys()
            self._sweep()
        typing = said.typing
        if typing and self._streams.variants(TicketTopic(typing.ticket)):
            typist = Typist(typing.role, _now() + TYPING_SECONDS)
            self._typing.setdefault(typing.ticket, {})[typing.page] = typist
            self._show(typing.ticket)

    async def _tell(self, said: Said) -> None:
        if self._exchange is None:
            return
        body = said.model_dump_json(exclude_none=True).encode()
        try:
            await self._exchange.publish(
                Message(
                    body,
                    content_type="application/json",
                    type="presence",
                    delivery_mode=DeliveryMode.NOT_PERSISTENT,
                ),
                routing_key="",
                mandatory=False,
                timeout=CONFIRM_SECONDS,
            )
        except (Exception, asyncio.CancelledError) as error:
            if not is_lost(error):
                raise

    def _note(self, stream: Stream) -> None:
        if isinstance(stream.topic, TicketTopic):
            self._changed.add(stream.topic.ticket_id)
            self._is_to_tell.set()

    def _open_here(self) -> Counter[int]:
        return Counter(
            topic.ticket_id
            for topic in self._streams.topics()
            if isinstance(topic, TicketTopic)
            for stream in self._streams.of(topic)
            if stream.variant.role is Role.HELPDESK
        )

    def _sweep(self) -> None:
        """Forget what is over, and show what has changed."""
        now = _now()
        for process, other in list(self._elsewhere.items()):
            if other.until <= now:
                self._forget(process)
        changed, self._changed = self._changed, set()
        for ticket_id in changed:
            self._show(ticket_id)

    def _forget(self, process: str) -> None:
        self._changed |= self._elsewhere.pop(process).open.keys()

    def _show(self, ticket_id: int) -> None:
        now = _now()
        typists = self._typing.pop(ticket_id, {})
        typists = {page: typist for page, typist in typists.items() if typist.until > now}
        if typists:
            self._typing[ticket_id] = typists
            self._changed.add(ticket_id)  # they will stop
        streams = self._streams.of(TicketTopic(ticket_id))
        windows = sum(stream.variant.role is Role.HELPDESK for stream in streams)
        windows += sum(other.open[ticket_id] for other in self._elsewhere.values())
        told: defaultdict[tuple[Variant, Others], list[Stream]] = defaultdict(list)
        for stream in streams:
            others = Others(
                typing=frozenset(t.role for page, t in typists.items() if page != stream.page),
                is_open=windows > 1 and stream.variant.role is Role.HELPDESK,
            )
            if others != stream.others and not stream.is_behind:
                stream.others = others
                told[stream.variant, others].append(stream)
        for (variant, others), group in told.items():
            send(group, message(self._fragments.presence(others, variant)))


def _now() -> float:
    return time.monotonic()


PRESENCE = web.AppKey("presence", Presence)
