"""Which part of a long thread or history a page shows: the last of it, and within a weight.

People read the end of a thread; what is earlier is behind a link. A page weighs about the same
whatever was written on it, so items count, and so do bytes. Renders and loads nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from contracts.rest import History, HistoryItem, Message, Messages
from web.filters import with_links

# A screen shows five messages; a thread of more than fifty is one in thousands.
THREAD_ITEMS = 50
THREAD_BYTES = 70_000
HISTORY_ITEMS = 20
HISTORY_BYTES = 30_000

ItemT = TypeVar("ItemT", Message, HistoryItem)


@dataclass(frozen=True)
class Part:
    """What is shown, oldest first, and before what the rest was; None where there is no rest."""

    messages: Sequence[Message] = ()
    history: Sequence[HistoryItem] = ()
    earlier_message: int | None = None
    earlier_version: int | None = None


def part_of(messages: Messages | None = None, history: History | None = None) -> Part:
    """Return what a page shows of what the ticket service gave."""
    said = messages.items if messages else []
    done = history.items if history else []
    shown = _newest(said, lambda message: message.body, THREAD_ITEMS, THREAD_BYTES)
    items = _newest(done, lambda item: item.before or "", HISTORY_ITEMS, HISTORY_BYTES)
    is_more_said = len(shown) < len(said) or bool(messages and messages.earlier)
    is_more_done = len(items) < len(done) or bool(history and history.earlier)
    return Part(
        shown,
        items,
        shown[0].id if is_more_said else None,
        items[0].version if is_more_done else None,
    )


def _newest(
    items: Sequence[ItemT], text_of: Callable[[ItemT], str], max_items: int, max_bytes: int
) -> Sequence[ItemT]:
    n = size = 0
    for item in reversed(items[-max_items:]):
        # As it comes over the wire: some signs take three bytes, some five as an entity, and an
        # address comes twice.
        size += len(with_links(text_of(item)).encode())
        if n and size > max_bytes:
            break
        n += 1
    return items[len(items) - n :]
