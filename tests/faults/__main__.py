"""Everything that can die does, while a busy campus works; then the books are compared.

    python -m tests.faults [--minutes 5] [--seed N] [--people 24]

Needs what the tests need (`make faults` installs it), starts a stack of its own on free ports and
deletes it at the end. Exit status 1 where anything differs; the logs are kept then.
"""

import argparse
import asyncio
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from deploy.local.servers import ServerError
from tests.faults.aftermath import Check
from tests.faults.books import audit
from tests.faults.campus import Campus, campus
from tests.faults.ledger import Fate, Kind
from tests.faults.rig import Rig, prepare
from tests.faults.wreckage import Fault, Felt, felt, wreck

SHOWN_SECONDS = 15.0
SHOWN_WRONG = 5
# Quiet at both ends: a first ticket before the first fault, and the last tries after the last one.
WARM_UP_SECONDS = 3.0


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long things go wrong")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000))
    parser.add_argument("--people", type=int, default=24, help="who work at the same time")
    return parser.parse_args(arguments)


async def run(rig: Rig, minutes: float, seed: int, people: int) -> bool:
    """Run it all; tell whether everything is as it was promised."""
    await rig.start()
    urls = (rig.cables["web"].url, rig.cables["tickets"].url)
    async with campus(*urls, rig.names["TICKET_API_TOKEN"], seed) as busy:
        faults = await _suffer(rig, busy, minutes * 60, seed, people)
        print("  everything runs again; comparing the books", flush=True)
        checks = await audit(rig, busy.ledger)
    await rig.stop()
    _print_writes(busy)
    _print_felt(felt(faults, busy.ledger.attempts))
    _print_checks(checks)
    is_right = not any(check.wrong for check in checks)
    verdict = "nothing lost, nothing doubled" if is_right else "THE BOOKS DIFFER"
    kills = rig.killed.total()
    print(f"\nseed {seed}, {minutes:g} min, {len(faults)} faults, {kills} kills: {verdict}")
    return is_right


async def _suffer(rig: Rig, busy: Campus, seconds: float, seed: int, people: int) -> list[Fault]:
    faults: list[Fault] = []
    is_over = asyncio.Event()
    living = asyncio.create_task(busy.live(people, is_over))
    showing = asyncio.create_task(_show(busy, faults))
    await asyncio.sleep(WARM_UP_SECONDS)
    await wreck(rig, seconds, seed, faults)
    await rig.until_ready(*rig.ready)
    is_over.set()
    await living
    showing.cancel()
    return faults


async def _show(busy: Campus, faults: list[Fault]) -> None:
    started = time.monotonic()
    while True:
        await asyncio.sleep(SHOWN_SECONDS)
        done = sum(write.fate is Fate.ACKNOWLEDGED for write in busy.ledger.writes)
        failed = sum(not attempt.ok for attempt in busy.ledger.attempts)
        print(f"  {time.monotonic() - started:5.0f} s  {len(faults):3} faults  {done:6} writes "
              f"acknowledged  {failed:5} requests failed", flush=True)  # fmt: skip


def _print_writes(busy: Campus) -> None:
    fates = Counter((write.kind, write.fate) for write in busy.ledger.writes)
    print(f"\n{'writes':<12}" + "".join(f"{fate.name.lower():>14}" for fate in Fate))
    for kind in Kind:
        row = "".join(f"{fates[kind, fate]:>14}" for fate in Fate)
        print(f"{kind.name.lower():<12}{row}")


def _print_felt(rows: list[Felt]) -> None:
    print(f"\n{'fault':<32}{'times':>6}{'failed':>9}{'requests':>10}"
          f"{'served again after: median':>28}{'worst':>9}")  # fmt: skip
    for row in rows:
        print(f"{row.kind:<32}{row.times:>6}{row.failed:>9}{row.requests:>10}"
              f"{row.median_s:>26.1f} s{row.worst_s:>7.1f} s")  # fmt: skip


def _print_checks(checks: list[Check]) -> None:
    print(f"\n{'promise':<66}{'looked at':>10}{'wrong':>7}")
    for check in checks:
        print(f"{check.what:<66}{check.n:>10}{len(check.wrong):>7}")
        for wrong in check.wrong[:SHOWN_WRONG]:
            print(f"    {wrong[:400]}")


def main(arguments: list[str]) -> int:
    """Run until the end or Ctrl-C; return the exit status."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"seed {options.seed}", flush=True)
    home = Path(tempfile.mkdtemp(prefix="campus-faults-"))
    is_right = False
    rig = prepare(home)
    try:
        with rig.supervisor:
            is_right = asyncio.run(run(rig, options.minutes, options.seed, options.people))
    except KeyboardInterrupt:
        print("Stopped.")
    except ServerError as error:
        print(error)
    if is_right:
        shutil.rmtree(home, ignore_errors=True)
    else:
        print(f"logs are kept in {home}/log")
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
