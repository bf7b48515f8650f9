"""SQL for one ticket, its thread and its history; pages and searches are in `search.py`.

Every change is one statement: the ticket's next version, its history item and its event stand or
fall together, in one round trip.
"""

# ruff: noqa: S608 - what is put together here are constants; every value is a parameter

from uuid import UUID

import asyncpg

from contracts.fields import ID_MAX
from contracts.rest import HistoryItem, Message, Ticket
from contracts.topology import EVENT_OF_ACTION, RPC_CLASSIFY, RPC_EMBED
from contracts.vocabulary import (
    MESSAGES_MAX,
    PAGE_DEFAULT_ITEMS,
    Action,
    Category,
    CategorySource,
    Role,
    Status,
)
from ticket_svc.database import Connection
from ticket_svc.errors import NotFound, unknown_ticket

TICKET_COLUMNS = (
    "id, description, status, category, category_source, opened_at, modified_at, closed_at,"
    " version, messages, duplicate_of, affected, waiting_since"
)
MESSAGE_COLUMNS = "id, ticket_id, author, body, sent_at"
_PAST_EVERY_ID = ID_MAX + 1

# Parameters of every change: $1 role, $2 action, $3 type of the event, $4 before, $5 after. Its
# own follow. `changed` is the row that it made or changed; no row, no trace.
_HISTORY = """history_item AS (
    INSERT INTO history (ticket_id, version, at, role, action, before, after)
    SELECT id, version, modified_at, $1, $2, $4, $5 FROM changed
)"""
_EVENT = """event AS (
    INSERT INTO outbox (type, ticket_id, version, body)
    SELECT $3, id, version, json_build_object('ticket', to_json(changed)) FROM changed
)"""
_ASK = """
    INSERT INTO outbox (type, ticket_id, version, body)
    SELECT '{}', id, version, json_build_object('text', description) FROM changed
"""
_EMBED = f"embed AS ({_ASK.format(RPC_EMBED)})"
_CLASSIFY = f"classify AS ({_ASK.format(RPC_CLASSIFY)} WHERE category IS NULL)"
# A commit that had to wait must not turn a ticket's time back.
_NEXT_VERSION = "version = version + 1, modified_at = greatest(modified_at, now())"


def to_ticket(row: asyncpg.Record) -> Ticket:
    """Return the ticket of a row with TICKET_COLUMNS."""
    return Ticket(**row)


async def insert_ticket(
    connection: Connection,
    role: Role,
    description: str,
    category: Category | None,
    key: UUID | None,
    request_hash: bytes | None,
) -> Ticket | None:
    """Open a ticket, and ask the classifier for its vector and, where it has none, its category.

    None for a key seen before; waits for a concurrent request with the same key to commit.
    """
    action = Action.OPENED
    row = await connection.fetchrow(
        f"""
        WITH changed AS (
            INSERT INTO ticket (description, category, category_source, idempotency_key,
                                request_hash, waiting_since)
            VALUES ($6, $7, $8, $9, $10, now())
            ON CONFLICT (idempotency_key) DO NOTHING
            RETURNING {TICKET_COLUMNS}
        ), {_HISTORY}, {_EVENT}, {_EMBED}, {_CLASSIFY}
        SELECT {TICKET_COLUMNS} FROM changed
        """,
        role,
        action,
        EVENT_OF_ACTION[action],
        None,
        None,
        description,
        category,
        CategorySource.CLASSIFIER if category else None,
        key,
        request_hash,
    )
    return to_ticket(row) if row else None


async def fetch_ticket_of_key(connection: Connection, key: UUID) -> tuple[Ticket, bytes]:
    """Return what a key opened, with the hash of the request that did."""
    row = await connection.fetchrow(
        f"SELECT {TICKET_COLUMNS}, request_hash FROM ticket WHERE idempotency_key = $1",
        key,
    )
    assert row is not None
    return to_ticket(row), row["request_hash"]


async def fetch_ticket(connection: Connection, ticket_id: int, *, lock: bool = False) -> Ticket:
    """Return the ticket, locked until the transaction ends if so wished; raises NotFound."""
    ticket = await find_ticket(connection, ticket_id, lock=lock)
    if ticket is None:
        raise NotFound(unknown_ticket("id", ticket_id))
    return ticket


async def find_ticket(
    connection: Connection, ticket_id: int, *, lock: bool = False
) -> Ticket | None:
    """Return the ticket, if there is one, locked until the transaction ends if so wished."""
    row = await connection.fetchrow(
        f"SELECT {TICKET_COLUMNS} FROM ticket WHERE id = $1" + (" FOR UPDATE" if lock else ""),
        ticket_id,
    )
    return to_ticket(row) if row else None


async def lock_tickets(connection: Connection, *ticket_ids: int) -> dict[int, Ticket]:
    """Return those that there are, by id, locked until the transaction ends; never a deadlock."""
    rows = await connection.fetch(
        f"SELECT {TICKET_COLUMNS} FROM ticket WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE",
        ticket_ids,
    )
    return {row["id"]: to_ticket(row) for row in rows}


async def list_duplicates(connection: Connection, ticket_id: int) -> list[Ticket]:
    """Return the tickets that are marked as duplicates of one, the oldest ones first."""
    rows = await connection.fetch(
        f"SELECT {TICKET_COLUMNS} FROM ticket WHERE duplicate_of = $1 ORDER BY id LIMIT $2",
        ticket_id,
        PAGE_DEFAULT_ITEMS,
    )
    return [to_ticket(row) for row in rows]


async def update_description(
    connection: Connection, role: Role, ticket: Ticket, after: str
) -> Ticket:
    """Replace the description of a locked ticket, and ask for the vector of the new one."""
    changed = await _update(
        connection,
        "SET description = $5, {next} WHERE id = $6",
        role,
        Action.DESCRIPTION_EDITED,
        ticket.description,
        after,
        ticket.id,
        also=f", {_EMBED}",
    )
    assert changed is not None
    return changed


async def correct_category(
    connection: Connection, role: Role, ticket: Ticket, after: Category
) -> Ticket:
    """Replace the category of a ticket that the transaction has locked; helpdesk's word holds."""
    changed = await _update(
        connection,
        "SET category = $5, category_source = $7, {next} WHERE id = $6",
        role,
        Action.CATEGORISED,
        ticket.category,
        after,
        ticket.id,
        CategorySource.HELPDESK,
    )
    assert changed is not None
    return changed


async def assign_category(
    connection: Connection, ticket_id: int, category: Category
) -> Ticket | None:
    """Take the classifier's category for a ticket that has none yet, closed or not."""
    return await _update(
        connection,
        "SET category = $5, category_source = $7, {next} WHERE id = $6 AND category IS NULL",
        None,
        Action.CATEGORISED,
        None,
        category,
        ticket_id,
        CategorySource.CLASSIFIER,
    )


async def update_status(
    connection: Connection, role: Role, ticket_id: int, before: Status, after: Status
) -> Ticket | None:
    """Move the ticket, for which nobody waits then; None where it does not stand at `before`."""
    return await _update(
        connection,
        "SET status = $5, waiting_since = NULL, {next},"
        " closed_at = CASE WHEN $5 = 'closed' THEN greatest(modified_at, now()) END"
        " WHERE id = $6 AND status = $4",
        role,
        Action.CLOSED if after is Status.CLOSED else Action.ACTIVATED,
        before,
        after,
        ticket_id,
    )


async def update_duplicate_of(
    connection: Connection, role: Role, ticket: Ticket, after: int | None
) -> Ticket:
    """Point a ticket that the transaction has locked to another one, or to none."""
    changed = await _update(
        connection,
        "SET duplicate_of = $7, {next} WHERE id = $6",
        role,
        Action.DUPLICATE_MARKED if after else Action.DUPLICATE_UNMARKED,
        str(ticket.duplicate_of) if ticket.duplicate_of else None,
        str(after) if after else None,
        ticket.id,
        after,
    )
    assert changed is not None
    return changed


async def insert_affected(
    connection: Connection, role: Role, ticket_id: int, browser: UUID
) -> Ticket | None:
    """Count a browser; None where there is no ticket that is not closed, or for one seen before."""
    return await _update(
        connection,
        "SET affected = affected + 1, {next} FROM said WHERE id = said.ticket_id",
        role,
        Action.AFFECTED,
        None,
        None,
        ticket_id,
        browser,
        first="""known AS (
            SELECT id FROM ticket WHERE id = $6 AND status <> 'closed' FOR UPDATE
        ), said AS (
            INSERT INTO affected (ticket_id, browser) SELECT id, $7 FROM known
            ON CONFLICT DO NOTHING RETURNING ticket_id
        ), """,
    )


async def _update(
    connection: Connection,
    change: str,
    role: Role | None,
    action: Action,
    before: str | None,
    after: str | None,
    *own: object,
    first: str = "",
    also: str = "",
) -> Ticket | None:
    row = await connection.fetchrow(
        f"""
        WITH {first}changed AS (
            UPDATE ticket {change.format(next=_NEXT_VERSION)} RETURNING {TICKET_COLUMNS}
        ), {_HISTORY}, {_EVENT}{also}
        SELECT {TICKET_COLUMNS} FROM changed
        """,
        role,
        action,
        EVENT_OF_ACTION[action],
        before,
        after,
        *own,
    )
    return to_ticket(row) if row else None


async def insert_message(
    connection: Connection,
    role: Role,
    ticket_id: int,
    body: str,
    key: UUID | None,
    request_hash: bytes | None,
) -> Message | None:
    """Put a message under a ticket; None where there is none that is not closed and has room, or
    for a key seen before. A user's lets the ticket wait for helpdesk, and helpdesk's ends that.
    """
    action = Action.MESSAGE_SENT
    try:
        row = await connection.fetchrow(
            f"""
            WITH changed AS (
                UPDATE ticket SET messages = messages + 1, {_NEXT_VERSION},
                       waiting_since = CASE WHEN $1 = 'user'
                           THEN coalesce(waiting_since, greatest(modified_at, now())) END
                 WHERE id = $6 AND status <> 'closed' AND messages < $10
                RETURNING {TICKET_COLUMNS}
            ), sent AS (
                INSERT INTO message (ticket_id, author, body, sent_at, idempotency_key,
                                     request_hash)
                SELECT id, $1, $7, modified_at, $8, $9 FROM changed
                RETURNING {MESSAGE_COLUMNS}
            ), {_HISTORY}, event AS (
                INSERT INTO outbox (type, ticket_id, version, body)
                SELECT $3, changed.id, version,
                       json_build_object('ticket', to_json(changed), 'message', to_json(sent))
                  FROM changed, sent
            )
            SELECT {MESSAGE_COLUMNS} FROM sent
            """,
            role,
            action,
            EVENT_OF_ACTION[action],
            None,
            None,
            ticket_id,
            body,
            key,
            request_hash,
            MESSAGES_MAX[role],
        )
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != "message_sent_once":
            raise
        return None
    return Message(**row) if row else None


async def find_message_of_key(connection: Connection, key: UUID) -> tuple[Message, bytes] | None:
    """Return what a key sent, with the hash of the request that did; None for a new key."""
    row = await connection.fetchrow(
        f"SELECT {MESSAGE_COLUMNS}, request_hash FROM message WHERE idempotency_key = $1",
        key,
    )
    return (Message(**row), row["request_hash"]) if row else None


async def list_messages(
    connection: Connection, ticket_id: int, before: int | None, limit: int
) -> list[Message]:
    """Return the last of the thread, or of what was said before a message, oldest first."""
    rows = await connection.fetch(
        f"SELECT {MESSAGE_COLUMNS} FROM message WHERE ticket_id = $1 AND id < $2"
        " ORDER BY id DESC LIMIT $3",
        ticket_id,
        before or _PAST_EVERY_ID,
        limit,
    )
    return [Message(**row) for row in reversed(rows)]


async def list_history(
    connection: Connection, ticket_id: int, before: int | None, limit: int
) -> list[HistoryItem]:
    """Return what happened last, or last before a version, oldest first."""
    rows = await connection.fetch(
        "SELECT version, at, role, action, before, after FROM history"
        " WHERE ticket_id = $1 AND version < $2::bigint ORDER BY version DESC LIMIT $3",
        ticket_id,
        before or _PAST_EVERY_ID,
        limit,
    )
    return [HistoryItem(**row) for row in reversed(rows)]
