"""`python -m bench.overload`: five times the load that can be served, for minutes; then recovery.

Run by `make overload` on a throwaway helpdesk. First a closed loop finds what can be served; then
requests are sent at five times that rate, each connection from an address of its own. Prints a line
per sample: what was let in and how fast, what was refused and how fast, memory and queues; then how
soon things are as before. Last comes a flood of one (`bench.hostile`). The exit status is 1 where
an answer was neither served nor a clear refusal.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import time
from base64 import b64encode
from collections import deque
from dataclasses import dataclass, field
from urllib.request import Request, urlopen
from uuid import UUID

from bench import fill, hostile
from bench.load import (
    Connection,
    NextRequest,
    Source,
    Tally,
    connect,
    crowd,
    http_load,
    http_request,
    recover,
)
from bench.processes import SERVICES, resident_mib
from bench.subjects import page_request, ticket_ids
from contracts.vocabulary import Role

FACTOR = 5
CAPACITY_SECONDS = 8.0
CAPACITY_CONNECTIONS = 16
# More than ever wait for an answer at once; who finds none free counts as not answered.
CONNECTIONS_MAX = 1_500
TICK_SECONDS = 0.005
# For each kind of hostile caller.
ATTACK_SECONDS = 30.0
REFUSED = "503"
JSON = "application/json"


def main() -> int:
    """Run the overload; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.overload", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--sample", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--only", choices=("pages", "REST", "one"))
    parser.add_argument("--tickets", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    if "CAMPUS_HOME" not in os.environ:
        print("overload needs a throwaway helpdesk: run `make overload`.", file=sys.stderr)
        return 2
    return asyncio.run(_overload(options))


async def _overload(options: argparse.Namespace) -> int:
    await fill.fill(options.tickets, options.seed)
    _, ids = await ticket_ids()
    chance = random.Random(options.seed)
    is_wrong = False
    source = crowd()
    for name, url, next_request in (
        ("pages", os.environ["WEB_URL"], _pages(chance, ids)),
        ("REST", os.environ["TICKET_API_URL"], _rest(chance, ids)),
    ):
        if options.only not in (None, name):
            continue
        run = http_load(url, next_request, source)
        before = await run(CAPACITY_CONNECTIONS, CAPACITY_SECONDS)
        rate = FACTOR * before.rate
        print(
            f"\n{name}: {before.rate:,.0f} a second can be served; {rate:,.0f} a second are sent"
            f"\n{'s':>5}{'sent/s':>8}{'served/s':>9}{'p50 ms':>8}{'p99 ms':>8}{'refused/s':>10}"
            f"{'p99 ms':>8}{'else':>6}  resident MiB ({', '.join(SERVICES)}, rabbitmq); in queues"
        )
        is_wrong |= await _flood(url, next_request, source, rate, options)
        recovered = await recover(url, next_request, source())
        after = await run(CAPACITY_CONNECTIONS, CAPACITY_SECONDS)
        print(
            f"{name}: as before {recovered:.1f} s after the flood;"
            f" {after.rate:,.0f} a second can be served"
        )
    if options.only in (None, "one"):
        others = _pages(chance, ids)
        is_wrong |= await hostile.attack(
            os.environ["WEB_URL"], others, ATTACK_SECONDS, options.seed
        )
    return 1 if is_wrong else 0


@dataclass
class _Sample:
    """What became of the requests of some seconds."""

    served: Tally = field(default_factory=Tally)
    refused: Tally = field(default_factory=Tally)
    sent: int = 0

    def count(self, status: str, due: float) -> None:
        self.sent += 1
        if status == REFUSED:
            self.refused.count("200", due)
        else:
            self.served.count(status, due)


async def _flood(
    url: str,
    next_request: NextRequest,
    source: Source,
    rate: float,
    options: argparse.Namespace,
) -> bool:
    """Send at `rate` for the minutes, come what may; tell whether an answer was wrong."""
    idle: deque[Connection] = deque()
    opened = 0
    sample = _Sample()
    tasks: set[asyncio.Task[None]] = set()

    async def ask(due: float) -> None:
        nonlocal opened
        if idle:
            connection = idle.popleft()
        elif opened < CONNECTIONS_MAX:
            opened += 1
            try:
                connection = await connect(url, source())
            except OSError as error:
                opened -= 1
                sample.count(type(error).__name__, due)
                return
        else:
            sample.count("no connection free", due)
            return
        sample.count(await connection.ask(next_request()), due)
        if connection.is_lost:
            opened -= 1
        else:
            idle.append(connection)

    started = shown = time.perf_counter()
    end = started + options.minutes * 60
    sent = 0
    is_wrong = False
    while shown < end:
        now = min(time.perf_counter(), end)
        while sent < (now - started) * rate:
            task = asyncio.create_task(ask(started + sent / rate))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            sent += 1
        if now - shown >= options.sample or now == end:
            done, sample = sample, _Sample()
            is_wrong |= bool(done.served.failed)
            print(await _line(now - started, now - shown, done), flush=True)
            shown = now
        await asyncio.sleep(TICK_SECONDS)
    # What is answered from now on came too late for a sample; only whether it was right counts.
    await asyncio.gather(*tasks)
    for connection in idle:
        connection.close()
    return is_wrong or bool(sample.served.failed)


async def _line(at: float, seconds: float, sample: _Sample) -> str:
    served, refused = sample.served, sample.refused
    memory = await asyncio.to_thread(resident_mib, (*SERVICES, "rabbitmq"))
    resident = " ".join(f"{memory[name]:.0f}" for name in (*SERVICES, "rabbitmq"))
    return (
        f"{at:>5.0f}{sample.sent / seconds:>8,.0f}{len(served.latencies) / seconds:>9,.0f}"
        f"{served.percentile_ms(0.5):>8.0f}{served.percentile_ms(0.99):>8.0f}"
        f"{len(refused.latencies) / seconds:>10,.0f}{refused.percentile_ms(0.99):>8.0f}"
        f"{served.failed.total():>6}  {resident}; {await asyncio.to_thread(_queued)}"
        + "".join(f"  {status}: {n}" for status, n in served.failed.items())
    )


def _pages(chance: random.Random, ids: list[int]) -> NextRequest:
    """Return what a busy campus asks of the pages: mostly reading."""
    kinds = ("list", "ticket", "report", "message", "analysis")

    def next_request() -> bytes:
        [kind] = chance.choices(kinds, weights=(40, 30, 10, 10, 10))
        form = {"key": str(UUID(int=chance.getrandbits(128), version=4))}
        match kind:
            case "list":
                return page_request("GET", "/tickets", Role.HELPDESK)
            case "ticket":
                return page_request("GET", f"/tickets/{chance.choice(ids)}", Role.HELPDESK)
            case "report":
                form["text"] = fill.problem(chance)[1]
                return page_request("POST", "/tickets", Role.USER, form)
            case "message":
                form["text"] = fill.message(chance)
                path = f"/tickets/{chance.choice(ids)}/messages"
                return page_request("POST", path, Role.USER, form)
        return page_request("GET", "/analytics/active", Role.HELPDESK)

    return next_request


def _rest(chance: random.Random, ids: list[int]) -> NextRequest:
    """Return what programs ask of the ticket service: mostly reading."""
    token = {"Authorization": f"Bearer {os.environ['TICKET_API_TOKEN']}", "X-Role": "helpdesk"}

    def next_request() -> bytes:
        [kind] = chance.choices(("list", "ticket", "open", "send"), weights=(40, 30, 15, 15))
        key = {"Idempotency-Key": str(UUID(int=chance.getrandbits(128), version=4))}
        match kind:
            case "list":
                return http_request("GET", "/v1/tickets", token)
            case "ticket":
                return http_request("GET", f"/v1/tickets/{chance.choice(ids)}", token)
            case "open":
                category, text = fill.problem(chance)
                body = json.dumps({"description": text, "category": category}).encode()
                return http_request("POST", "/v1/tickets", token | key, body, JSON)
        body = json.dumps({"body": fill.message(chance)}).encode()
        path = f"/v1/tickets/{chance.choice(ids)}/messages"
        return http_request("POST", path, token | key, body, JSON)

    return next_request


def _queued() -> int:
    """Return how many messages wait in RabbitMQ, as the operator sees it."""
    login = f"operator:{os.environ['RABBITMQ_OPERATOR_PASSWORD']}"
    url = f"{os.environ['RABBITMQ_MANAGEMENT_URL']}/api/queues/campus"
    request = Request(  # noqa: S310 (our own http address)
        url, headers={"Authorization": f"Basic {b64encode(login.encode()).decode()}"}
    )
    with urlopen(request, timeout=10) as answer:  # noqa: S310
        return sum(queue.get("messages", 0) for queue in json.load(answer))


if __name__ == "__main__":
    sys.exit(main())
