"""Fills the read model from the ticket service's export; one transaction, all or nothing.

The export starts after the writer's lock is held, and the higher version wins: an event that
comes meanwhile waits, and is then either news or was in the export already.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import aiohttp
from pydantic import ValidationError

from analytics_svc import projection, store
from analytics_svc.database import DatabaseAway, Pool, writing
from contracts.rest import Ticket
from contracts.vocabulary import Role

log = logging.getLogger(__name__)

BATCH_TICKETS = 5_000
# The export may be long, but it must not fall silent.
SILENCE_SECONDS = 60.0
PROGRESS_SECONDS = 2.0
RETRY_FIRST_SECONDS = 0.5
RETRY_MAX_SECONDS = 15.0


class ExportFailed(Exception):
    """The ticket service did not give all of its tickets."""


@dataclass(frozen=True)
class TicketApi:
    """Where the tickets come from."""

    url: str
    token: str = field(repr=False)


async def build_if_needed(pool: Pool, api: TicketApi, timezone: str) -> None:
    """Rebuild where there is no read model for `timezone`; wait for whatever is away."""
    delay = RETRY_FIRST_SECONDS
    while True:
        try:
            return await rebuild(pool, api, timezone, only_if_needed=True)
        except (DatabaseAway, ExportFailed) as error:
            log.warning("rebuild: waiting, %s", error)
        await asyncio.sleep(delay)
        delay = min(delay * 2, RETRY_MAX_SECONDS)


async def rebuild(
    pool: Pool, api: TicketApi, timezone: str, *, only_if_needed: bool = False
) -> None:
    """Replace the read model; until the end the reports show the old one.

    Raises DatabaseAway, and ExportFailed where the export is not complete.
    """
    zone = ZoneInfo(timezone)
    async with writing(pool) as connection:
        await store.lock_for_writing(connection)
        if only_if_needed and await store.find_timezone(connection) == timezone:
            return
        await store.reset(connection, timezone)
        started = shown = time.monotonic()
        done = 0
        async with aclosing(_export(api)) as batches:
            async for tickets in batches:
                await projection.apply(connection, tickets, zone)
                done += len(tickets)
                if time.monotonic() - shown > PROGRESS_SECONDS:
                    shown = time.monotonic()
                    log.info("rebuild: %d tickets, %.0f/s", done, done / (shown - started))
    elapsed = time.monotonic() - started
    log.info("rebuild: done, %d tickets in %.1f s, %.0f/s", done, elapsed, done / elapsed)


async def _export(api: TicketApi) -> AsyncGenerator[list[Ticket]]:
    headers = {"Authorization": f"Bearer {api.token}", "X-Role": Role.HELPDESK}
    timeout = aiohttp.ClientTimeout(total=None, sock_read=SILENCE_SECONDS)
    url = f"{api.url}/v1/tickets/export"
    batch: list[Ticket] = []
    rest = b""
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise ExportFailed(f"{url} answered {response.status}.")
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                batch += map(Ticket.model_validate_json, lines)
                if len(batch) >= BATCH_TICKETS:
                    yield batch
                    batch = []
            if rest:
                raise ExportFailed("The export ends within a line.")
    except (aiohttp.ClientError, OSError) as error:
        raise ExportFailed(f"{url}: {error!r}") from error
    except ValidationError as error:
        reason = error.errors(include_input=False)[0]["msg"]
        raise ExportFailed(f"The export holds a line that is no ticket: {reason}") from error
    yield batch
