"""Whoever works on one ticket, however hard, stops nobody who works on another."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import asyncpg
import pytest

from contracts.rest import Ticket
from contracts.vocabulary import MESSAGES_MAX, Role
from tests.conftest import Stack
from tests.security.conftest import Answer, Rest
from tests.ticket_svc.conftest import wait_for_blocked
from tests.web.conftest import Api, Person, Seen

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Edit: TypeAlias = Callable[[int], Awaitable[Answer | Seen]]

EDITORS = 30
OTHERS = 30


@pytest.fixture
async def sql(stack: Stack) -> AsyncIterator[Sql]:
    connection = await asyncpg.connect(
        stack["TICKET_DATABASE_URL"], server_settings={"search_path": "tickets, extensions"}
    )
    yield connection
    await connection.close()


@pytest.fixture
async def crowded(api: Api) -> Ticket:
    return await api.open("Everybody edits this")


@pytest.fixture(params=["over REST", "at the page"])
def edit(request: pytest.FixtureRequest, user: Person, rest: Rest, crowded: Ticket) -> Edit:
    """Return an edit of the crowded ticket; its number may be written in several ways."""

    async def edit_over_rest(n: int) -> Answer:
        body = {"description": f"Text {n}"}
        return await rest.as_role("user", "PATCH", f"/v1/tickets/{crowded.id}", body)

    async def edit_at_the_page(n: int) -> Seen:
        path = f"/tickets/{crowded.id:0{n % 4 + 1}}/description"
        return await user.send(path, text=f"Text {n}", version="1", was="")

    return edit_over_rest if request.param == "over REST" else edit_at_the_page


async def test_a_crowd_that_edits_one_ticket_takes_no_page_from_others(
    user: Person, rest: Rest, api: Api, sql: Sql, crowded: Ticket, edit: Edit
) -> None:
    path = f"/tickets/{(await api.open('Nobody edits this')).id}"
    async with sql.transaction():
        # As long as the longest statement could take.
        await sql.execute("SELECT FROM ticket WHERE id = $1 FOR UPDATE", crowded.id)
        edits = [asyncio.create_task(edit(n)) for n in range(EDITORS)]
        await wait_for_blocked(sql, 2)
        statuses = [(await user.see(path)).status for _ in range(OTHERS)]
        answers = [await rest.as_role("user", "GET", f"/v1{path}") for _ in range(OTHERS)]
        sent = await user.send(f"{path}/messages", text="Still served", key="")
        refused = [await one for one in edits]
    assert {*statuses, *(answer.status for answer in answers)} == {200}
    assert sent.status == 303
    for answer in refused:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
        if isinstance(answer, Answer):
            assert json.loads(answer.text)["code"] == "contended"
    assert (await edit(0)).status < 400


@pytest.mark.parametrize("htmx", [False, True])
async def test_who_has_to_come_back_is_told_so_and_keeps_the_text(
    user: Person, api: Api, sql: Sql, htmx: bool
) -> None:
    ticket = await api.open("Somebody holds this")
    async with sql.transaction():
        await sql.execute("SELECT FROM ticket WHERE id = $1 FOR UPDATE", ticket.id)
        path = f"/tickets/{ticket.id}/messages"
        seen = await user.send(path, htmx=htmx, text="Typed with care", key="")
    assert seen.status == 503
    assert int(seen.headers["Retry-After"]) > 0
    assert "Many people are changing this ticket at the moment." in seen.text
    assert ("Your text is still here." if htmx else "Typed with care") in seen.text


@pytest.mark.parametrize("htmx", [False, True])
async def test_a_thread_that_is_full_says_what_to_do_and_the_text_becomes_a_report(
    user: Person, api: Api, sql: Sql, htmx: bool
) -> None:
    ticket = await api.open("Everybody writes here")
    await sql.execute(
        "UPDATE ticket SET messages = $2, version = $2 + 1 WHERE id = $1",
        ticket.id,
        MESSAGES_MAX[Role.USER],
    )
    path = f"/tickets/{ticket.id}/messages"
    seen = await user.send(path, htmx=htmx, text="Typed with care", key="")
    assert seen.status == 409
    assert "Please report what is left as a new problem" in seen.text
    if htmx:
        assert "Your text is still here." in seen.text
        return
    assert 'action="/tickets"' in seen.html
    assert "Report problem" in seen.text
    assert "Typed with care" in seen.text
