"""`python -m bench`: fill a throwaway helpdesk, measure it beside its floors, print a table.

Run by `make bench`, which brings the helpdesk. The exit status is 1 where a request failed; a
missed target is only shown, since machines drift.
"""

import argparse
import asyncio
import os
import sys
from collections import Counter, defaultdict

from tqdm import tqdm  # type: ignore[import-untyped]

from bench.fill import fill
from bench.load import Figure, Tally
from bench.processes import SERVERS, SERVICES, TARGET_MIB, busy_ms, cpu_ms, resident_mib
from bench.subjects import (
    P99_TARGET_MS,
    TARGET_CONNECTIONS,
    Subject,
    count_uncategorised,
    subjects,
)

ROUNDS = 3
# Unmeasured, so that imports, pools and caches are as warm as in a service that runs.
WARM_UP_SECONDS = 0.4

Key = tuple[Subject, int]


def main() -> int:
    """Run the benchmark; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--tickets", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=2.5, help="of one of the three rounds")
    parser.add_argument("--only", default="", metavar="NAME", help="what has this in its name")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    if "CAMPUS_HOME" not in os.environ:
        print("bench needs a throwaway helpdesk: run `make bench`.", file=sys.stderr)
        return 2
    return asyncio.run(_bench(options))


async def _bench(options: argparse.Namespace) -> int:
    try:
        await fill(options.tickets, options.seed)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 2
    async with subjects(options.seed) as every:
        chosen = [subject for subject in every if options.only in subject.name]
        busy, own = busy_ms(), cpu_ms()
        figures = await _measure(chosen, options.seconds)
        busy, own = busy_ms() - busy, cpu_ms() - own
    failed = sum((figure.failed for figure in figures.values()), Counter())
    if uncategorised := await count_uncategorised():
        failed["reported, but the category came late"] += uncategorised
    print(
        f"{options.tickets:,} tickets, {os.cpu_count()} cores, medians of {ROUNDS} rounds;"
        f" other programs took {1 - own.total() / busy:.0%} of the CPU time used\n"
    )
    print(_table(figures))
    print(f"\nCPU ms a request\n{_costs(figures)}")
    print(_memory())
    for what, n in failed.items():
        print(f"FAILED {n}: {what}")
    return 1 if failed else 0


async def _measure(chosen: list[Subject], seconds: float) -> dict[Key, Figure]:
    """Measure each subject in turn with its floor, round after round: machines drift."""
    order: dict[Key, None] = {}
    groups: defaultdict[tuple[Subject | None, int], list[Key]] = defaultdict(list)
    for subject in chosen:
        for level in subject.levels:
            groups[subject.floor, level].append((subject, level))
    for (floor, level), keys in groups.items():
        order |= dict.fromkeys([*([(floor, level)] if floor else []), *keys])
    tallies: dict[Key, list[Tally]] = {key: [] for key in order}
    with tqdm(total=(ROUNDS + 1) * len(order), desc="measure", leave=False, disable=None) as bar:
        for number in range(ROUNDS + 1):
            for subject, level in order:
                bar.set_postfix_str(f"{subject.name} × {level}")
                before = cpu_ms()
                tally = await subject.run(level, seconds if number else WARM_UP_SECONDS)
                tally.cpu_ms = cpu_ms() - before
                if number:
                    tallies[subject, level].append(tally)
                bar.update()
    return {key: Figure.of(rounds) for key, rounds in tallies.items()}


def _table(figures: dict[Key, Figure]) -> str:
    lines = [
        f"{'':<34}{'in flight':>9}{'per s':>9}{'p50 ms':>8}{'p99 ms':>8}"
        f"{'floor':>9}{'ratio':>7}  target"
    ]
    for (subject, level), figure in figures.items():
        line = (
            f"{subject.name:<34}{level:>9}{figure.rate:>9,.0f}"
            f"{figure.p50_ms:>8.1f}{figure.p99_ms:>8.1f}"
        )
        if subject.floor:
            floor = figures[subject.floor, level]
            line += f"{floor.rate:>9,.0f}{figure.rate / floor.rate:>7.2f}  "
            line += _verdict(subject, level, figure)
        lines.append(line.rstrip())
    return "\n".join(lines)


def _verdict(subject: Subject, level: int, figure: Figure) -> str:
    if level != TARGET_CONNECTIONS:
        return ""
    missed = []
    if subject.target and figure.rate < subject.target:
        missed.append(f"{subject.target}/s")
    if figure.p99_ms > P99_TARGET_MS:
        missed.append(f"p99 {P99_TARGET_MS:.0f} ms")
    wanted = f"{subject.target}/s" if subject.target else f"p99 {P99_TARGET_MS:.0f} ms"
    return f"MISSED {', '.join(missed)}" if missed else f"{wanted} reached"


def _costs(figures: dict[Key, Figure]) -> str:
    programs = (*SERVICES, *SERVERS)
    lines = [f"{'':<43}" + "".join(f"{program:>15}" for program in programs)]
    lines += [
        f"{subject.name:<34}{level:>9}"
        + "".join(f"{figure.cpu_ms[program]:>15.2f}" for program in programs)
        for (subject, level), figure in figures.items()
        if subject.floor
    ]
    return "\n".join(lines)


def _memory() -> str:
    resident = resident_mib()
    total = sum(resident.values())
    parts = ", ".join(f"{service} {mib:.0f}" for service, mib in resident.items())
    verdict = "reached" if total <= TARGET_MIB else "MISSED"
    return f"\nResident MiB: {parts}; together {total:.0f} (target {TARGET_MIB}: {verdict})"


if __name__ == "__main__":
    sys.exit(main())
