"""SQL for what RabbitMQ has not confirmed yet."""

from typing import NamedTuple

from ticket_svc.database import Connection


class Outgoing(NamedTuple):
    """One message that waits; `type` is an event's routing key or a request's queue."""

    id: int
    type: str
    ticket_id: int
    version: int
    body: str
    refusals: int


async def lock_outbox(connection: Connection) -> bool:
    """Wait until this transaction is the only one that relays: a ticket's events keep their order,
    and none goes out twice, however many replicas run. Return False where nothing waits.

    A row of our own: every role of the database could hold an advisory lock. It is not locked
    while nothing waits, since a lock is a write.
    """
    is_locked: bool | None = await connection.fetchval(
        "SELECT true FROM relay WHERE EXISTS (SELECT FROM outbox) FOR UPDATE"
    )
    return bool(is_locked)


async def list_outgoing(connection: Connection, limit: int) -> list[Outgoing]:
    """Return what is next; what RabbitMQ refused before comes after all else.

    Locked, so that nothing is published where a server that became read-only would not let it be
    deleted, and would have it published again and again.
    """
    rows = await connection.fetch(
        "SELECT id, type, ticket_id, version, body, refusals FROM outbox"
        " ORDER BY refusals, id LIMIT $1 FOR UPDATE",
        limit,
    )
    return [Outgoing(**row) for row in rows]


async def delete_confirmed(connection: Connection, ids: list[int]) -> None:
    """Forget what RabbitMQ has taken over."""
    await connection.execute("DELETE FROM outbox WHERE id = ANY($1::bigint[])", ids)


async def put_back_refused(connection: Connection, ids: list[int]) -> None:
    """Keep what RabbitMQ refused, behind all that it may take."""
    await connection.execute(
        "UPDATE outbox SET refusals = refusals + 1 WHERE id = ANY($1::bigint[])", ids
    )


async def fetch_depth(connection: Connection) -> int:
    """Return how many messages wait."""
    depth: int = await connection.fetchval("SELECT count(*) FROM outbox")
    return depth
