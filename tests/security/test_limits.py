"""Nobody fills the helpdesk: what one browser and one address may do in a time, and what they read.

The clock stands still unless a test sets it on, so that nothing comes back by itself.
"""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from ipaddress import ip_network
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from runtime.limits import Rate
from tests.conftest import Stack
from tests.runtime.test_limits import Clock
from tests.web.conftest import HTMX, Api, MakePerson, Person, Seen, Serve
from web import limits
from web.browser import sign
from web.limits import LIMITED_TOTAL, Limits
from web.pages.errors import say_wait
from web.settings import LIMITS, Kind, Settings

ONE_EACH = {kind: (Rate(1, 60), Rate(100, 6_000)) for kind in Kind}
JSON = {"Accept": "application/json"}
PAGE_ID = "0123456789abcdef"


class Deed(NamedTuple):
    """Something that is limited; `box` is the field in which a text was typed."""

    kind: Kind
    method: str
    path: str
    fields: Mapping[str, str] = {}
    box: str = ""
    role: str = "user"


TEXT = "Typed with <care>, twice"
DEEDS = {
    "report": Deed(Kind.REPORT, "POST", "/tickets", {"text": TEXT, "key": str(uuid4())}, "text"),
    "message": Deed(Kind.MESSAGE, "POST", "/tickets/{id}/messages", {"text": TEXT}, "text"),
    "edit": Deed(
        Kind.MESSAGE,
        "POST",
        "/tickets/{id}/description",
        {"text": TEXT, "version": "1", "was": "x"},
        "text",
    ),
    "me too": Deed(Kind.AFFECTED, "POST", "/tickets/{id}/affected"),
    "typing": Deed(Kind.TYPING, "POST", "/tickets/{id}/typing", {"page": PAGE_ID}),
    "search": Deed(Kind.SEARCH, "GET", "/tickets?q=lift"),
    "similar": Deed(Kind.HINT, "GET", "/tickets/{id}/similar", role="helpdesk"),
    "search of bulk": Deed(
        Kind.SEARCH, "POST", "/tickets/bulk?q=lift", {"do": "active"}, role="helpdesk"
    ),
    "hints": Deed(Kind.HINT, "GET", "/tickets/hints?text=The+lift+is+stuck"),
    "model": Deed(Kind.HINT, "GET", "/classifier?text=The+lift+is+stuck", role="helpdesk"),
    "step": Deed(Kind.WORK, "POST", "/tickets/{id}/status", {"status": "active"}, role="helpdesk"),
    "category": Deed(
        Kind.WORK,
        "POST",
        "/tickets/{id}/category",
        {"category": "facility_management"},
        role="helpdesk",
    ),
    "duplicate": Deed(Kind.WORK, "POST", "/tickets/{id}/duplicate", {"of": "x"}, role="helpdesk"),
    "bulk": Deed(
        Kind.WORK, "POST", "/tickets/bulk", {"do": "active", "ticket": "{id}"}, role="helpdesk"
    ),
    "reply": Deed(Kind.WORK, "POST", "/replies", {"title": "", "text": TEXT}, "text", "helpdesk"),
    "reply again": Deed(
        Kind.WORK, "POST", "/replies/999999", {"title": "", "text": TEXT}, "text", "helpdesk"
    ),
    "reply deleted": Deed(Kind.WORK, "POST", "/replies/999999/delete", role="helpdesk"),
}
every_deed = pytest.mark.parametrize("name", DEEDS)


class Campus(Protocol):
    async def __call__(self, limits: Mapping[str, tuple[Rate, ...]], **more: Any) -> TestServer: ...


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def campus(serve: Serve, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Campus:
    """Return a starter of a web tier with limits and the test's clock."""
    monkeypatch.setattr("web.app.Limits", partial(Limits, clock=clock))

    async def start(limits: Mapping[str, tuple[Rate, ...]], **more: Any) -> TestServer:
        return await serve(limits=limits, **more)

    return start


async def do(person: Person, deed: Deed, ticket_id: int, **headers: str) -> Seen:
    at = str(ticket_id)
    fields = {name: value.replace("{id}", at) for name, value in deed.fields.items()}
    data = fields if deed.method == "POST" else None
    path = deed.path.replace("{id}", at)
    return await person.ask(deed.method, path, data=data, headers=headers)


def cookies(settings: Settings, role: str = "user") -> dict[str, str]:
    """Return the cookies of a browser that has just come."""
    return {"Cookie": f"role={role}; browser={sign(settings.secret, uuid4())}"}


def forgetful(person: Person) -> Person:
    """Return the person, whose client sends only the cookies that a test writes."""
    person.session._cookie_jar = aiohttp.DummyCookieJar()
    return person


# --- Who sends too much waits ---------------------------------------------------------------------
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


# --- Cookies, addresses ---------------------------------------------------------------------------
async def test_dropping_or_inventing_cookies_gains_nothing(
    campus: Campus, people: MakePerson, settings: Settings
) -> None:
    script = forgetful(people(None, await campus({Kind.SEARCH: (Rate(2, 60), Rate(100, 100))})))

    async def search(cookie: str) -> int:
        headers = {"Cookie": f"role=user; {cookie}"}
        return (await script.see("/tickets?q=lift", headers=headers)).status

    invented = [
        "",
        f"browser={uuid4()}",
        f"browser={sign('another secret of a script', uuid4())}",
        f"browser={uuid4().hex}.{'0' * 32}",
        f"browser={sign(settings.secret, uuid4())}0",
        f"browser={sign(settings.secret, uuid4()).upper()}",
        f"browser={sign(settings.secret, uuid4())[:-1]}\xff",
        "browser=.",
    ]
    # All that are not known share what one browser has.
    assert [await search(cookie) for cookie in invented] == [200] * 2 + [429] * 6
    assert await search(f"browser={sign(settings.secret, uuid4())}") == 200


async def test_a_new_key_for_each_request_meets_the_limit_of_the_address(
    campus: Campus, people: MakePerson
) -> None:
    script = forgetful(people(None, await campus({Kind.SEARCH: (Rate(1, 60), Rate(5, 60))})))
    statuses = []
    for _ in range(8):
        page = await script.see("/")
        cookie = f"role=user; browser={page.cookies['browser'].value}"
        seen = await script.see("/tickets?q=lift", headers={"Cookie": cookie})
        statuses.append(seen.status)
    assert statuses == [200] * 5 + [429] * 3


ADDRESSES = {
    "IPv4": ("198.51.100.7", "198.51.100.7", "198.51.100.8"),
    "IPv6": ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"),
    "IPv4 in IPv6": ("198.51.100.7", "::ffff:198.51.100.7", "::ffff:198.51.100.8"),
}


@pytest.mark.parametrize("name", ADDRESSES)
async def test_the_address_is_what_a_declared_proxy_says_and_of_ipv6_its_network(
    campus: Campus, people: MakePerson, settings: Settings, name: str
) -> None:
    proxies = (ip_network("127.0.0.1"),)
    rates = {Kind.SEARCH: (Rate(9, 60), Rate(1, 60))}
    script = forgetful(people(None, await campus(rates, trusted_proxies=proxies)))
    one, same, other = ADDRESSES[name]

    async def search(address: str) -> int:
        headers = cookies(settings) | {"X-Forwarded-For": f"203.0.113.9, {address}"}
        return (await script.see("/tickets?q=lift", headers=headers)).status

    assert [await search(address) for address in (one, same, other)] == [200, 429, 200]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
async def test_what_anybody_says_of_an_address_changes_nothing(
    campus: Campus, people: MakePerson, settings: Settings, header: str
) -> None:
    script = forgetful(people(None, await campus({Kind.SEARCH: (Rate(9, 60), Rate(1, 60))})))
    statuses = []
    for n in range(3):
        said = f"for=198.51.100.{n}" if header == "Forwarded" else f"198.51.100.{n}"
        headers = cookies(settings) | {header: said}
        statuses.append((await script.see("/tickets?q=lift", headers=headers)).status)
    assert statuses == [200, 429, 429]


async def test_a_lecture_hall_says_me_too_at_once_and_a_script_counts_no_more(
    campus: Campus, people: MakePerson, api: Api, settings: Settings
) -> None:
    hall = forgetful(people(None, await campus(LIMITS)))
    ticket = await api.open("The projector of hall 1 is dark")
    at_once = asyncio.Semaphore(8)

    async def press() -> int:
        async with at_once:
            headers = cookies(settings)
            return (await hall.send(f"/tickets/{ticket.id}/affected", headers=headers)).status

    students = await asyncio.gather(*(press() for _ in range(300)))
    assert set(students) == {303}
    script = await asyncio.gather(*(press() for _ in range(200)))
    assert set(script) == {429}
    assert (await api.fetch(ticket.id)).affected == 300


async def test_a_lecture_hall_reports_at_once_and_one_browser_does_not_report_for_it(
    campus: Campus, people: MakePerson, settings: Settings
) -> None:
    hall = forgetful(people(None, await campus(LIMITS)))
    at_once = asyncio.Semaphore(8)

    async def report(headers: dict[str, str]) -> int:
        async with at_once:
            fields = {"text": "The projector is dark", "key": str(uuid4())}
            return (await hall.send("/tickets", headers=headers, **fields)).status

    mine = cookies(settings)
    script = await asyncio.gather(*(report(mine) for _ in range(20)))
    assert sorted(script) == [303] * 10 + [429] * 10
    students = await asyncio.gather(*(report(cookies(settings)) for _ in range(300)))
    assert set(students) == {303}


# --- Keys -----------------------------------------------------------------------------------------
async def test_only_a_key_that_was_signed_here_counts(
    people: MakePerson, api: Api, stack: Stack
) -> None:
    ticket = await api.open("Counted by browsers")
    script = forgetful(people(None))
    place = f"/tickets/{ticket.id}/affected"
    for invented in (
        "",
        str(uuid4()),
        uuid4().hex,
        sign("a secret that somebody has guessed", uuid4()),
        sign(stack["WEB_SECRET"], uuid4())[:-1],
    ):
        for headers in ({}, HTMX):
            cookie = {"Cookie": f"role=user; browser={invented}"}
            # A key in the form is no browser's either.
            fields = {"key": str(uuid4())}
            seen = await script.send(place, headers=headers | cookie, **fields)
            if not headers:
                said = f"; said={seen.cookies['said'].coded_value}"
                page = {"Cookie": cookie["Cookie"] + said}
                seen = await script.see(f"/tickets/{ticket.id}", headers=page)
            assert seen.status == 200
            assert "This browser was not known here yet, so nothing was counted." in seen.text
            assert "I have this too" in seen.text
            # With the key that came with the sentence it counts, pressed again.
            key = seen.cookies["browser"].value
    assert (await api.fetch(ticket.id)).affected == 0
    cookie = {"Cookie": f"role=user; browser={key}"}
    assert (await script.send(place, headers=cookie)).status == 303
    assert (await api.fetch(ticket.id)).affected == 1


@pytest.mark.parametrize("old", ["unsigned", "signed with the secret of before"])
async def test_a_key_of_before_is_replaced_and_its_browser_counts_no_second_time(
    people: MakePerson, api: Api, old: str
) -> None:
    ticket = await api.open("Counted before")
    key = str(uuid4()) if old == "unsigned" else sign("the secret of the year before", uuid4())
    await api.ask("PUT", f"/tickets/{ticket.id}/affected/{uuid4()}", "user")
    person, place = forgetful(people("user")), f"/tickets/{ticket.id}"
    kept = f"role=user; affected={ticket.id}; browser="
    page = await person.see(place, headers={"Cookie": kept + key})
    fresh = page.cookies["browser"].value
    assert fresh != key
    assert "You said that you have this too." in page.text
    sent = await person.send(f"{place}/affected", headers={"Cookie": kept + fresh})
    assert (sent.status, sent.cookies["said"].value) == (303, "affected again")
    assert (await api.fetch(ticket.id)).affected == 1


# --- Operators ------------------------------------------------------------------------------------
def limited(kind: str, by: str) -> float:
    return LIMITED_TOTAL.labels(kind, by)._value.get()


async def test_refusals_are_counted_and_said_once_a_minute_of_each_sender(
    campus: Campus,
    people: MakePerson,
    settings: Settings,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rates = {Kind.SEARCH: (Rate(2, 1), Rate(3, 1)), Kind.HINT: (Rate(1, 1), Rate(9, 1))}
    script = forgetful(people(None, await campus(rates)))
    mine = cookies(settings)
    caplog.set_level(logging.WARNING, limits.log.name)
    before = {by: limited("search", by) for by in ("browser", "address")}

    async def search(headers: dict[str, str], path: str = "/tickets?q=secret+words") -> None:
        await script.see(path, headers=headers)

    for _ in range(10):
        await search(mine)
    assert limited("search", "browser") == before["browser"] + 8
    for _ in range(5):
        await search(cookies(settings))
    assert limited("search", "address") == before["address"] + 4
    for _ in range(5):
        await search(mine, "/tickets/hints?text=more+secret+words")
    said = [record.getMessage() for record in caplog.records if record.name == limits.log.name]
    assert said == [
        "limited: search by browser, from '127.0.0.1', for 60 s",
        "limited: search by address, from '127.0.0.1', for 60 s",
    ]
    clock.now += 60.0
    for _ in range(5):
        await search(mine)
    said = [record.getMessage() for record in caplog.records if record.name == limits.log.name]
    assert len(said) == 3


async def test_made_up_senders_take_a_bounded_room(
    campus: Campus, people: MakePerson, settings: Settings
) -> None:
    server = await campus(
        {Kind.HINT: (Rate(5, 1), Rate(5, 1))}, trusted_proxies=(ip_network("127.0.0.1"),)
    )
    script = forgetful(people(None, server))
    buckets = server.app[limits.LIMITS]._buckets[Kind.HINT]
    for by in buckets:
        buckets[by]._most = 20
    for n in range(60):
        headers = cookies(settings) | {"X-Forwarded-For": f"198.51.100.{n}"}
        assert (await script.see("/tickets/hints?text=x", headers=headers)).status == 200
    assert [len(kept) for kept in buckets.values()] == [20, 20]
