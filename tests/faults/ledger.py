"""What was sent and what was promised: the other side of the books, kept by the callers alone."""

import time
from dataclasses import dataclass, field
from enum import Enum, auto


class Kind(Enum):
    """What a write does."""

    TICKET = auto()
    MESSAGE = auto()
    EDIT = auto()
    STEP = auto()
    CATEGORY = auto()


class Fate(Enum):
    """What a caller knows about a write."""

    UNKNOWN = auto()  # sent, and no answer came: done once or not at all
    ACKNOWLEDGED = auto()  # done exactly once
    REFUSED = auto()  # not done


@dataclass
class Write:
    """One thing that somebody wanted; `value` is a text that nobody else sends, a status, or a
    category.
    """

    kind: Kind
    role: str
    value: str
    ticket_id: int | None = None
    fate: Fate = Fate.UNKNOWN


@dataclass(frozen=True)
class Attempt:
    """One request: when it began and ended on the monotonic clock, where it went, how it ended."""

    channel: str
    began: float
    ended: float
    ok: bool


@dataclass
class Ledger:
    """Every write and every attempt of a run."""

    writes: list[Write] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)

    def open(self, kind: Kind, role: str, value: str, ticket_id: int | None = None) -> Write:
        """Note what is about to be sent."""
        write = Write(kind, role, value, ticket_id)
        self.writes.append(write)
        return write

    def count(self, channel: str, began: float, status: int) -> None:
        """Note how a request ended; 0 is no answer."""
        ok = 0 < status < 500
        self.attempts.append(Attempt(channel, began, time.monotonic(), ok))

    def of(self, kind: Kind, fate: Fate) -> list[Write]:
        """Return the writes of a kind with a fate."""
        return [write for write in self.writes if write.kind is kind and write.fate is fate]
