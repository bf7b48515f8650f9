"""SQL of the words that were written: which of them a typed word stands for, as a role may know.

Users know the words of tickets that are not closed, as their texts are now: whatever decides what
they find comes from these. Helpdesk knows all that were ever written. Words that only closed
tickets have are left out before a LIMIT counts, so that users cannot tell how many there are.
"""

# ruff: noqa: S608 - what is put together here are constants; every value is a parameter

from contracts.vocabulary import Role
from ticket_svc.database import Connection
from ticket_svc.wanted import (
    USUAL_USES,
    WRITTEN_MAX,
    Known,
    Wanted,
    choose_words,
    holding,
    list_swapped,
    may_be_typo,
    slips_of,
)

# The nearest of those that may be typos.
NEAR_WORDS_MAX = 50
# What follows SELECT text, uses FROM, by role; more conditions on `text` may follow.
_WORDS = {
    Role.HELPDESK: "word WHERE true",
    Role.USER: f"""
        word AS written (text, all_uses)
        CROSS JOIN LATERAL (
            SELECT count(*) AS uses
              FROM (SELECT FROM visible_word AS visible JOIN ticket ON id = ticket_id
                     WHERE visible.text = written.text AND status <> 'closed'
                     LIMIT {USUAL_USES}) AS uses_of_it
        ) AS counted (uses)
        WHERE counted.uses > 0""",
}


async def list_wanted(connection: Connection, role: Role, text: str) -> list[Wanted]:
    """Return what each word of a text stands for; of many words, those that are looked for.

    The first that stands for nothing is the last: nothing has it.
    """
    typed: list[str] = await connection.fetchval("SELECT text_words($1)", text)
    wanted = []
    for word in choose_words(typed):
        written = await _list_written(connection, role, word)
        near = await _list_near(connection, role, word) if may_be_typo(word, written) else []
        wanted.append(Wanted.of(word, written, near))
        if not wanted[-1].meant:
            break
    return wanted


async def _list_written(connection: Connection, role: Role, word: str) -> list[Known]:
    rows = await connection.fetch(
        f"SELECT text, uses FROM {_WORDS[role]} AND text LIKE $1 LIMIT $2",
        holding(word),
        WRITTEN_MAX + 1,
    )
    return [Known(*row) for row in rows]


async def _list_near(connection: Connection, role: Role, word: str) -> list[Known]:
    slips = slips_of(word)
    # A swap leaves too few trigrams of a short word to be seen as similar.
    rows = await connection.fetch(
        f"""
        (SELECT text, uses FROM {_WORDS[role]}
            AND text % $1 AND text NOT LIKE $2 AND char_length(text) BETWEEN $5 AND $6
          ORDER BY similarity(text, $1) DESC, text LIMIT $3)
        UNION
        SELECT text, uses FROM {_WORDS[role]} AND text = ANY($4::text[])
        """,
        word,
        holding(word),
        NEAR_WORDS_MAX,
        list_swapped(word),
        len(word) - slips,
        len(word) + slips,
    )
    return [Known(*row) for row in rows]
