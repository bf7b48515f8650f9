"""The worst that anybody may send: texts of the full length, and a ticket that is full of them."""

import asyncpg

from contracts.vocabulary import DESCRIPTION_MAX_CHARACTERS, MESSAGE_MAX_CHARACTERS
from web.pages.ticket_part import HISTORY_ITEMS, THREAD_ITEMS

# Each is repeated up to the length that a field takes.
WORST = {
    "signs that HTML spells with five": '"',
    "short words": "a b ",
    "addresses": "http://a.bc/ ",
    "addresses in brackets": "(http://a.bc/ (",
    "one address": "http://a.bc/?",
    "one piece of beginnings": "http://",
    "pairs of letter and mark": "e\u0301",
    "emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467 ",
    "lines": "a\n",
}


def full(kind: str, most: int) -> str:
    """Return a text of the full length that begins and ends with something to see."""
    piece = WORST[kind]
    return ("x" + piece * most)[: most - 1] + "y"


async def write_ticket(database_url: str, kind: str, messages: int = THREAD_ITEMS) -> int:
    """Return a new ticket with all texts of a kind, as the database takes them at once."""
    description = full(kind, DESCRIPTION_MAX_CHARACTERS)
    connection = await asyncpg.connect(database_url)
    try:
        ticket_id: int = await connection.fetchval(
            "INSERT INTO tickets.ticket (description, category, category_source, opened_at,"
            " modified_at, messages, version) VALUES ($1, 'technical_it', 'helpdesk', now(), now(),"
            " $2, $3) RETURNING id",
            *(description, messages, messages + HISTORY_ITEMS + 1),
        )
        await connection.execute(
            "INSERT INTO tickets.message (ticket_id, author, body, sent_at)"
            " SELECT $1, 'user', $3, now() FROM generate_series(1, $2::int)",
            *(ticket_id, messages, full(kind, MESSAGE_MAX_CHARACTERS)),
        )
        await connection.execute(
            "INSERT INTO tickets.history (ticket_id, version, at, role, action, before, after)"
            " SELECT $1, n, now(), 'user', 'description_edited', $3, $3"
            " FROM generate_series(1, $2::int) AS n",
            *(ticket_id, messages + HISTORY_ITEMS + 1, description),
        )
    finally:
        await connection.close()
    return ticket_id
