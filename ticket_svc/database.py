"""The connection pool, and what counts as "the database is away"."""

from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolAcquireContext, PoolConnectionProxy

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

POOL_MAX_CONNECTIONS = 16
# A caller learns within this time that no connection can be had; less than callers of ours wait, so
# that no answer is worked out for one who has gone.
ACQUIRE_SECONDS = 1.0
COMMAND_SECONDS = 10.0
# Below this share of common trigrams two reports are not about the same problem.
SIMILAR_MIN_SCORE = "0.3"

DATABASE_AWAY: tuple[type[Exception], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # it is stopping, starting, or ended our connection
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,  # the connection was lost between acquiring and using it
    asyncpg.InternalClientError,  # it said goodbye while it lay in the pool
    OSError,
    TimeoutError,
)


def create_pool(database_url: str) -> Pool:
    """Return a pool that connects when first used, so that the service starts without database."""
    return asyncpg.create_pool(
        database_url,
        min_size=0,
        max_size=POOL_MAX_CONNECTIONS,
        timeout=ACQUIRE_SECONDS,
        command_timeout=COMMAND_SECONDS,
        reset=_keep_session,
        server_settings={
            "application_name": "ticket_svc",
            "search_path": "tickets, extensions",
            "jit": "off",
            # Requests share the cores; starting helpers costs more than they save.
            "max_parallel_workers_per_gather": "0",
            "TimeZone": "UTC",
            "pg_trgm.word_similarity_threshold": SIMILAR_MIN_SCORE,
        },
    )


def acquire(pool: Pool) -> "PoolAcquireContext[asyncpg.Record]":
    """Return a context with a connection; raises one of DATABASE_AWAY after ACQUIRE_SECONDS."""
    return pool.acquire(timeout=ACQUIRE_SECONDS)


async def _keep_session(_connection: Any) -> None:
    # asyncpg has rolled back what was open. Nothing here changes a session, and the usual RESET ALL
    # would cost a round trip for each request.
    pass
