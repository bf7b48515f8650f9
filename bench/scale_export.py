"""`python -m bench.scale_export N`: an export of N tickets that nobody had to open.

Answers what a rebuild asks the ticket service for. Two years of tickets by id, evenly spread: the
newest 5 % are mostly not closed, of the older ones a few; how long the others took is spread
log-normally around a day. Prints its address.
"""

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator
from typing import Final

import numpy as np
from aiohttp import web

from bench.fill import MEAN_HOURS, NEW_SHARE, SPAN, UNCLOSED_OF_NEW, UNCLOSED_OF_OLD, problem
from contracts.vocabulary import Category

# Far above what a helpdesk that really ran in the same database has given its tickets.
FIRST_ID = 1_000_000_000
BATCH_TICKETS = 20_000
DESCRIPTIONS = 997
SEED = 7
STATUSES = ("open", "active", "closed")
LINE: Final = (
    '{"id":%d,"description":%s,"status":"%s","category":"%s","category_source":"classifier",'
    '"opened_at":"%sZ","modified_at":"%sZ","closed_at":%s,"version":%d,"messages":0}\n'
)


def lines(tickets: int, start: int, chance: np.random.Generator, told: list[str]) -> bytes:
    """Return a batch of the export from the `start`th ticket on."""
    place = np.arange(start, min(start + BATCH_TICKETS, tickets))
    now = np.datetime64("now", "us")
    span = np.timedelta64(SPAN)
    opened_at = now - (span * (1 - place / tickets)).astype("timedelta64[us]")
    hours = chance.lognormal(np.log(MEAN_HOURS / 2), 1.2, len(place))
    closed_at = opened_at + (hours * 3.6e9).astype("timedelta64[us]")
    is_new = place > tickets * (1 - NEW_SHARE)
    is_open = chance.random(len(place)) < np.where(is_new, UNCLOSED_OF_NEW, UNCLOSED_OF_OLD)
    status = np.where(is_open | (closed_at > now), chance.integers(0, 2, len(place)), 2)
    changed_at = np.where(status == 2, closed_at, opened_at)
    columns = zip(
        place.tolist(),
        status.tolist(),
        chance.integers(0, 3, len(place)).tolist(),
        np.datetime_as_string(opened_at).tolist(),
        np.datetime_as_string(changed_at).tolist(),
        strict=True,
    )
    categories = [category.value for category in Category]
    return "".join(
        LINE
        % (
            FIRST_ID + number,
            told[number % DESCRIPTIONS],
            STATUSES[state],
            categories[kind],
            opened,
            changed,
            f'"{changed}Z"' if state == 2 else "null",
            state + 1,
        )
        for number, state, kind, opened, changed in columns
    ).encode()


async def _serve(tickets: int) -> None:
    chance = random.Random(SEED)
    told = [json.dumps(problem(chance)[1]) for _ in range(DESCRIPTIONS)]

    async def count(_: web.Request) -> web.Response:
        return web.json_response({"open": 0, "active": 0, "closed": tickets})

    async def export(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for batch in _batches(tickets, told):
            await response.write(batch)
        return response

    app = web.Application()
    app.add_routes([web.get("/v1/tickets/counts", count), web.get("/v1/tickets/export", export)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


async def _batches(tickets: int, told: list[str]) -> AsyncIterator[bytes]:
    chance = np.random.default_rng(SEED)
    for start in range(0, tickets, BATCH_TICKETS):
        yield lines(tickets, start, chance, told)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
