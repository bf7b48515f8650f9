"""The connection pool and transactions; each raises DatabaseAway of `runtime.postgres`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from runtime.postgres import CLOSE_SECONDS, Database
from runtime.sessions import setting_each

# Generic only in the eyes of a type checker.
Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

# A projection and three report workers, each with few statements at a time.
POOL_MAX_CONNECTIONS = 8
ACQUIRE_SECONDS = 5.0
# After this time a connection has fallen silent, and another one is made.
COMMAND_SECONDS = 10.0
# For what a rebuild does with whole tables: far longer than it ever takes, but not for good.
LONG_SECONDS = 600.0
SESSION = {
    "search_path": "analytics",
    "jit": "off",
    # Few statements, always the same and by key: to plan one takes as long as to run it, and to
    # start a helper ten times as long.
    "plan_cache_mode": "force_generic_plan",
    # A plan is kept, also one that was made while the tables were empty.
    "enable_seqscan": "off",
    "max_parallel_workers_per_gather": "0",
}


def connect(url: str) -> Database:
    """Return a pool that connects when it is first used, so that a service starts without it."""
    pool = asyncpg.create_pool(
        url,
        min_size=0,
        max_size=POOL_MAX_CONNECTIONS,
        timeout=ACQUIRE_SECONDS,
        command_timeout=COMMAND_SECONDS,
        reset=_keep_session,
        init=setting_each(SESSION),
        server_settings={"application_name": "analytics_svc"},
    )
    return Database(pool, ACQUIRE_SECONDS)


async def _keep_session(_connection: object) -> None:
    """Reset nothing between uses: transactions leave nothing, and `session` closes its own."""


@asynccontextmanager
async def writing(pool: Database) -> AsyncIterator[Connection]:
    """Open a transaction; raises DatabaseAway."""
    async with pool.acquire() as connection, connection.transaction():
        yield connection
    pool.wrote()


@asynccontextmanager
async def session(pool: Database) -> AsyncIterator[Connection]:
    """Keep a connection for work that outlives a transaction; raises DatabaseAway.

    Closed at the end, and its locks with it.
    """
    async with pool.acquire() as connection:
        try:
            yield connection
        finally:
            with suppress(TimeoutError):  # it is closed all the same
                await connection.close(timeout=CLOSE_SECONDS)
