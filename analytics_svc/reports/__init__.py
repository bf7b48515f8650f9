"""The three reports, one module each: request → numbers → result.

`count` tells the numbers at an instant and never draws; `report` answers the request.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from analytics_svc import store
from analytics_svc.database import Connection, DatabaseAway, Pool, snapshot
from analytics_svc.store import Built, NotBuilt
from bus.rpc import RpcError


@asynccontextmanager
async def reading(pool: Pool) -> AsyncIterator[tuple[Connection, Built]]:
    """Open a snapshot of the read model; raises RpcError `unavailable`."""
    try:
        async with snapshot(pool) as connection:
            yield connection, await store.fetch_built(connection)
    except DatabaseAway as error:
        raise RpcError("unavailable", "The database of the reports is away.") from error
    except NotBuilt as error:
        raise RpcError("unavailable", str(error)) from error
