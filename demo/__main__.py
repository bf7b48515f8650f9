"""`python -m demo`: two years of plausible tickets into the helpdesk that runs (`make demo`).

The names of DESIGN.md, "Running", come from the environment or from the last `make run`. The same
seed makes the same tickets; a second run adds none.
"""

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from pathlib import Path

import asyncpg
from tqdm import tqdm  # type: ignore[import-untyped]

from contracts.addresses import check_address
from demo import times
from demo.play import Helpdesk, PlayError, helpdesk, play
from demo.rhythm import campus_now
from demo.stories import Story, stories
from deploy.local.environment import forget_foreign
from deploy.local.names import read

ROOT = Path(__file__).resolve().parent.parent
NAMES = (
    "TICKET_API_URL",
    "TICKET_API_TOKEN",
    "WEB_AMQP_URL",
    "TICKET_DATABASE_URL",
    "ANALYTICS_DATABASE_URL",
)
DEFAULT_TIMEZONE = "Europe/Rome"


def main() -> int:
    """Make the tickets; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--tickets", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    forget_foreign(os.environ)
    names = read(ROOT / ".local" / "env") | os.environ
    try:
        if missing := [name for name in NAMES if not names.get(name)]:
            raise PlayError(
                f"No helpdesk is known: start one with `make run`, or set {', '.join(missing)}."
            )
        names |= {name: check_address(name, names[name]) for name in NAMES}
        asyncio.run(_demo(names, options.tickets, options.seed))
    except (PlayError, ValueError, OSError, asyncpg.PostgresError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _demo(names: dict[str, str], count: int, seed: int) -> None:
    started = time.monotonic()
    now = campus_now(names.get("CAMPUS_TIMEZONE") or DEFAULT_TIMEZONE)
    every = stories(count, seed, now)
    url, token, amqp_url = (names[name] for name in NAMES[:3])
    async with helpdesk(url, token, amqp_url) as desk:
        await desk.keep_replies()
        connection = await times.connect(names["TICKET_DATABASE_URL"])
        try:
            moved = await times.list_moved(connection, every)
            fresh = [story for story in every if story.key not in moved]
            if not fresh:
                print(f"All {count:,} tickets are there already.")
                return
            await play(desk, fresh, len(fresh))
            made = await times.move(connection, {story.key: story for story in fresh})
        finally:
            await connection.close()
        await _rebuild(names)
        print(await _summary(desk, fresh))
        print(f"{made:,} tickets in {time.monotonic() - started:.0f} s.")


async def _rebuild(names: dict[str, str]) -> None:
    """Let the reports count again; raises PlayError."""
    with tqdm(total=1, desc="reports", leave=False, disable=None) as bar:
        rebuild = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "analytics_svc", "rebuild"),
            cwd=ROOT,
            env=names,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await rebuild.communicate()
        bar.update()
    if rebuild.returncode:
        raise PlayError(f"The reports could not be rebuilt: {said.decode().strip()}")


async def _summary(desk: Helpdesk, told: list[Story]) -> str:
    languages = Counter(story.language for story in told)
    categories = Counter(story.category.value for story in told)
    counts = await desk.counts()
    return (
        f"{', '.join(f'{name} {n:,}' for name, n in languages.most_common())}\n"
        f"{', '.join(f'{name} {n:,}' for name, n in categories.most_common())};"
        f" {desk.corrections:,} corrected by helpdesk\n"
        f"Now open {counts.open:,}, active {counts.active:,}, closed {counts.closed:,}"
    )


if __name__ == "__main__":
    sys.exit(main())
