"""What goes wrong, when, and how long callers feel it."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from statistics import median

from tests.faults.ledger import Attempt
from tests.faults.rig import CABLES, SERVERS, SERVICES, Rig

PAUSE_MIN_SECONDS, PAUSE_MAX_SECONDS = 10.0, 30.0
CUT_MAX_SECONDS = 2.0
LOST_ANSWERS = 20
DISK_FULL_SECONDS = 6.0
# Between the begins of two faults; what the first one broke may still be broken then.
GAP_MIN_SECONDS, GAP_MAX_SECONDS = 1.0, 8.0

Deed = Callable[[Rig], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """One thing that went wrong, and when, on the monotonic clock."""

    kind: str
    began: float


@dataclass(frozen=True)
class Felt:
    """What callers felt of all faults of a kind; times in seconds from a fault's begin."""

    kind: str
    times: int
    failed: int
    requests: int
    median_s: float
    worst_s: float


def deck(chance: random.Random) -> list[tuple[str, Deed]]:
    """Return one of everything, shuffled; the two longest kinds hit one part each."""
    cards: list[tuple[str, Deed]] = [
        (f"kill {name}", partial(_kill, name)) for name in (*SERVICES, *SERVERS)
    ]
    for cable in CABLES:
        seconds = chance.uniform(0, CUT_MAX_SECONDS)
        cards += [
            (f"cut {cable}", partial(Rig.cut, cable=cable, seconds=seconds)),
            (
                f"lose answers of {cable}",
                partial(Rig.lose_answers, cable=cable, answers=LOST_ANSWERS),
            ),
        ]
    for _ in range(2):
        name = chance.choice((*SERVICES, *SERVERS))
        seconds = chance.uniform(PAUSE_MIN_SECONDS, PAUSE_MAX_SECONDS)
        cards.append((f"pause {name}", partial(_pause, name, seconds)))
    cards += [
        ("disk full", partial(Rig.fill_disk, seconds=DISK_FULL_SECONDS)),
        ("rebuild", Rig.rebuild),
        ("kill everything", _kill_all),
    ]
    chance.shuffle(cards)
    return cards


async def wreck(rig: Rig, seconds: float, seed: int, faults: list[Fault]) -> None:
    """Deal one deck after the other for `seconds`; return once the last fault is over."""
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    running: set[asyncio.Future[None]] = set()
    cards: list[tuple[str, Deed]] = []
    while time.monotonic() < end:
        cards = cards or deck(chance)
        kind, deed = cards.pop()
        faults.append(Fault(kind, time.monotonic()))
        running.add(asyncio.ensure_future(deed(rig)))
        await asyncio.sleep(chance.uniform(GAP_MIN_SECONDS, GAP_MAX_SECONDS))
    await asyncio.gather(*running)


async def _kill(name: str, rig: Rig) -> None:
    await rig.kill(name)
    await rig.until_ready(name)


async def _kill_all(rig: Rig) -> None:
    await asyncio.gather(*(rig.kill(name) for name in (*SERVICES, *SERVERS)))
    await rig.until_ready(*SERVERS, *SERVICES)


async def _pause(name: str, seconds: float, rig: Rig) -> None:
    await rig.pause(name, seconds)
    await rig.until_ready(name)


def felt(faults: list[Fault], attempts: Iterable[Attempt]) -> list[Felt]:
    """Return what callers felt, by kind.

    A request belongs to the fault that began last before it ended. The seconds are until the first
    request that began after the fault succeeded, on the channel that took longest among those on
    which any failed; 0 where none failed.
    """
    by_kind = defaultdict(list)
    ordered = sorted(attempts, key=lambda attempt: attempt.ended)
    for number, fault in enumerate(faults):
        until = faults[number + 1].began if number + 1 < len(faults) else float("inf")
        during = [a for a in ordered if fault.began <= a.ended < until]
        seconds = 0.0
        for channel in {a.channel for a in during if not a.ok}:
            again = (a.ended for a in ordered if _succeeded_after(a, channel, fault.began))
            seconds = max(seconds, next(again, float("inf")) - fault.began)
        failed = sum(not a.ok for a in during)
        by_kind[fault.kind].append((failed, len(during), seconds))
    return [
        Felt(
            kind,
            len(rows),
            sum(failed for failed, _, _ in rows),
            sum(requests for _, requests, _ in rows),
            median(seconds for _, _, seconds in rows),
            max(seconds for _, _, seconds in rows),
        )
        for kind, rows in sorted(by_kind.items())
    ]


def _succeeded_after(attempt: Attempt, channel: str, instant: float) -> bool:
    return attempt.channel == channel and attempt.ok and attempt.began >= instant
