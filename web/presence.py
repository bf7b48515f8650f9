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
from contracts.messages import PRESENCE_TICKETS_MAX, Typing
from contracts.messages import Presence as Said
from contracts.topology import EXCHANGE_PRESENCE, WEB_LIVE_PREFIX
from contracts.vocabulary import Role
from web.fragments import Fragments, Others
from web.streams import Stream, Streams, message, send
from web.topics import TicketTopic
from web.variant import Variant

log = logging.getLogger(__name__)

# Longer than the pause between two reports of a page in which somebody types (app.js).
TYPING_SECONDS = 6.0
# Each of two is told of the other, and everybody else of both; a third changes nothing.
TYPISTS_OF_A_ROLE = 2
# A page that types on is told of again after this much, however often it says so.
RETELL_SECONDS = 1.0
# Web processes that are remembered beside this one: far more than run.
PROCESSES_MAX = 100
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
        # Tickets whose streams have to be told; whether processes may have, and whether one has not
        # been told anything yet.
        self._changed: set[int] = set()
        self._is_to_tell = asyncio.Event()
        self._is_unknown = False
        streams.on_change = self._note

    @property
    def is_connected(self) -> bool:
        """Tell whether other processes are heard."""
        return self._exchange is not None

    async def run(self, url: str) -> None:
        """Tell and hear until cancelled."""
        await keep_session(url, "web presence", self._session)

    async def tell_typing(self, ticket_id: int, page: str, role: Role) -> None:
        """Tell every process, this one too, that somebody types in a page of a ticket.

        Nothing is told that they know, or that would change nothing.
        """
        typing = Typing(ticket=ticket_id, page=page, role=role)
        known = self._typing.get(ticket_id, {}).get(page)
        if known and known.until > _now() + TYPING_SECONDS - RETELL_SECONDS:
            return
        if known is None and not self._has_room(typing):
            return
        await self._tell(Said(process=self._process, typing=typing))

    async def _session(self, channel: AbstractChannel) -> None:
        queue = await channel.declare_queue(
            WEB_LIVE_PREFIX + secrets.token_hex(8), exclusive=True, auto_delete=True
        )
        await queue.bind(EXCHANGE_PRESENCE)
        await queue.consume(self._on_message, no_ack=True)
        self._exchange = await channel.get_exchange(EXCHANGE_PRESENCE, ensure=False)
        self._is_unknown = True
        self._is_to_tell.set()
        told_at, told = 0.0, Counter[int]()
        try:
            while not channel.is_closed:
                with suppress(TimeoutError):
                    async with asyncio.timeout(SWEEP_SECONDS):
                        await self._is_to_tell.wait()
                    await asyncio.sleep(SETTLE_SECONDS)
                is_due = _now() > told_at + TELL_SECONDS
                if is_due or self._is_to_tell.is_set():
                    self._is_to_tell.clear()
                    open_here = self._open_here()
                    if is_due or self._is_unknown or open_here != told:
                        self._is_unknown = False
                        told_at, told = _now(), open_here
                        first = open_here.most_common(PRESENCE_TICKETS_MAX)
                        await self._tell(Said(process=self._process, open=dict(first)))
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
            self._hear_of(said.process, Counter(said.open))
        typing = said.typing
        if typing and self._streams.variants(TicketTopic(typing.ticket)):
            self._hear_typing(typing)

    def _hear_of(self, process: str, opened: Counter[int]) -> None:
        """Remember what another process has open."""
        known = self._elsewhere.get(process)
        if known is None:
            if len(self._elsewhere) >= PROCESSES_MAX:
                return
            # It has just started, and does not know of us.
            self._is_unknown = True
            self._is_to_tell.set()
        was = known.open if known else Counter()
        self._elsewhere[process] = Elsewhere(opened, _now() + OPEN_SECONDS)
        self._changed |= {ticket for ticket in was | opened if was[ticket] != opened[ticket]}
        self._sweep()

    def _hear_typing(self, typing: Typing) -> None:
        """Remember who types; only who was not known changes what is shown."""
        known = self._typing.get(typing.ticket, {}).get(typing.page)
        if known is None and not self._has_room(typing):
            return
        typist = Typist(typing.role, _now() + TYPING_SECONDS)
        self._typing.setdefault(typing.ticket, {})[typing.page] = typist
        if known is None or known.role is not typing.role:
            self._show(typing.ticket)

    def _has_room(self, typing: Typing) -> bool:
        typists = self._typing.get(typing.ticket, {}).values()
        return sum(one.role is typing.role for one in typists) < TYPISTS_OF_A_ROLE

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
        roles = frozenset(typist.role for typist in typists.values())
        for stream in streams:
            typing = roles
            if stream.page in typists:  # which is not told of itself
                typing = frozenset(t.role for page, t in typists.items() if page != stream.page)
            others = Others(typing, is_open=windows > 1 and stream.variant.role is Role.HELPDESK)
            if others != stream.others and not stream.is_behind:
                stream.others = others
                told[stream.variant, others].append(stream)
        for (variant, others), group in told.items():
            send(group, message(self._fragments.presence(others, variant)))


def _now() -> float:
    return time.monotonic()


PRESENCE = web.AppKey("presence", Presence)
