"""How many tickets are being worked on, by category."""

from analytics_svc import charts, store
from analytics_svc.database import Connection, Pool
from analytics_svc.reports import reading
from contracts.messages import ActiveCategory, ActiveReport, ActiveRequest
from contracts.vocabulary import Category


async def count(connection: Connection) -> dict[Category | None, int]:
    """Return the active tickets of every category, and of None: without one."""
    counts = await store.count_active(connection)
    return {category: counts.get(category, 0) for category in (*Category, None)}


async def report(pool: Pool, request: ActiveRequest) -> ActiveReport:
    """Answer the request; raises RpcError `unavailable`."""
    async with reading(pool) as (connection, built):
        counts = await count(connection)
    # Those without a category are a passing state: no bar where there are none.
    bars = tuple((category, n) for category, n in counts.items() if category or n)
    return ActiveReport(
        categories=[ActiveCategory(category=c, active=counts[c]) for c in Category],
        uncategorised=counts[None],
        as_of=built.now,
        timezone=built.timezone,
        svg=await charts.draw(charts.active, request.language, bars),
    )
