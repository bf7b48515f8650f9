"""Nothing that a user is answered tells a word of a closed ticket, or of a text of the past.

Told by difference: two helpdesks that differ in such words only give equal answers, byte by byte.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import asyncpg
import pytest

from deploy.local.names import Names
from tests.conftest import create_database, with_path
from tests.ticket_svc.conftest import TOKEN, Api, api, blocked, serve, sql
from ticket_svc.known import NEAR_WORDS_MAX
from ticket_svc.wanted import USUAL_USES, WRITTEN_MAX

__all__ = ["api", "blocked", "sql"]
SEED = int(os.environ.get("WORDS_SEED", "0")) or random.randrange(1, 10**6)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SAME_TIMES = """
    UPDATE ticket SET opened_at = at, modified_at = at,
           closed_at = CASE status WHEN 'closed' THEN at END,
           waiting_since = CASE WHEN waiting_since IS NOT NULL THEN at END
      FROM (SELECT id AS at_id, timestamptz '2026-01-01' + id * interval '1 s' AS at FROM ticket)
           AS times
     WHERE id = at_id
"""


class Helpdesk(NamedTuple):
    """A ticket service, and a connection to its database."""

    api: Api
    sql: asyncpg.Connection


class Words:
    """Words of nine letters, and what somebody types who wants to read them letter by letter."""

    def __init__(self, chance: random.Random, n: int) -> None:
        self._chance = chance
        self.secrets = ["".join(chance.choices(LETTERS, k=9)) for _ in range(n)]

    def guesses(self) -> Iterator[tuple[str, str]]:
        """Yield parts of the words, and for each a word that it may be a typo of."""
        for secret in self.secrets:
            for length in (4, 5, 8, 9):
                start = self._chance.randint(0, 9 - length)
                guess = secret[start : start + length]
                n = self._chance.randrange(length)
                other = self._chance.choice([one for one in LETTERS if one != guess[n]])
                yield guess, guess[:n] + other + guess[n + 1 :]


@pytest.fixture
async def helpdesks(names: Names, worker_id: str) -> AsyncIterator[tuple[Helpdesk, Helpdesk]]:
    """Return two with nothing in them."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(2):
            name = await create_database(names, worker_id)
            url = with_path(names["TICKET_DATABASE_URL"], name)
            connection = await asyncpg.connect(
                url, server_settings={"search_path": "tickets, extensions"}
            )
            stack.push_async_callback(connection.close)
            made.append(Helpdesk(await stack.enter_async_context(serve(url)), connection))
        yield made[0], made[1]


async def hide(api: Api, secrets: list[str]) -> None:
    """Put the words where a user cannot read them any more."""
    described, told, edited, told_open = secrets
    ticket = await api.open(f"The projector of {described}")
    await api.send(ticket, f"It was {told}, and of {described}", role="helpdesk")
    await api.close(ticket)
    ticket = await api.open(f"The heating of {edited}")
    await api.edit(ticket, description="The heating of a room")
    await api.close(ticket)
    ticket = await api.open(f"The door of {told_open}")
    await api.edit(ticket, description="The door of a room")


async def answer(api: Api, path: str, **params: str) -> bytes:
    """Return what a user gets, the cursor and the next page included."""
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Role": "user"}
    async with api.client.get(path, params=params, headers=headers) as response:
        body = await response.read()
        follow = (await response.json()).get("next")
    if follow and "cursor" not in params:
        body += await answer(api, path, **params, cursor=follow)
    return body


async def assert_equal(helpdesks: tuple[Helpdesk, Helpdesk], path: str, **params: str) -> bytes:
    one, other = [await answer(helpdesk.api, path, **params) for helpdesk in helpdesks]
    assert one == other, f"WORDS_SEED={SEED} {path} {params}"
    return one


async def test_searches_and_similar_tickets_are_the_same_whatever_closed_tickets_say(
    helpdesks: tuple[Helpdesk, Helpdesk],
) -> None:
    print(f"WORDS_SEED={SEED}")
    chance = random.Random(SEED)
    families = [Words(chance, 4), Words(chance, 4)]
    guesses = [pair for family in families for pair in family.guesses()]
    for helpdesk, family in zip(helpdesks, families, strict=True):
        await hide(helpdesk.api, family.secrets)
        for n, (guess, near) in enumerate(guesses):
            said = f"Mine is {near} or {guess[:3]}"
            ticket = await helpdesk.api.open(said if n % 2 else "Mine")
            await helpdesk.api.send(ticket, "x" if n % 2 else said)
        await helpdesk.sql.execute(SAME_TIMES)
    seen = 0
    for guess, near in guesses:
        seen += near.encode() in await assert_equal(helpdesks, "/v1/tickets", q=guess)
        for q in (near, f"mine {guess}", guess[:3], guess[:2]):
            await assert_equal(helpdesks, "/v1/tickets", q=q)
        for sort in ("-modified_at", "opened_at", "waiting_since"):
            await assert_equal(helpdesks, "/v1/tickets", q=guess, sort=sort, limit="1")
        await assert_equal(helpdesks, "/v1/tickets/similar", text=f"The projector of {guess}")
    await assert_equal(helpdesks, "/v1/tickets/4/similar")
    assert seen > len(guesses) / 4, "the own ticket, which is what such an attack looks for"


async def test_no_number_of_closed_words_takes_the_place_of_a_visible_one(
    helpdesks: tuple[Helpdesk, Helpdesk],
) -> None:
    many = WRITTEN_MAX + 100
    near = [f"heatings{a}{b}" for a in LETTERS for b in LETTERS][: 3 * NEAR_WORDS_MAX]
    hidden = (
        [*(f"heating{n}" for n in range(many)), *near],
        [f"other{n}" for n in range(many)],
    )
    for helpdesk, words in zip(helpdesks, hidden, strict=True):
        await helpdesk.api.open("Something visible: meating, xheatingy, heeatingzz")
        for _ in range(USUAL_USES + 1):
            await helpdesk.sql.execute(
                "INSERT INTO ticket (description, status, modified_at, closed_at)"
                " VALUES ($1, 'closed', now(), now())",
                " ".join(words)[:10_000],
            )
        for n in range(3):
            await helpdesk.api.open(f"More of meating, {n}")
        await helpdesk.sql.execute(SAME_TIMES)
    for q in ("heating", "heatin", "heatingsa", "heatingzz", "eating", "he", "heatng", "heatings"):
        await assert_equal(helpdesks, "/v1/tickets", q=q, limit="2")


async def test_a_word_is_unknown_again_once_a_very_long_thread_is_closed(
    api: Api, sql: asyncpg.Connection
) -> None:
    await api.open("Mine is hexting")
    ticket = await api.open("A long story")
    await sql.execute(
        "WITH sent AS (UPDATE ticket SET messages = 250, version = 251 WHERE id = $1)"
        " INSERT INTO message (ticket_id, author, body, sent_at)"
        " SELECT $1, 'user', CASE n WHEN 250 THEN 'heating' ELSE 'More ' || n END, now()"
        " FROM generate_series(1, 250) AS n",
        ticket["id"],
    )
    assert await found(api, "heating") == [ticket["id"]]
    await api.close(ticket)
    assert await found(api, "heating") == [ticket["id"] - 1]


async def found(api: Api, q: str) -> list[int]:
    answer = await api.call("GET", "/v1/tickets", role="user", params={"q": q}, expect=200)
    return [item["id"] for item in answer.body["items"]]


WORDS_NOW = """
    SELECT id AS ticket_id, false AS in_message, unnest(text_words(description)) AS text
      FROM ticket WHERE status <> 'closed'
    UNION
    SELECT ticket_id, true, unnest(text_words(body))
      FROM message JOIN ticket ON ticket.id = ticket_id WHERE status <> 'closed'
"""


async def assert_words_are_those_of_now(sql: asyncpg.Connection) -> None:
    visible = await sql.fetch("SELECT ticket_id, in_message, text FROM visible_word")
    assert set(visible) == set(await sql.fetch(WORDS_NOW))


async def test_after_any_changes_users_know_the_words_of_the_texts_as_they_are(
    api: Api, sql: asyncpg.Connection
) -> None:
    print(f"WORDS_SEED={SEED}")
    chance = random.Random(SEED)

    words = ["lift", "door", "lamp", "tap", "sink", "roof", "Tür", "wifi"]

    def text() -> str:
        return " ".join(chance.choices(words, k=3))

    tickets: list[Any] = [await api.open(text()) for _ in range(4)]
    for _ in range(60):
        n = chance.randrange(len(tickets))
        kind = chance.choice(["open", "edit", "edit", "send", "send", "close"])
        if kind == "open":
            tickets.append(await api.open(text()))
        elif kind == "close":
            await api.close(tickets[n])
        elif kind == "send":
            await api.send(tickets[n], text())
        else:
            await api.edit(await api.get(tickets[n]["id"]), description=text())
    await assert_words_are_those_of_now(sql)


async def test_a_message_that_a_closing_waits_for_leaves_no_word(
    api: Api, sql: asyncpg.Connection, blocked: Any
) -> None:
    ticket = await api.open("The lift")
    await api.move(ticket, "active")
    async with sql.transaction():
        await sql.execute("UPDATE ticket SET messages = 1, version = 3 WHERE id = $1", ticket["id"])
        await sql.execute(
            "INSERT INTO message (ticket_id, author, body, sent_at)"
            " VALUES ($1, 'user', 'x', now())",
            ticket["id"],
        )
        closing = asyncio.create_task(api.move(ticket, "closed"))
        await blocked(1)
    assert (await closing).status == 200
    await assert_words_are_those_of_now(sql)
