"""Two closed tickets that have nothing in common are the same to a user, but for number and time.

So whatever a user is told of one cannot come from what it was about.
"""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

import asyncpg
import pytest

from contracts.rest import Ticket
from contracts.vocabulary import Category, CategorySource, Language, Role
from tests.conftest import Stack
from tests.security.conftest import Rest
from tests.web.conftest import Api, MakePerson, Person, Serve
from tests.web.listener import Listener, listening, position
from web.fragments import Fragments
from web.live import LIVE
from web.variant import Variant

ALL_OF_IT = {"id", "status"}
BROWSER = "00000000-0000-4000-8000-000000000001"


class Pair(NamedTuple):
    """Two closed tickets, and of each an open one that is marked as its duplicate."""

    plain: int
    rich: int
    plain_duplicate: int
    rich_duplicate: int


async def make(api: Api, is_rich: bool) -> tuple[int, int]:
    """Close a ticket; a rich one after all that can happen to a ticket."""
    word = uuid4().hex
    if not is_rich:
        ticket = await api.open(f"Lift {word}", category="facility_management")
    else:
        ticket = await api.open(f"Projector {word}\n" + "No picture. " * 200)
        await api.edit(ticket, description=f"Projector {word} again\n" + "No picture. " * 300)
        for n in range(3):
            await api.say(ticket.id, f"We know of {word} {n}", "user" if n else "helpdesk")
        await api.ask("PUT", f"/tickets/{ticket.id}/affected/{BROWSER}", "user")
        await api.edit(await api.fetch(ticket.id), category="services_complaints")
    duplicates = [await api.open("The same problem") for _ in range(3 if is_rich else 1)]
    for one in duplicates:
        await api.ask("PUT", f"/tickets/{one.id}/duplicate_of", json={"ticket": ticket.id})
    await api.move(ticket.id, "active", "closed")
    return ticket.id, duplicates[0].id


@pytest.fixture
async def pair(api: Api, stack: Stack) -> Pair:
    connection = await asyncpg.connect(stack["TICKET_DATABASE_URL"])
    try:
        # No other number of a page is as long.
        await connection.execute(
            "SELECT setval('tickets.ticket_id_seq', greatest(last_value, 7000000))"
            " FROM tickets.ticket_id_seq"
        )
        plain, plain_duplicate = await make(api, is_rich=False)
        rich, rich_duplicate = await make(api, is_rich=True)
        # Closed at one time, opened and changed at others.
        closed_at = datetime.now(UTC) - timedelta(days=1)
        for ticket_id, days in ((plain, 3), (rich, 500)):
            await connection.execute(
                "UPDATE tickets.ticket SET opened_at = $2, closed_at = $3 WHERE id = $1",
                ticket_id,
                closed_at - timedelta(days=days),
                closed_at,
            )
    finally:
        await connection.close()
    return Pair(plain, rich, plain_duplicate, rich_duplicate)


def mask(text: str, *numbers: int) -> str:
    """Return a text without the numbers of its tickets and without what each answer has anew."""
    for n, number in enumerate(numbers):
        text = re.sub(rf"(?<![0-9]){number}(?![0-9])", f"<ticket {n}>", text)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<key>", text)
    text = re.sub(r"\b[0-9]{16}\b", "<event>", text)
    text = re.sub(r"\b[0-9a-f]{16}\b", "<page>", text)
    return re.sub(r"<(time|span id=.freshness.).*?</(time|span)>", "<time>", text, flags=re.DOTALL)


@pytest.mark.parametrize("htmx", [False, True])
async def test_every_page_and_form_answers_the_same(user: Person, pair: Pair, htmx: bool) -> None:
    gets = ("", "?seen=1", "?before=9", "?until=2", "/similar")
    posts = ("description", "messages", "category", "status", "duplicate", "affected")
    fields = {"text": "mine", "version": "1", "was": "", "category": "technical_it"}
    fields |= {"status": "closed", "of": "1", "key": BROWSER}
    answers = []
    for number in (pair.plain, pair.rich):
        place = f"/tickets/{number}"
        seen = [await user.see(place + get, htmx=htmx) for get in gets]
        seen += [await user.see(f"/tickets?q={number}", htmx=htmx)]
        seen += [await user.send(f"{place}/{post}", htmx=htmx, **fields) for post in posts]
        answers.append([(one.status, mask(one.html, number)) for one in seen])
    for plain, rich in zip(*answers, strict=True):
        assert plain == rich


async def test_every_call_answers_the_same(rest: Rest, pair: Pair) -> None:
    gets = ("", "/messages", "/messages?limit=1", "/history", "/history?limit=1", "/similar")
    changes = (
        ("PATCH", "", {"description": "mine"}),
        ("PATCH", "", {"category": "facility_management"}),
        ("PUT", "/status", {"status": "closed"}),
        ("PUT", "/duplicate_of", {"ticket": 1}),
        ("DELETE", "/duplicate_of", {}),
        ("POST", "/messages", {"body": "mine"}),
        ("PUT", f"/affected/{BROWSER}", {}),
        ("PUT", f"/affected/{uuid4()}", {}),
    )
    answers = []
    for number in (pair.plain, pair.rich):
        place = f"/v1/tickets/{number}"
        given = [await rest.as_role("user", "GET", place + get) for get in (*gets, "/duplicates")]
        for method, part, body in changes:
            for etag in ("*", '"1"', '"3"'):
                headers = {"If-Match": etag, "Idempotency-Key": str(uuid4())}
                given.append(await rest.as_role("user", method, place + part, body, **headers))
        answers.append([(one.status, one.headers.get("ETag"), one.text) for one in given])
    for plain, rich in zip(*answers, strict=True):
        assert plain == rich


async def test_its_open_duplicates_tell_the_same_of_it(user: Person, pair: Pair) -> None:
    plain = await user.see(f"/tickets/{pair.plain_duplicate}")
    rich = await user.see(f"/tickets/{pair.rich_duplicate}")
    masked = mask(plain.html, pair.plain, pair.plain_duplicate)
    assert "<ticket 0>" in masked
    assert masked == mask(rich.html, pair.rich, pair.rich_duplicate)


async def hear_closing(user: Person, api: Api, ticket: Ticket, path: str) -> str:
    """Return what a stream says from the closing of an active ticket on, until it is over."""
    async with listening(user, path) as stream, asyncio.timeout(20):
        await api.move(ticket.id, "closed")
        heard = []
        if "ticket=" in path:
            heard.append(await stream.until("head", "is closed"))
        else:
            heard.append(await stream.until(f"t{ticket.id}", "Closed"))
            heard.append(await stream.event("ticket"))
            while json.loads(heard[-1].data)["id"] != ticket.id:
                heard[-1] = await stream.event("ticket")
            assert set(json.loads(heard[-1].data)) == ALL_OF_IT
    return "".join(f"{one.event}: {one.data}" for one in heard)


@pytest.mark.parametrize("topic", ["", "&ticket={}"])
async def test_streams_tell_the_same_of_its_closing(user: Person, api: Api, topic: str) -> None:
    told = []
    for is_rich in (False, True):
        ticket = await api.open("Lift" if is_rich else "Projector", category=[*Category][is_rich])
        for n in range(3 * is_rich):
            await api.say(ticket.id, f"{n}")
        await api.move(ticket.id, "active")
        path = f"/live?after={await position(user)}{topic.format(ticket.id)}"
        told.append(mask(await hear_closing(user, api, ticket, path), ticket.id))
    assert told[0] == told[1]


def closed_ticket(ticket_id: int, version: int, **fields: object) -> Ticket:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    known = {
        "description": "Lift", "category": None, "category_source": None, "messages": 0,
        "status": "closed", "opened_at": at, "modified_at": at, "closed_at": at,
    }  # fmt: skip
    return Ticket.model_validate({"id": ticket_id, "version": version} | known | fields)


async def test_what_happens_to_a_closed_ticket_is_not_told(
    serve: Serve, people: MakePerson
) -> None:
    server = await serve()
    live, user = server.app[LIVE], people("user", server)
    while not live.is_connected:
        await asyncio.sleep(0.01)
    late = {"category": Category.TECHNICAL_IT, "category_source": CategorySource.CLASSIFIER}
    first, second = 900_000_001, 900_000_002
    before = await position(user)
    live.hear(closed_ticket(first, 3))
    between = await position(user)
    async with listening(user, f"/live?after={between}") as stream:
        live.hear(closed_ticket(first, 4, **late))
        live.hear(closed_ticket(second, 3))
        assert await hear_until(stream, second) == [second]
    # Who comes back hears of each closing once.
    for after, ids in ((between, [second]), (before, [first, second])):
        async with listening(user, f"/live?after={after}") as stream:
            assert await hear_until(stream, second) == ids


async def hear_until(stream: Listener, last: int) -> list[int]:
    """Return the tickets of this test that a list hears of, up to one."""
    heard = []
    while last not in heard:
        heard.append(json.loads((await stream.event("ticket")).data)["id"])
    # Others are of tests before.
    return [number for number in heard if number >= 900_000_000]


@pytest.mark.parametrize("language", Language)
async def test_rows_and_facts_are_the_same_bytes(serve: Serve, language: Language) -> None:
    fragments = Fragments((await serve()).app)
    plain = closed_ticket(900_000_001, 3)
    rich = closed_ticket(
        900_000_001,
        90,
        description="Projector",
        category=Category.TECHNICAL_IT,
        category_source=CategorySource.HELPDESK,
        opened_at=datetime(2024, 1, 1, tzinfo=UTC),
        messages=40,
        affected=12,
        duplicate_of=7,
    )
    variant = Variant(Role.USER, language)
    assert fragments.row(plain, variant) == fragments.row(rich, variant)
    assert fragments.facts(plain, variant) == fragments.facts(rich, variant)
