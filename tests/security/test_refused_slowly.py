"""Whoever is refused again and again is refused slowly, so that saying no costs others nothing."""

import asyncio
from ipaddress import ip_network

import pytest

from tests.security.limited import ONE_EACH, Campus, campus, clock, forgetful
from tests.web.conftest import MakePerson, Person
from web import limits

__all__ = ["campus", "clock"]

FLOOD, OTHER = "198.51.100.7", "198.51.100.8"
SEARCH = "/tickets?q=lift"
# Longer than any answer takes on a busy machine.
SLOW_SECONDS = 3.0
PROXIES = (ip_network("127.0.0.1"),)


@pytest.fixture(autouse=True)
def _slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELD_UP_SECONDS", SLOW_SECONDS)


async def ask(person: Person, address: str, path: str = SEARCH) -> int:
    headers = {"Cookie": "role=user", "X-Forwarded-For": address}
    return (await person.see(path, headers=headers)).status


async def refuse_at_once(person: Person, path: str = SEARCH) -> set[int]:
    """Return how as many requests are refused as are refused without a wait."""
    burst = limits.REFUSED_AT_ONCE.burst
    return {await ask(person, FLOOD, path) for _ in range(burst)}


async def test_who_goes_on_after_refusals_waits_for_the_next_and_nobody_else_does(
    campus: Campus, people: MakePerson
) -> None:
    script = forgetful(people(None, await campus(ONE_EACH, trusted_proxies=PROXIES)))
    assert await ask(script, FLOOD) == 200
    assert await refuse_at_once(script) == {429}
    held = asyncio.create_task(ask(script, FLOOD))
    assert await ask(script, OTHER) == 200
    assert await ask(script, OTHER) == 429
    # Pages are no matter of this limit.
    assert await ask(script, FLOOD, "/tickets") == 200
    assert not held.done()
    assert await held == 429


async def test_refusals_of_a_full_house_are_slow_for_who_asks_on(
    campus: Campus, people: MakePerson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.app.PAGES_AT_ONCE", 0)
    monkeypatch.setattr("web.app.PAGES_WAITING", 0)
    script = forgetful(people(None, await campus(ONE_EACH, trusted_proxies=PROXIES)))
    assert await refuse_at_once(script, "/tickets") == {503}
    held = asyncio.create_task(ask(script, FLOOD, "/tickets"))
    assert await ask(script, OTHER, "/tickets") == 503
    assert not held.done()
    assert await held == 503


async def test_so_many_wait_for_a_refusal_and_more_are_refused_at_once(
    campus: Campus, people: MakePerson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HELD_UP_MAX", 2)
    script = forgetful(people(None, await campus(ONE_EACH, trusted_proxies=PROXIES)))
    assert await ask(script, FLOOD) == 200
    assert await refuse_at_once(script) == {429}
    asked = [asyncio.create_task(ask(script, FLOOD)) for _ in range(3)]
    done, held = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    assert ([await one for one in done], len(held)) == ([429], 2)
    assert {await one for one in held} == {429}
