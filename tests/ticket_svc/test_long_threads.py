"""What a change of a ticket costs does not grow with its thread."""

from contextlib import asynccontextmanager

import pytest

MESSAGES = 200
ROWS = """
    SELECT relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS read,
           n_tup_ins AS made, n_tup_upd + n_tup_del AS changed
      FROM pg_stat_xact_user_tables WHERE relname IN ('message', 'ticket_text', 'visible_word')
"""


@asynccontextmanager
async def touched(sql):
    """Yield what becomes, by table, the rows that are read, made and changed within."""
    found = {}
    async with sql.transaction():
        # What earlier transactions of the session have not told yet is among them.
        before = {row["relname"]: row for row in await sql.fetch(ROWS)}
        yield found
        for row in await sql.fetch(ROWS):
            known = before[row["relname"]]
            found[row["relname"]] = tuple(row[n] - known[n] for n in range(1, 4))


@pytest.fixture
async def ticket(api, sql):
    ticket = await api.open("The printer jams")
    await sql.execute(
        "WITH sent AS (UPDATE ticket SET messages = $2, version = $2 + 1 WHERE id = $1)"
        " INSERT INTO message (ticket_id, author, body, sent_at)"
        " SELECT $1, 'user', 'own' || n || ' words' || n, now() FROM generate_series(1, $2) AS n",
        ticket["id"],
        MESSAGES,
    )
    return await api.get(ticket["id"])


async def test_an_edit_touches_no_message_of_the_thread(sql, ticket):
    async with touched(sql) as found:
        await sql.execute("UPDATE ticket SET description = 'The lift' WHERE id = $1", ticket["id"])
    assert found["message"] == (0, 0, 0)
    assert found["ticket_text"] == (1, 0, 1)
    assert found["visible_word"] == (2, 1, 2), "two words go, and one comes"


async def test_a_message_touches_no_other_of_the_thread(sql, ticket):
    async with touched(sql) as found:
        await sql.execute(
            "INSERT INTO message (ticket_id, author, body, sent_at)"
            " VALUES ($1, 'user', 'three new words', now())",
            ticket["id"],
        )
    assert found["message"] == (0, 1, 0)
    assert found["ticket_text"] == (0, 1, 0)
    assert found["visible_word"] == (0, 3, 0)
