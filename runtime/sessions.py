"""Sessions of PostgreSQL that are ours alone: what is set in each, and whether a pooler shares.

Services rely on prepared statements, settings and a name that last as long as a connection. A
pooler in session mode keeps that; one that gives each transaction another session must be refused,
or it would all go wrong in silence.
"""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import asyncpg

# Generic only in the eyes of a type checker.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_SECONDS = 5.0
RETRY_SECONDS = 5.0
START_SECONDS = 2.0
# Other clients of a busy pooler may come between; without them one look is enough.
LOOKS = 10
_AWAY = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


def setting_each(settings: Mapping[str, str]) -> Callable[[Any], Coroutine[Any, Any, None]]:
    """Return what a pool calls with each new connection.

    As a statement: poolers refuse startup parameters that they do not know. The settings are
    constants of ours.
    """
    calls = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in settings.items())

    async def set_all(connection: Any) -> None:
        await connection.execute(f"SELECT {calls}")

    return set_all


@asynccontextmanager
async def only_ours(name: str, url: str) -> AsyncIterator[None]:
    """End the process with a sentence once it turns out that a pooler shares sessions.

    `name` is the setting that holds the address. A server that is away is waited for.
    """
    looked = asyncio.Event()
    looking = asyncio.create_task(_look(name, url, looked))
    # Before anything uses the database; one that does not answer keeps nobody from starting.
    with suppress(TimeoutError):
        await asyncio.wait_for(looked.wait(), START_SECONDS)
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _look(name: str, url: str, looked: asyncio.Event) -> None:
    while True:
        try:
            if await are_shared(url):
                _end(name)
            return
        except _AWAY as error:
            # The service itself says what is away, and why.
            log.debug("sessions: %r", error)
        finally:
            looked.set()
        await asyncio.sleep(RETRY_SECONDS)


def _end(name: str) -> None:
    print(
        f"{name} leads to a pooler that gives each transaction another session, so that settings, "
        "locks and prepared statements are lost. Let it pool sessions (pool_mode=session), or name "
        "the server itself.",
        file=sys.stderr,
        flush=True,
    )
    # What runs over such sessions is not worth finishing, and may not end at all.
    os._exit(1)


async def are_shared(url: str) -> bool:
    """Tell whether transactions of one connection may run in different sessions."""
    async with _connection(url) as first:
        try:
            session = await _session_of(first)
        except asyncpg.PostgresConnectionError as error:
            if "statement pooling" in str(error):  # which refuses a transaction
                return True
            raise
        if session == first.get_server_pid():
            return False  # no pooler is between: what the server said at the start holds
        async with _connection(url) as second:
            for _ in range(LOOKS):
                # At the same time they need a session each, and give them back one by one.
                async with first.transaction():
                    session = await _session(first)
                    other = await _session_of(second)
                # A pooler hands out next what came back last, or what lies there longest.
                for connection, own in ((second, other), (first, session), (first, session)):
                    if await _session_of(connection) != own:
                        return True
    return False


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[Connection]:
    # Without named statements, which a shared session may hold of somebody else.
    connection = await asyncpg.connect(
        url,
        timeout=CONNECT_TIMEOUT_SECONDS,
        command_timeout=CONNECT_TIMEOUT_SECONDS,
        statement_cache_size=0,
    )
    try:
        yield connection
    finally:
        connection.terminate()


async def _session_of(connection: Connection) -> int:
    async with connection.transaction():
        return await _session(connection)


async def _session(connection: Connection) -> int:
    return int(await connection.fetchval("SELECT pg_backend_pid()"))
