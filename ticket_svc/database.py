"""The connection pool; what counts as "the database is away" is in `runtime.postgres`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from runtime.postgres import Database
from runtime.sessions import setting_each

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

POOL_MAX_CONNECTIONS = 16
# A caller learns within this time that no connection can be had; less than callers of ours wait, so
# that no answer is worked out for one who has gone.
ACQUIRE_SECONDS = 1.0
COMMAND_SECONDS = 10.0
# Below this share of common trigrams two reports are not about the same problem.
SIMILAR_MIN_SCORE = "0.3"
# A row that others change is worth waiting for as long as they take, not as long as they queue.
# With the turn of `runtime.writers`, the gate and ACQUIRE_SECONDS it is less than callers wait.
LOCK_MILLISECONDS = 700
# Nobody waits for the answer of a consumer or of the relay. Less than COMMAND_SECONDS, which would
# cost the session.
PATIENT_LOCK_MILLISECONDS = 9_000
SESSION = {
    "search_path": "tickets, extensions",
    "jit": "off",
    # Requests share the cores; starting helpers costs more than they save.
    "max_parallel_workers_per_gather": "0",
    "lock_timeout": str(LOCK_MILLISECONDS),
    "pg_trgm.word_similarity_threshold": SIMILAR_MIN_SCORE,
}


def create_pool(database_url: str) -> Database:
    """Return what connects when first used, so that the service starts without database.

    To acquire a connection raises DatabaseAway, after ACQUIRE_SECONDS at most.
    """
    pool = asyncpg.create_pool(
        database_url,
        min_size=0,
        max_size=POOL_MAX_CONNECTIONS,
        timeout=ACQUIRE_SECONDS,
        command_timeout=COMMAND_SECONDS,
        reset=_keep_session,
        init=setting_each(SESSION),
        server_settings={"application_name": "ticket_svc", "TimeZone": "UTC"},
    )
    return Database(pool, ACQUIRE_SECONDS)


@asynccontextmanager
async def patient_transaction(pool: Database) -> AsyncIterator[Connection]:
    """Open a transaction that waits for a lock up to PATIENT_LOCK_MILLISECONDS.

    Raises DatabaseAway.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = {PATIENT_LOCK_MILLISECONDS}")
        yield connection


async def _keep_session(_connection: Any) -> None:
    # asyncpg has rolled back what was open. Nothing here changes a session, and the usual RESET ALL
    # would cost a round trip for each request.
    pass
