"""The three reports, one module each: request → numbers → result.

`count` tells the numbers at an instant and never draws; `report` answers the request.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from analytics_svc import store
from analytics_svc.database import Connection
from analytics_svc.queries import ALL, Replaced
from analytics_svc.state import TicketState
from analytics_svc.store import Built, NotBuilt
from bus.rpc import RpcError
from contracts.reports import OldTicket, ReportRequest
from contracts.vocabulary import NO_CATEGORY, Category, Status
from runtime.postgres import Database, DatabaseAway

NumbersT = TypeVar("NumbersT")


async def read(
    pool: Database, count: Callable[[Connection, Built], Awaitable[NumbersT]]
) -> tuple[Built, NumbersT]:
    """Return what there is to read, and what `count` finds there; raises RpcError `unavailable`."""
    try:
        async with pool.acquire() as connection:
            while True:
                built = await store.fetch_built(connection)
                with suppress(Replaced):
                    return built, await count(connection, built)
    except DatabaseAway as error:
        raise RpcError("unavailable", "The database of the reports is away.") from error
    except NotBuilt as error:
        raise RpcError("unavailable", str(error)) from error


def scope_of(request: ReportRequest) -> str:
    """Return which rollups the request is about."""
    return request.category or ALL


def categories_of(request: ReportRequest) -> list[str]:
    """Return the categories that the request is about, NO_CATEGORY too."""
    return [request.category] if request.category else [*Category, NO_CATEGORY]


def old_ticket(state: TicketState) -> OldTicket:
    """Return a ticket that is not closed as reports show it."""
    return OldTicket(
        id=state.id,
        title=state.title or "",
        status=Status(state.status),
        category=None if state.category == NO_CATEGORY else Category(state.category),
        opened_at=state.opened_at,
    )
