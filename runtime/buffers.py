"""Bytes that a process keeps for its callers: of requests that are not whole yet, and of answers
that nobody reads. Bounded for each caller and in all, whoever they are.

Whoever has kept them longest goes first, so that many people behind one address lose nothing to
the one among them who sends or reads slowly on purpose.
"""

import asyncio
import ctypes
import socket
import struct
from collections import Counter as Sums
from collections.abc import Callable
from typing import Protocol

from prometheus_client import Counter, Gauge

# A caller is an address, and a campus may have one: some hundred answers on their way at once.
CALLER_MAX_BYTES = 8 * 1024 * 1024
TOTAL_MAX_BYTES = 64 * 1024 * 1024
# In each span of this length a reader has to take this much, or the rest: 1 kB/s, which the slowest
# mobile line does.
READ_SECONDS = 30.0
READ_MIN_BYTES = 30_000

# What the kernel keeps for one reader; it doubles it. Unbounded, it takes 3.5 MB.
SEND_BUFFER_BYTES = 64 * 1024

# From this size on a block of memory goes back to the system when it is free. glibc moves the limit
# up to the largest block that it has seen, and keeps the holes between smaller ones: 60 dropped
# answers of 3 MB left 110 MB behind, 6 MB so.
M_MMAP_THRESHOLD = -3
MMAP_THRESHOLD_BYTES = 128 * 1024

CUT = Counter("http_cut_total", "Connections cut for what they made this process keep.", ["why"])
KEPT = Gauge("http_kept_bytes", "Bytes of requests not whole yet and of answers not read.")


def give_memory_back() -> None:
    """Let large blocks of memory go back to the system, where its C library knows how."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):  # glibc's, not musl's
        library.mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)


def limit_kernel(connection: socket.socket) -> None:
    """Bound what the kernel keeps for a reader, and how long it waits for one who takes nothing."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    milliseconds = round(READ_SECONDS * 1_000)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def abort(transport: asyncio.WriteTransport) -> None:
    """End a connection at once, with what the kernel keeps for it too."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Holder(Protocol):
    """What bytes are kept for."""

    def cut(self) -> None:
        """End the connection, and forget its bytes here."""


class Buffers:
    """How much is kept for whom; the longest first."""

    def __init__(self) -> None:
        self._holders: dict[str, dict[Holder, int]] = {}
        self._callers: dict[Holder, str] = {}
        self._sums: Sums[str] = Sums()
        self.total = 0

    def keep(self, holder: Holder, caller: str, size: int) -> None:
        """Note that `size` bytes are kept now; cut who has kept theirs longest if it is too much.

        The last one of a caller is never cut: an answer may be larger than all that is allowed.
        """
        if self._callers.get(holder, caller) != caller:
            self.drop(holder)
        self._callers[holder] = caller
        held = self._holders.setdefault(caller, {})
        self._add(caller, size - held.get(holder, 0))
        held[holder] = size
        while self._sums[caller] > CALLER_MAX_BYTES and len(held) > 1:
            self._cut_longest(caller, "caller")
        while self.total > TOTAL_MAX_BYTES and self.total > size:
            self._cut_longest(max(self._sums, key=self._sums.__getitem__), "total")

    def drop(self, holder: Holder) -> None:
        """Note that nothing is kept for it any more."""
        caller = self._callers.pop(holder, None)
        if caller is None:
            return
        held = self._holders[caller]
        self._add(caller, -held.pop(holder))
        if not held:
            del self._holders[caller], self._sums[caller]

    def _add(self, caller: str, size: int) -> None:
        self._sums[caller] += size
        self.total += size
        KEPT.set(self.total)

    def _cut_longest(self, caller: str, why: str) -> None:
        holder = next(iter(self._holders[caller]))
        CUT.labels(why).inc()
        holder.cut()
        self.drop(holder)


BUFFERS = Buffers()


class Unread:
    """What a caller has not read, from when the kernel takes no more of it until all is taken.

    `cut` ends the connection, which happens where it is read too slowly or others need the room.
    """

    __slots__ = ("_caller", "_cut", "_left", "_timer", "_transport")

    def __init__(
        self, transport: asyncio.WriteTransport, caller: str, cut: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._caller = caller
        self._cut = cut
        self._note()

    def end(self) -> None:
        """Forget it: it was read, or the connection has gone."""
        self._timer.cancel()
        BUFFERS.drop(self)

    def cut(self) -> None:
        """End the connection."""
        self.end()
        self._cut()

    def _note(self) -> None:
        self._left = self._transport.get_write_buffer_size()
        self._timer = asyncio.get_running_loop().call_later(READ_SECONDS, self._look)
        BUFFERS.keep(self, self._caller, self._left)

    def _look(self) -> None:
        # What was written meanwhile hides what was read; whoever writes waits for the reader soon.
        read = self._left - self._transport.get_write_buffer_size()
        if 0 <= read < READ_MIN_BYTES:
            CUT.labels("unread").inc()
            self.cut()
        else:
            self._note()
