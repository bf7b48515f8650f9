"""A database that PostgreSQL has not analyzed yet, or only while it was empty, is as quick."""

import pytest

TICKETS = 100
WORDS = 10


async def rows_read_whole(sql):
    """Return how many rows this transaction has read by going through whole tables."""
    return int(
        await sql.fetchval(
            "SELECT sum(seq_tup_read) FROM pg_stat_xact_user_tables WHERE relname <> 'ticket_count'"
        )
    )


@pytest.mark.parametrize("analyzed", [False, True])
async def test_the_first_tickets_of_a_database_are_not_slower_than_later_ones(sql, analyzed):
    # Autovacuum comes when it likes, and would hide what this is about.
    await sql.execute("ALTER TABLE word SET (autovacuum_enabled = off)")
    if analyzed:
        await sql.execute("INSERT INTO ticket (description) VALUES ('the first words')")
        await sql.execute("ANALYZE word")
    async with sql.transaction():
        for n in range(TICKETS):
            await sql.execute(
                "INSERT INTO ticket (description) VALUES ($1)",
                " ".join(f"word{n * WORDS + m}" for m in range(WORDS)),
            )
        await sql.execute(
            "INSERT INTO message (ticket_id, author, body, sent_at)"
            " SELECT id, 'user', 'a message to ' || id, now() FROM ticket"
        )
        read = await rows_read_whole(sql)
    assert await sql.fetchval("SELECT count(*) FROM word") >= TICKETS * WORDS
    # The statement above goes through the tickets once.
    assert read <= 2 * TICKETS
