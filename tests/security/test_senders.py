"""Who counts as one sender: a browser by its signed key, all without one, and an address.

The clock stands still unless a test sets it on, so that nothing comes back by itself.
"""

import asyncio
import logging
from ipaddress import ip_network
from uuid import uuid4

import pytest

from runtime.limits import Rate
from tests.conftest import Stack
from tests.runtime.test_limits import Clock
from tests.security.limited import (
    Campus,
    campus,
    clock,
    cookies,
    forgetful,
)
from tests.web.conftest import HTMX, Api, MakePerson
from web import limits
from web.browser import sign
from web.limits import LIMITED_TOTAL
from web.settings import LIMITS, Kind, Settings

__all__ = ["campus", "clock"]


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
