"""What is derived from the tickets, and what is left behind, when everything runs again."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import aio_pika
from aio_pika.abc import AbstractChannel

from bus.connection import end
from bus.rpc_client import RpcClient
from contracts.reports import (
    ActiveReport,
    ActiveRequest,
    ResolutionReport,
    ResolutionRequest,
    UnclosedReport,
    UnclosedRequest,
)
from contracts.rest import Ticket
from contracts.topology import (
    DURABLE_QUEUES,
    RPC_REPORT_ACTIVE,
    RPC_REPORT_RESOLUTION,
    RPC_REPORT_UNCLOSED,
    dead_letter_queue,
)
from contracts.vocabulary import PeriodUnit, Status
from tests.analytics_svc import naive
from tests.conftest import Broker
from tests.faults.rig import SERVICES, Rig
from tests.promises.person import Program

# One a second.
SETTLE_MAX_LOOKS = 90
QUIET_LOOKS = 3
REPORT_SECONDS = 5.0
# The exception: asyncpg forgets a future where a connection is given up while it is being made.
_UNHANDLED = re.compile(
    r".*(?:Traceback|never retrieved\n(?!.*unexpected connection_lost\(\) call)).*"
    r"(?:\n(?: |Traceback).*)*(?:\n.*)?"
)


@dataclass
class Check:
    """One line of the table: what holds, for how many, and where it doesn't."""

    what: str
    n: int
    wrong: list[str] = field(default_factory=list)


async def reports(rig: Rig, tickets: list[Ticket]) -> list[Check]:
    """Compare the three reports with a recount over the tickets."""
    zone = ZoneInfo(rig.names["CAMPUS_TIMEZONE"])
    rpc = RpcClient(rig.names["WEB_AMQP_URL"], "audit")
    task = asyncio.create_task(rpc.run())
    try:
        async with asyncio.timeout(10):
            while not rpc.is_connected:
                await asyncio.sleep(0.05)
        unclosed = await rpc.call(
            RPC_REPORT_UNCLOSED,
            UnclosedRequest(unit=PeriodUnit.HOURS, last=24),
            UnclosedReport,
            REPORT_SECONDS,
        )
        resolution = await rpc.call(
            RPC_REPORT_RESOLUTION, ResolutionRequest(), ResolutionReport, REPORT_SECONDS
        )
        active = await rpc.call(RPC_REPORT_ACTIVE, ActiveRequest(), ActiveReport, REPORT_SECONDS)
    finally:
        await end(task)
    opened = naive.opened_in(tickets, unclosed.since, unclosed.as_of)
    cells = naive.in_buckets(opened, zone, "hour")
    shown = Counter(
        {
            (naive.bucket(b.start, zone, "hour"), status): n
            for b in unclosed.buckets
            for status, n in ((Status.OPEN, b.open), (Status.ACTIVE, b.active))
            if n
        }
    )
    expected = Counter({key: n for key, n in cells.items() if key[1] is not Status.CLOSED})
    shown_active = {c.category: c.active for c in active.categories}
    return [
        same("report of the unclosed equals a recount",
              (unclosed.opened, unclosed.count, shown),
              (len(opened), expected.total(), expected)),
        same("report of resolution times equals a recount",
              [(m.month, m.closed, m.still_open, m.mean_seconds) for m in resolution.months],
              naive.resolution(tickets, zone, resolution.as_of)),
        same("report of the active equals a recount",
              {**shown_active, None: active.uncategorised}, naive.active(tickets)),
    ]  # fmt: skip


def same(what: str, shown: object, expected: object) -> Check:
    """Return the check that two things are equal."""
    return Check(what, 1, [] if shown == expected else [f"{shown} instead of {expected}"])


async def until_quiet(rig: Rig, api: Program) -> list[Check]:
    """Return what is still on its way, or went astray, when nothing moves any more."""
    quiet_looks = 0
    async with await aio_pika.connect(Broker(rig.names, "campus").admin_url) as connection:
        channel = await connection.channel()
        for _ in range(SETTLE_MAX_LOOKS):
            outbox = await _outbox_depth(api)
            waiting = await _count(channel, DURABLE_QUEUES)
            uncategorised = (await api.get("/tickets?category=none"))["items"]
            # What a consumer holds is not counted; it is done, or back, by one of the next looks.
            quiet_looks = 0 if outbox or waiting or uncategorised else quiet_looks + 1
            if quiet_looks == QUIET_LOOKS:
                break
            await asyncio.sleep(1)
        dead = await _count(channel, map(dead_letter_queue, DURABLE_QUEUES))
    return [
        Check("the outbox is empty", 1, [f"{outbox} wait"] if outbox else []),
        Check("all queues are drained", len(DURABLE_QUEUES), [f"{waiting}"] if waiting else []),
        Check("there are no dead letters", len(DURABLE_QUEUES), [f"{dead}"] if dead else []),
    ]


async def _count(channel: AbstractChannel, queues: Iterable[str]) -> dict[str, int]:
    """Return how many messages wait now in those queues that are not empty."""
    found = {}
    for queue in queues:
        declared = await channel.declare_queue(queue, passive=True)
        found[queue] = declared.declaration_result.message_count or 0
    return {queue: n for queue, n in found.items() if n}


async def _outbox_depth(api: Program) -> int:
    async with api.session.get(f"{api.url}/metrics") as response:
        lines = (await response.text()).splitlines()
    [depth] = [line for line in lines if line.startswith("ticket_outbox_depth ")]
    return int(float(depth.split()[1]))


def processes(rig: Rig) -> list[Check]:
    """Check that no service ended by itself or logged what it did not expect."""
    exits = rig.exits()
    unprovoked = [
        f"{name} ended {n} times, was killed {rig.killed[name]} times"
        for name, n in exits.items()
        # PostgreSQL does not start while a child of the one that was killed lingers.
        if n > rig.killed[name] and name in SERVICES
    ]
    # Long logs are rotated.
    folder = rig.supervisor.log("").parent
    logs = [log for name in SERVICES for log in folder.glob(f"{name}.log*")]
    errors = [
        f"{log.name}: {error}"
        for log in logs
        for error in _UNHANDLED.findall(log.read_text(errors="replace"))
    ]
    return [
        Check("no program ended by itself, none was started by hand", exits.total(), unprovoked),
        Check("no log holds an unhandled error", len(logs), errors),
    ]
