"""SQL for canned replies, the answers that helpdesk gives often."""

import asyncpg

from contracts.rest import Reply, WriteReply
from ticket_svc.database import Connection
from ticket_svc.errors import NoSuchReply, TitleTaken, bad_field


async def list_replies(connection: Connection) -> list[Reply]:
    """Return all of them, by title."""
    rows = await connection.fetch("SELECT id, title, body FROM reply ORDER BY lower(title)")
    return [Reply(**row) for row in rows]


async def lock_replies(connection: Connection) -> None:
    """Let nobody else write one until the transaction ends."""
    await connection.execute("LOCK TABLE reply IN SHARE ROW EXCLUSIVE MODE")


async def insert_reply(connection: Connection, reply: WriteReply, most: int) -> Reply | None:
    """Add a reply; None where there are `most` already. Raises TitleTaken.

    Needs `lock_replies` in the same transaction, or two at once could be one too many.
    """
    return await _write(
        connection,
        "INSERT INTO reply (title, body)"
        " SELECT $1, $2 WHERE (SELECT count(*) FROM reply) < $3 RETURNING id, title, body",
        reply,
        most,
    )


async def update_reply(connection: Connection, reply_id: int, reply: WriteReply) -> Reply:
    """Replace a reply; raises NoSuchReply and TitleTaken."""
    written = await _write(
        connection,
        "UPDATE reply SET title = $1, body = $2 WHERE id = $3 RETURNING id, title, body",
        reply,
        reply_id,
    )
    if written is None:
        raise NoSuchReply(
            bad_field("id", "unknown_reply", "there is no reply {reply}", reply=reply_id)
        )
    return written


async def delete_reply(connection: Connection, reply_id: int) -> None:
    """Delete a reply, if it is there."""
    await connection.execute("DELETE FROM reply WHERE id = $1", reply_id)


async def _write(connection: Connection, sql: str, reply: WriteReply, last: int) -> Reply | None:
    try:
        row = await connection.fetchrow(sql, reply.title, reply.body, last)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != "reply_title_once":
            raise
        reason = "another reply is called {title}"
        raise TitleTaken(bad_field("title", "title_taken", reason, title=reply.title)) from None
    return Reply(**row) if row else None
