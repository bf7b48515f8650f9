"""Nobody fills the helpdesk: who sends too much waits, and reads for how long.

The clock stands still unless a test sets it on, so that nothing comes back by itself.
"""

from collections.abc import Mapping
from uuid import uuid4

import pytest

from runtime.limits import Rate
from tests.runtime.test_limits import Clock
from tests.security.limited import (
    DEEDS,
    JSON,
    ONE_EACH,
    TEXT,
    Campus,
    campus,
    clock,
    cookies,
    do,
    every_deed,
    forgetful,
)
from tests.web.conftest import HTMX, Api, MakePerson, Seen
from web.pages.errors import say_wait
from web.settings import Kind, Settings

__all__ = ["campus", "clock"]


@every_deed
async def test_a_browser_waits_after_too_much_of_a_kind_and_then_goes_on(
    campus: Campus, people: MakePerson, api: Api, clock: Clock, name: str
) -> None:
    deed = DEEDS[name]
    server = await campus(ONE_EACH)
    person, other = people(deed.role, server), people(deed.role, server)
    ticket = await api.open("Limited")
    for someone in (person, other):
        await someone.see("/")
    assert (await do(person, deed, ticket.id)).status != 429
    for headers in ({}, HTMX, JSON):
        seen = await do(person, deed, ticket.id, **headers)
        assert (seen.status, seen.headers["Retry-After"]) == (429, "1"), headers
        if headers == JSON:
            assert seen.headers["Content-Type"].startswith("application/problem+json")
            assert '"code":"too_many_requests"' in seen.html
        elif deed.kind is Kind.TYPING or (deed.kind is Kind.HINT and headers):
            assert not seen.html  # what scripts ask for by themselves stays as it is
        else:
            assert "Too many requests came from this browser." in seen.text
            assert "Please try again in 1 second." in seen.text
            assert "Your text is still here." in seen.text or not deed.box
    # Nobody else waits, and nothing else does.
    assert (await do(other, deed, ticket.id)).status != 429
    for kind in {deed.kind: deed} | {d.kind: d for d in DEEDS.values() if d.kind != deed.kind}:
        if kind != deed.kind and DEEDS[kind_name(kind)].role == deed.role:
            assert (await do(person, DEEDS[kind_name(kind)], ticket.id)).status != 429
    clock.now += 1.0
    assert (await do(person, deed, ticket.id)).status != 429


def kind_name(kind: Kind) -> str:
    return next(name for name, deed in DEEDS.items() if deed.kind == kind)


@pytest.mark.parametrize("name", [name for name, deed in DEEDS.items() if deed.box])
async def test_the_typed_text_comes_back_in_a_form_that_sends_it_after_the_wait(
    campus: Campus, people: MakePerson, api: Api, clock: Clock, name: str
) -> None:
    deed = DEEDS[name]
    person = people(deed.role, await campus(ONE_EACH))
    ticket = await api.open("The text of a refused form")
    await person.see("/")
    await do(person, deed, ticket.id)
    refused = await do(person, deed, ticket.id)
    assert refused.status == 429
    assert refused.typed("unsent-text") == TEXT
    assert f'action="{deed.path.replace("{id}", str(ticket.id))}"' in refused.html
    for field, value in deed.fields.items():
        if field in ("key", "version", "was"):
            assert refused.field(field) == value
    clock.now += 1.0
    assert (await do(person, deed, ticket.id)).status != 429


async def test_a_refused_report_is_no_ticket_and_one_after_the_wait(
    campus: Campus, people: MakePerson, api: Api, clock: Clock
) -> None:
    person = people("user", await campus(ONE_EACH))
    await person.see("/")
    word = f"w{uuid4().hex}"
    assert (await person.send("/tickets", text=f"{word} one", key=str(uuid4()))).status == 303
    refused = await person.send("/tickets", text=f"{word} two", key=str(uuid4()))
    assert refused.status == 429
    assert len(await api.find(word)) == 1
    clock.now += 1.0
    again = {"text": refused.typed("unsent-text"), "key": refused.field("key")}
    assert (await person.send("/tickets", **again)).status == 303
    assert len(await api.find(word)) == 2


async def test_each_of_many_tickets_counts(
    campus: Campus, people: MakePerson, api: Api, clock: Clock
) -> None:
    person = people("helpdesk", await campus({Kind.WORK: (Rate(3, 60), Rate(100, 100))}))
    await person.see("/")
    tickets = [await api.open(f"One of many {n}") for n in range(3)]

    async def start(*ids: int) -> Seen:
        fields = [("do", "active"), *(("ticket", str(ticket_id)) for ticket_id in ids)]
        return await person.ask("POST", "/tickets/bulk", data=fields)

    assert (await start(tickets[0].id, tickets[1].id)).status == 303
    refused = await start(tickets[1].id, tickets[2].id)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    assert (await api.fetch(tickets[2].id)).status == "open"
    clock.now += 1.0
    assert (await start(tickets[1].id, tickets[2].id)).status == 303


async def test_looking_is_not_limited(campus: Campus, people: MakePerson, api: Api) -> None:
    person = people("user", await campus(ONE_EACH))
    ticket = await api.open("Looked at")
    for path in ("/tickets", "/tickets?status=open", "/tickets?q=", f"/tickets/{ticket.id}", "/"):
        for _ in range(3):
            assert (await person.see(path)).status == 200


async def test_the_sentence_says_whose_requests_count_and_how_long_to_wait(
    campus: Campus, people: MakePerson, settings: Settings
) -> None:
    async def refuse(rates: tuple[Rate, Rate], headers: Mapping[str, str]) -> str:
        script = forgetful(people(None, await campus({Kind.SEARCH: rates})))
        for _ in range(2):
            seen = await script.see("/tickets?q=lift", headers=headers)
        assert seen.status == 429
        return seen.text

    many, known = Rate(100, 6_000), cookies(settings)
    mine = await refuse((Rate(1, 1), many), known)
    assert "came from this browser. Please try again in 60 seconds." in mine
    shared = "came from your network; other people in it count too. Please try again in 1 second."
    assert shared in await refuse((many, Rate(1, 60)), known)
    assert shared in await refuse((Rate(1, 60), many), {"Cookie": "role=user"})


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1, "1 second"), (90, "90 seconds"), (91, "2 minutes"), (121, "3 minutes")],
)
def test_a_long_wait_is_said_in_minutes(seconds: int, said: str) -> None:
    assert say_wait(seconds) == f"Please try again in {said}."


async def test_limits_can_be_off(campus: Campus, people: MakePerson) -> None:
    person = people("user", await campus({}))
    for _ in range(15):
        assert (await person.see("/tickets?q=lift")).status == 200
