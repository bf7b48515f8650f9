"""`python -m bench.scale`: what the reports cost with ten thousand and with ten million tickets.

    make bench-scale ARGS="--sizes 10000,1000000,10000000"

On a throwaway helpdesk: how fresh the reports are under writes; how many events a projection takes
in; then, for each size, a rebuild from an export that is made up (`bench.scale_export`), while
people read and report, and every report asked one by one beside its floors, an RPC that does
nothing and a request on a report's own queue that is refused. Prints the curve.
"""

import argparse
import asyncio
import os
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median

import asyncpg
from pydantic import BaseModel

from analytics_svc import store
from bench.fill import fill
from bench.floors import web_floors
from bench.freshness import measure_freshness, measure_projection, rest_client
from bench.load import Figure, Run, Tally, call_load
from bench.processes import memory_mib, resident_mib
from bench.scale_export import FIRST_ID
from bench.subjects import RPC_TIMEOUT_SECONDS, rpc_client
from bus.rpc import RpcError
from bus.rpc_client import RpcClient
from contracts import topology
from contracts.reports import (
    ActiveReport,
    ActiveRequest,
    ResolutionReport,
    ResolutionRequest,
    UnclosedReport,
    UnclosedRequest,
)
from contracts.vocabulary import Category, PeriodUnit

SIZES = "10000,1000000,10000000"
REAL_TICKETS = 100_000
ROUNDS = 3
WARM_UP_SECONDS = 0.5
RATIO_TARGET = 1.5
MS_TARGET = 5.0
REBUILD_TARGET = 50_000
# With fewer, most of a rebuild is the start of the program.
REBUILD_JUDGED_FROM = 1_000_000
# While a rebuild runs: one ticket is reported and one report is read each so often.
MEANWHILE_SECONDS = 0.1

Kind = tuple[str, str, BaseModel, type[BaseModel]]
HOURS, DAYS = PeriodUnit.HOURS, PeriodUnit.DAYS
IT = Category.TECHNICAL_IT


def _kinds() -> list[Kind]:
    def unclosed(name: str, last: int, unit: PeriodUnit, category: str | None = None) -> Kind:
        request = UnclosedRequest(last=last, unit=unit, category=category, chart=False)
        return name, topology.RPC_REPORT_UNCLOSED, request, UnclosedReport

    months = ResolutionRequest(chart=False)
    active = ActiveRequest(chart=False)
    return [
        unclosed("unclosed, 72 hours", 72, HOURS),
        unclosed("unclosed, 7 days", 7, DAYS),
        unclosed("unclosed, 7 days, one category", 7, DAYS, IT),
        unclosed("unclosed, 90 days", 90, DAYS),
        unclosed("unclosed, 2 years", 730, DAYS),
        ("resolution, all months", topology.RPC_REPORT_RESOLUTION, months, ResolutionReport),
        ("active", topology.RPC_REPORT_ACTIVE, active, ActiveReport),
    ]


@dataclass
class Size:
    """What was measured with so many tickets in the read model."""

    tickets: int
    rebuild_seconds: float = 0.0
    rebuild_mib: float = 0.0
    meanwhile: "Meanwhile" = field(default_factory=lambda: Meanwhile())
    figures: dict[str, Figure] = field(default_factory=dict)
    table_mib: float = 0.0
    resident_mib: float = 0.0


@dataclass
class Meanwhile:
    """What people did while a rebuild ran."""

    reported: int = 0
    counted: int = 0
    read: list[float] = field(default_factory=list)  # seconds
    refused: int = 0


def main() -> int:
    """Measure; return the exit status: 1 where something failed or was lost."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one of the three rounds")
    parser.add_argument("--real", type=int, default=REAL_TICKETS, help="in the ticket service")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    if "CAMPUS_HOME" not in os.environ:
        print("bench.scale needs a throwaway helpdesk: see --help.", file=sys.stderr)
        return 2
    return asyncio.run(_bench(options))


async def _bench(options: argparse.Namespace) -> int:
    await fill(options.real, options.seed)
    started = time.perf_counter()
    await _rebuild({})
    rate = options.real / (time.perf_counter() - started)
    print(f"rebuild of {options.real:,} tickets from the ticket service: {rate:,.0f}/s\n")
    async with rpc_client() as client, web_floors() as (_, _, ping):
        print(await measure_freshness(client))
        print(await measure_projection())
        sizes = []
        for n in map(int, options.sizes.split(",")):
            sizes.append(size := Size(n))
            await _build(size, client)
            await _measure(size, client, ping, options.seconds)
            print(_line(size))
    print(f"\n{_curve(sizes)}")
    failed = [size for size in sizes if size.meanwhile.refused or _lost(size)]
    failed += [size for size in sizes if any(f.failed for f in size.figures.values())]
    return 1 if failed else 0


async def _rebuild(environment: dict[str, str]) -> float:
    """Run the operator's command; return the most memory that it had, in MiB."""
    command = [sys.executable, "-m", "analytics_svc", "rebuild"]
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **environment})
    most = 0.0
    ended = asyncio.ensure_future(process.wait())
    while not ended.done():
        most = max(most, memory_mib([process.pid]))
        await asyncio.wait([ended], timeout=0.5)
    if process.returncode:
        raise RuntimeError("The rebuild failed.")
    return most


async def _build(size: Size, client: RpcClient) -> None:
    """Rebuild with an export of that size while people read and report."""
    async with _export(size.tickets) as url:
        meanwhile = asyncio.create_task(_go_on_meanwhile(size.meanwhile, client))
        started = time.perf_counter()
        size.rebuild_mib = await _rebuild({"TICKET_API_URL": url})
        size.rebuild_seconds = time.perf_counter() - started
        meanwhile.cancel()
        await asyncio.gather(meanwhile, return_exceptions=True)
    size.meanwhile.counted = await _count_reported(size.meanwhile.reported)


@asynccontextmanager
async def _export(tickets: int) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.scale_export", str(tickets), stdout=PIPE, stderr=DEVNULL
    )
    try:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


async def _go_on_meanwhile(meanwhile: Meanwhile, client: RpcClient) -> None:
    request = UnclosedRequest(last=7, unit=DAYS, chart=False)
    body = {"description": "Reported while the read model is rebuilt", "category": IT}
    # What came before the rebuild notes it is in neither: the export is made up.
    await _rebuild_runs()
    async with rest_client() as http:
        while True:
            async with http.post("/v1/tickets", json=body) as answer:
                meanwhile.reported += answer.status == 201
            started = time.perf_counter()
            try:
                await client.call(
                    topology.RPC_REPORT_UNCLOSED, request, UnclosedReport, RPC_TIMEOUT_SECONDS
                )
            except RpcError:
                meanwhile.refused += 1
            meanwhile.read.append(time.perf_counter() - started)
            await asyncio.sleep(MEANWHILE_SECONDS)


async def _rebuild_runs() -> None:
    """Wait until a rebuild has begun."""
    connection = await asyncpg.connect(os.environ["ANALYTICS_DATABASE_URL"])
    try:
        while not await store.is_rebuilding(connection):  # type: ignore[arg-type]  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    finally:
        await connection.close()


async def _count_reported(expected: int) -> int:
    """Return how many tickets that were really reported the read model has, once they are there."""
    connection = await asyncpg.connect(os.environ["ANALYTICS_DATABASE_URL"])
    found = 0
    try:
        for _ in range(100):
            found = await connection.fetchval(
                "SELECT count(*) FROM ticket_state JOIN projection USING (generation)"
                " WHERE id < $1",
                FIRST_ID,
            )
            if found >= expected:
                break
            await asyncio.sleep(0.1)
        return found
    finally:
        await connection.close()


async def _measure(size: Size, client: RpcClient, ping: Run, seconds: float) -> None:
    runs: dict[str, Run] = {
        "floor: RPC that does nothing": ping,
        "floor: the way to a report, refused": call_load(_refused(client)),
    }
    for name, queue, request, result in _kinds():
        runs[name] = call_load(_caller(client, queue, request, result))
    tallies: dict[str, list[Tally]] = {name: [] for name in runs}
    for number in range(ROUNDS + 1):
        for name, run in runs.items():
            tally = await run(1, seconds if number else WARM_UP_SECONDS)
            if number:
                tallies[name].append(tally)
    size.figures = {name: Figure.of(rounds) for name, rounds in tallies.items()}
    connection = await asyncpg.connect(os.environ["ANALYTICS_DATABASE_URL"])
    size.table_mib = (
        await connection.fetchval(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
            " WHERE relnamespace = 'analytics'::regnamespace AND relkind = 'r'"
        )
        / 2**20
    )
    await connection.close()
    size.resident_mib = resident_mib(["analytics_svc"])["analytics_svc"]


def _caller(
    client: RpcClient, queue: str, request: BaseModel, result: type[BaseModel]
) -> Callable[[int], Awaitable[object]]:
    return lambda _worker: client.call(queue, request, result, RPC_TIMEOUT_SECONDS)


def _refused(client: RpcClient) -> Callable[[int], Awaitable[None]]:
    """Return a call that goes the whole way of a report, and asks for nothing that there is."""

    async def call(_worker: int) -> None:
        nothing = ActiveRequest(chart=False)
        try:
            await client.call(
                topology.RPC_REPORT_UNCLOSED, nothing, UnclosedReport, RPC_TIMEOUT_SECONDS
            )
        except RpcError as error:
            if error.code != "bad_request":
                raise

    return call


def _lost(size: Size) -> int:
    return size.meanwhile.reported - size.meanwhile.counted


def _line(size: Size) -> str:
    rate = size.tickets / size.rebuild_seconds
    verdict = ""
    if size.tickets >= REBUILD_JUDGED_FROM:
        verdict = f", {REBUILD_TARGET:,}/s {'reached' if rate >= REBUILD_TARGET else 'MISSED'}"
    meanwhile = size.meanwhile
    text = (
        f"{size.tickets:>12,} tickets rebuilt in {size.rebuild_seconds:.1f} s, {rate:,.0f}/s"
        f" (start of the program included{verdict}),"
        f" {size.rebuild_mib:.0f} MiB; read model {size.table_mib:,.0f} MiB on disk,"
        f" analytics_svc {size.resident_mib:.0f} MiB"
    )
    if meanwhile.read:
        text += (
            f"\n{'':>13}meanwhile {len(meanwhile.read)} reports read, p50"
            f" {median(meanwhile.read) * 1000:.1f} ms, slowest {max(meanwhile.read) * 1000:.0f} ms,"
            f" {meanwhile.refused} refused; {meanwhile.reported} tickets reported,"
            f" {_lost(size)} not counted"
        )
    return text


def _curve(sizes: list[Size]) -> str:
    names = list(sizes[0].figures)
    heads = "".join(f"{size.tickets:>14,}" for size in sizes)
    lines = [f"{'p50 (p99) ms, one caller, no drawing':<38}{heads}{'ratio':>8}"]
    for name in names:
        figures = [size.figures[name] for size in sizes]
        cells = "".join(f"{f'{f.p50_ms:.2f} ({f.p99_ms:.1f})':>14}" for f in figures)
        ratio = figures[-1].p50_ms / figures[0].p50_ms
        good = ratio <= RATIO_TARGET and figures[-1].p50_ms <= MS_TARGET
        verdict = "" if name.startswith("floor") else "reached" if good else "MISSED"
        lines.append(f"{name:<38}{cells}{ratio:>8.2f}  {verdict}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
