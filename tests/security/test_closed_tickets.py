"""A user learns of a closed ticket that it was closed and when; of its words nothing, anywhere."""

import asyncio
import json
from typing import NamedTuple
from uuid import uuid4

import pytest

from contracts.rest import Ticket
from tests.security.conftest import Rest
from tests.web.conftest import Api, MakePerson, Person

IDEMPOTENCY_KEY = "Idempotency-Key"


class Closed(NamedTuple):
    """A closed ticket with a word of its own in each of its texts."""

    ticket: Ticket
    word: str

    def fill(self, path: str) -> str:
        return path.format(id=self.ticket.id, word=self.word)


@pytest.fixture
async def closed(api: Api) -> Closed:
    word = uuid4().hex
    ticket = await api.open(f"The projector of {word} shows no picture")
    await api.edit(ticket, description=f"The projector of room {word} shows no picture")
    await api.say(ticket.id, f"We know about {word}", "user")
    await api.say(ticket.id, f"We repaired {word}")
    await api.move(ticket.id, "active", "closed")
    return Closed(await api.fetch(ticket.id), word)


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(
    "path",
    [
        "/tickets/{id}",
        "/tickets/{id}?seen=1",
        "/tickets/{id}/similar",
        "/tickets",
        "/tickets?q={word}",
        "/tickets?q={word}&status=open&status=active",
        "/tickets?q={word}&status=closed",
        "/tickets?q={word}&status=all",
        "/tickets?category=technical_it",
        "/tickets/hints?text=The+projector+of+room+shows+no+picture",
        "/analytics",
        "/analytics/unclosed.csv",
    ],
)
async def test_no_page_shows_a_user_a_word_of_it(
    user: Person, closed: Closed, path: str, htmx: bool
) -> None:
    seen = await user.see(closed.fill(path), htmx=htmx)
    # The search itself comes back in its own field.
    shown = seen.html.replace(f'value="{closed.word}"', "").replace(f"q={closed.word}", "")
    assert closed.word not in shown


async def test_a_user_s_page_says_that_it_was_closed_and_when(user: Person, closed: Closed) -> None:
    seen = await user.see(f"/tickets/{closed.ticket.id}")
    assert seen.status == 200
    assert "It was closed on" in seen.text


@pytest.mark.parametrize(
    "address", ["description", "messages", "category", "status", "duplicate", "affected"]
)
async def test_a_refused_change_of_it_shows_no_word(
    user: Person, closed: Closed, address: str
) -> None:
    await user.see("/")  # where a browser gets its key
    for htmx in (False, True):
        seen = await user.send(
            f"/tickets/{closed.ticket.id}/{address}",
            htmx=htmx,
            text="mine",
            version="1",
            was="",
            category="facility_management",
            status="open",
            of="1",
        )
        assert seen.status in (403, 409)
        assert closed.word not in seen.html


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/tickets/{id}", 403),
        ("/v1/tickets/{id}/messages", 403),
        ("/v1/tickets/{id}/history", 403),
        ("/v1/tickets/{id}/similar", 403),
        ("/v1/tickets/{id}/duplicates", 403),
        ("/v1/tickets?q={word}", 200),
        ("/v1/tickets?q={word}&category=technical_it&sort=modified_at", 200),
        ("/v1/tickets?q={word}&status=closed", 403),
        ("/v1/tickets?q={word}&status=open&status=active&status=closed", 403),
        ("/v1/tickets?limit=200", 200),
        ("/v1/tickets/similar?text=The+projector+of+room+{word}+shows+no+picture", 200),
        ("/v1/tickets/counts", 200),
        ("/v1/tickets/export", 403),
    ],
)
async def test_no_call_tells_a_user_a_word_of_it(
    rest: Rest, closed: Closed, path: str, status: int
) -> None:
    answer = await rest.as_role("user", "GET", closed.fill(path))
    assert answer.status == status
    assert closed.word not in answer.text
    if status == 403 and "{id}" in path:
        problem = json.loads(answer.text)
        assert problem["code"] == "ticket_closed"
        assert problem["closed_at"]
        assert set(problem) == {"type", "title", "status", "detail", "code", "closed_at"}


@pytest.mark.parametrize(
    ("method", "part", "body"),
    [
        ("PATCH", "", {"description": "mine"}),
        ("PATCH", "", {"category": "facility_management"}),
        ("PUT", "/status", {"status": "open"}),
        ("PUT", "/duplicate_of", {"ticket": 1}),
        ("DELETE", "/duplicate_of", {}),
        ("POST", "/messages", {"body": "mine"}),
        ("PUT", "/affected/00000000-0000-4000-8000-000000000001", {}),
    ],
)
async def test_no_refused_call_tells_a_user_a_word_of_it(
    rest: Rest, closed: Closed, method: str, part: str, body: dict[str, str]
) -> None:
    path = f"/v1/tickets/{closed.ticket.id}{part}"
    for etag in ("*", '"1"', f'"{closed.ticket.version}"'):
        answer = await rest.as_role("user", method, path, body, **{"If-Match": etag})
        assert answer.status in (403, 409)
        assert closed.word not in answer.text


async def test_an_old_etag_is_no_way_in(rest: Rest, closed: Closed) -> None:
    path = f"/v1/tickets/{closed.ticket.id}"
    for etag in ("*", f'"{closed.ticket.version}"', '"1"'):
        answer = await rest.as_role("user", "GET", path, **{"If-None-Match": etag})
        assert answer.status == 403


async def test_a_key_of_the_past_is_no_way_in(rest: Rest, api: Api) -> None:
    key, word = str(uuid4()), uuid4().hex
    body = {"description": f"Kept under a key: {word}", "category": "technical_it"}
    opened = await rest.as_role("user", "POST", "/v1/tickets", body, **{IDEMPOTENCY_KEY: key})
    ticket_id = json.loads(opened.text)["id"]
    await api.move(ticket_id, "active", "closed")
    for again in (body, body | {"description": "guessed"}):
        answer = await rest.as_role("user", "POST", "/v1/tickets", again, **{IDEMPOTENCY_KEY: key})
        assert answer.status == 403
        assert word not in answer.text


async def hear(person: Person, path: str, last: str) -> str:
    """Return the first message of a stream that holds `last`."""
    heard = b""
    async with person.session.get(path) as stream, asyncio.timeout(10):
        while last.encode() not in heard:
            heard = await stream.content.readuntil(b"\n\n")
    return heard.decode()


@pytest.mark.parametrize("topic", ["", "&ticket={id}"])
async def test_no_live_update_after_its_closing_tells_a_word_of_it(
    people: MakePerson, api: Api, topic: str
) -> None:
    person = people("user")
    after = (await person.see("/tickets")).html.split("/live?after=")[1].split('"')[0]
    word = uuid4().hex
    ticket = await api.open(f"Secret {word}")
    await api.say(ticket.id, f"Secret {word}")
    await api.move(ticket.id, "active", "closed")
    target = f'"#t{ticket.id}"' if not topic else "is closed"
    path = f"/live?after={after}{topic.format(id=ticket.id)}"
    # The first may still be on its way through the broker while the ticket is closed already.
    while "Closed" not in (heard := await hear(person, path, target)):
        pass
    assert word not in heard
