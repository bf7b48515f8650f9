"""The rules of canned replies: all of helpdesk shares them, and nobody else sees them."""

from contracts.rest import Replies, Reply, WriteReply
from contracts.vocabulary import REPLIES_MAX, Role
from runtime.postgres import Database
from ticket_svc import reply_store
from ticket_svc.errors import Forbidden, TooManyReplies


async def list_replies(pool: Database, role: Role) -> Replies:
    """Return all of them, by title; raises Forbidden."""
    _require_helpdesk(role)
    async with pool.acquire() as connection:
        return Replies(items=await reply_store.list_replies(connection))


async def add_reply(pool: Database, role: Role, reply: WriteReply) -> Reply:
    """Keep one more; raises Forbidden, TitleTaken and TooManyReplies."""
    _require_helpdesk(role)
    async with pool.acquire() as connection, connection.transaction():
        await reply_store.lock_replies(connection)
        added = await reply_store.insert_reply(connection, reply, REPLIES_MAX)
    if added is None:
        raise TooManyReplies
    return added


async def replace_reply(pool: Database, role: Role, reply_id: int, reply: WriteReply) -> Reply:
    """Write one anew; raises Forbidden, NoSuchReply and TitleTaken."""
    _require_helpdesk(role)
    async with pool.acquire() as connection:
        return await reply_store.update_reply(connection, reply_id, reply)


async def delete_reply(pool: Database, role: Role, reply_id: int) -> None:
    """Delete one; none is no error and no change. Raises Forbidden."""
    _require_helpdesk(role)
    async with pool.acquire() as connection:
        await reply_store.delete_reply(connection, reply_id)


def _require_helpdesk(role: Role) -> None:
    if role is not Role.HELPDESK:
        raise Forbidden
