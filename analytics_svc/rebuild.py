"""Fills the read model from the ticket service's export, aside: what is read stays until the end.

Events go on meanwhile, into what is read, and are noted; the new generation takes in what was noted
before it is shown. The export starts after the noting: each event is in the export, or noted, or
both, and the higher version wins.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import aiohttp
from pydantic import ValidationError

from analytics_svc import store
from analytics_svc.database import Connection, session
from analytics_svc.periods import day_of
from analytics_svc.state import TicketState, state_of
from contracts.rest import Counts, Ticket
from contracts.vocabulary import Role
from runtime.postgres import Database, DatabaseAway

log = logging.getLogger(__name__)

BATCH_TICKETS = 10_000
# Taken in one by one by their versions, which is slower: a moment for each batch.
BATCH_NOTED = 2_000
# The export may be long, but it must not fall silent.
SILENCE_SECONDS = 60.0
PROGRESS_SECONDS = 2.0
RETRY_FIRST_SECONDS = 0.5
RETRY_MAX_SECONDS = 15.0

# Told how many tickets are done, of about how many.
Progress = Callable[[int, int], None]


class ExportFailed(Exception):
    """The ticket service did not give all of its tickets."""


@dataclass(frozen=True)
class TicketApi:
    """Where the tickets come from."""

    url: str
    token: str = field(repr=False)


async def build_if_needed(pool: Database, api: TicketApi, timezone: str) -> None:
    """Rebuild where there is no read model for `timezone`; wait for whatever is away."""
    delay = RETRY_FIRST_SECONDS
    logged = ""
    while True:
        try:
            return await rebuild(pool, api, timezone, _logged_progress(), only_if_needed=True)
        except (DatabaseAway, ExportFailed) as error:
            if str(error) != logged:
                log.warning("rebuild: waiting, %s", error)
                logged = str(error)
        await asyncio.sleep(delay)
        delay = min(delay * 2, RETRY_MAX_SECONDS)


async def rebuild(
    pool: Database,
    api: TicketApi,
    timezone: str,
    progress: Progress,
    *,
    only_if_needed: bool = False,
) -> None:
    """Replace the read model; until the end the reports show the old one, which events change.

    Raises DatabaseAway, and ExportFailed where the export is not complete.
    """
    async with session(pool) as connection:
        await store.begin_rebuild(connection)
        built = await store.find_built(connection)
        if only_if_needed and built and built.timezone == timezone:
            return
        started = time.monotonic()
        generation = 1 - built.generation if built else 0
        zone = ZoneInfo(timezone)
        async with connection.transaction():
            await store.empty(connection, generation)
        done = await _fill(connection, generation, api, zone, progress)
        await store.analyze(connection)
        # Most of what was noted before the events have to wait for the rest.
        await _take_noted(connection, generation, zone)
        async with connection.transaction():
            await store.lock_for_writing(connection)
            await _take_noted(connection, generation, zone)
            await store.show(connection, generation, timezone)
        async with connection.transaction():
            await store.empty(connection, 1 - generation)
    elapsed = time.monotonic() - started
    log.info("rebuild: done, %d tickets in %.1f s, %.0f/s", done, elapsed, done / elapsed)


async def _fill(
    connection: Connection, generation: int, api: TicketApi, zone: ZoneInfo, progress: Progress
) -> int:
    headers = {"Authorization": f"Bearer {api.token}", "X-Role": Role.HELPDESK}
    timeout = aiohttp.ClientTimeout(total=None, sock_read=SILENCE_SECONDS)
    done = 0
    try:
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as http:
            total = await _count(http, api.url)
            progress(done, total)
            # What is read and parsed meanwhile is written next.
            async with aclosing(_one_ahead(_export(http, api.url, zone))) as batches:
                async for states in batches:
                    await _write(connection, generation, states)
                    done += len(states)
                    progress(done, total)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ExportFailed(f"{api.url}: {error!r}") from error
    return done


async def _write(connection: Connection, generation: int, states: list[TicketState]) -> None:
    async with connection.transaction():
        await store.fill(connection, generation, states)


async def _take_noted(connection: Connection, generation: int, zone: ZoneInfo) -> None:
    while True:
        async with connection.transaction():
            noted = await store.take_noted(connection, BATCH_NOTED)
            # They were noted by the days of the time zone that is read until now.
            states = [s._replace(opened_day=day_of(s.opened_at, zone)) for s in noted]
            await store.apply(connection, generation, states)
        if len(noted) < BATCH_NOTED:
            return


async def _count(http: aiohttp.ClientSession, api_url: str) -> int:
    url = f"{api_url}/v1/tickets/counts"
    async with http.get(url, allow_redirects=False) as response:
        if response.status != 200:
            raise ExportFailed(f"{url} answered {response.status}.")
        body = await response.read()
    try:
        counts = Counts.model_validate_json(body)
    except ValidationError:
        raise ExportFailed(f"{url} answered something else than counts.") from None
    return counts.open + counts.active + counts.closed


async def _export(
    http: aiohttp.ClientSession, api_url: str, zone: ZoneInfo
) -> AsyncGenerator[list[TicketState]]:
    url = f"{api_url}/v1/tickets/export"
    batch: list[TicketState] = []
    rest, last = b"", 0
    async with http.get(url, allow_redirects=False) as response:
        if response.status != 200:
            raise ExportFailed(f"{url} answered {response.status}.")
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                batch.append(state := _state(line, zone))
                if state.id <= last:
                    raise ExportFailed(f"The export is not by rising ids: {state.id} after {last}.")
                last = state.id
            if len(batch) >= BATCH_TICKETS:
                yield batch
                batch = []
    if rest:
        raise ExportFailed("The export ends within a line.")
    if batch:
        yield batch


def _state(line: bytes, zone: ZoneInfo) -> TicketState:
    try:
        return state_of(Ticket.model_validate_json(line), zone)
    except ValidationError as error:
        reason = error.errors(include_input=False)[0]["msg"]
        raise ExportFailed(f"The export holds a line that is no ticket: {reason}") from error


async def _one_ahead(
    batches: AsyncGenerator[list[TicketState]],
) -> AsyncGenerator[list[TicketState]]:
    """Yield the batches, each while the next is on its way."""
    following = asyncio.ensure_future(anext(batches, None))
    try:
        while batch := await following:
            following = asyncio.ensure_future(anext(batches, None))
            yield batch
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await batches.aclose()


def _logged_progress() -> Progress:
    shown = time.monotonic()

    def log_now_and_then(done: int, total: int) -> None:
        nonlocal shown
        if time.monotonic() - shown > PROGRESS_SECONDS:
            shown = time.monotonic()
            log.info("rebuild: %d of %d tickets", done, total)

    return log_now_and_then
