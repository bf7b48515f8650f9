"""Forms and addresses of the web tier, with any fields: a page or a fragment, and never a 500.

What is refused changes nothing, whichever role sends it, with htmx or without.
"""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import asyncpg
import pytest
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from runtime.http import LINE_MAX_BYTES
from tests.conftest import Stack
from tests.fuzz.conftest import TIMES, ServiceLogs, fuzz_here
from tests.fuzz.odd import SURROGATES, TEXTS
from tests.fuzz.raw import STREAM, Answer, exchange, request
from tests.web.conftest import Api
from web.routes import ANALYSIS, ROUTES

FORM_CASES = 500
TICKETS = 8
ADDRESS_CASES = 400
TARGET_MAX_BYTES = LINE_MAX_BYTES - 100
FORM = b"application/x-www-form-urlencoded"
# What a person has done; the system may categorise late, and that is nobody's doing here.
DEEDS = """
    SELECT (SELECT count(*) FROM tickets.ticket), (SELECT count(*) FROM tickets.message),
           (SELECT count(*) FROM tickets.history WHERE role IS NOT NULL)
"""
ROLES = [b"role=user", b"role=helpdesk"] * 3 + [b"role=admin", b"", b"\xff"]
HTMX = [
    {},
    {b"HX-Request": b"true", b"HX-Request-Type": b"partial"},
    {b"HX-Request": b"true", b"HX-Request-Type": b"full"},
    {b"HX-Request": b"true", b"HX-Target": b"\xff\xfe"},
]
SITES = [{b"Sec-Fetch-Site": b"same-origin"}, {}] * 4 + [
    {b"Origin": b"http://127.0.0.1"},
    {b"Origin": b"http://[::1"},
    {b"Origin": b"\xff"},
    {b"Sec-Fetch-Site": b"cross-site"},
]
# What fits the fields of forms and addresses, each now and then.
FITTING = {
    "text": ["The wifi is down", "Der Aufzug steht\r\nseit heute früh", "x" * 5_001],
    "key": ["", "5b0c1a52-0d5c-4f6c-9d5c-6d1f6f0e9f00"],
    "version": ["1", "2", "3", "0", "99999999999999999999"],
    "was": ["", "0123456789abcdef"],
    "category": ["technical_it", "facility_management", "none", ""],
    "status": ["open", "active", "closed", "all"],
    "ticket": ["1", "2", "3", "0", "-1", "99999999999999999999"],
    "do": ["active", "closed", "technical_it", "open"],
    "rows": ["0", "150", "99999999999999999999"],
    "role": ["user", "helpdesk"],
    "title": ["", "On our way", "x" * 81],
    "next": ["/tickets?q=x", "//elsewhere.example", "/\\elsewhere.example", "/é"],
}
QUERIES = {
    "text": ["The wifi is down in room 12"],
    "q": ["wifi", "fuzz ticket", "%", "a b c d e f g h"],
    "status": FITTING["status"],
    "category": FITTING["category"],
    "opened_from": ["2026-05-11T13:07:21Z", "0001-01-01T00:00:00Z", "2026-05-11"],
    "opened_to": ["9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00"],
    "sort": ["opened_at", "-affected", "waiting_since", "colour"],
    "rows": ["51", "500", "0", "99999999999999999999"],
    "before": ["0", "500"],
    "cursor": ["LW9wZW5lZF9hdCAxIDE", "LW9wZW5lZF9hdCA5OTk5OTk5OTk5OTk5OTk5OTkgMQ"],
    "since": ["0", "1", "99999999999999999999"],
    "ticket": ["1", "0", "-1"],
    "seen": ["1", "0", "99"],
    "last": ["7", "0", "-1", "87840", "999999999999"],
    "unit": ["days", "hours", "weeks"],
    "next": FITTING["next"],
    "after": ["0", "1", "99999999999999999999"],
    "hints": [""],
}


def escaped(text: str) -> bytes:
    """Return text as forms write it, a lone surrogate in bytes that are no UTF-8."""
    return quote(text.encode(errors="surrogatepass"), safe="").encode()


WORDS: SearchStrategy[bytes] = st.one_of(
    TEXTS.map(escaped),
    SURROGATES.map(escaped),
    st.sampled_from([b"%", b"%zz", b"%00", b"%0d%0aX:%20y", b"+", b";", b"%ff%fe", b"%C0%80"]),
)


@st.composite
def fields(draw: st.DrawFn, fitting: dict[str, list[str]]) -> bytes:
    """Return a form's body or an address's query: some fields fit, some don't, some come twice."""
    pairs = []
    is_tidy = draw(st.booleans())
    for name, values in fitting.items():
        how = 1 if is_tidy else draw(st.integers(0, 5))
        if how < 3:
            pairs.append((escaped(name), escaped(draw(st.sampled_from(values)))))
        if how in (2, 3):
            pairs.append((escaped(name), draw(WORDS)))
    if not is_tidy and draw(st.booleans()):
        pairs.append((draw(WORDS), draw(WORDS)))
    return b"&".join(map(b"=".join, draw(st.permutations(pairs))))


ODD_BODIES = st.binary(max_size=50) | st.sampled_from(
    [
        b"text=x&insert=1&reply=3",
        b"text=x&theirs=1",
        b"text=" + b"x" * 131_072,
        b"a=b&" * 50,
        b"\xff" * 10,
        b"{}",
        b"text",
        b"",
    ]
)
# Hypothesis would make each part of a union as likely as any other.
BODIES = st.integers(0, 7).flatmap(lambda n: fields(FITTING) if n else ODD_BODIES)
TYPES = st.sampled_from([FORM] * 12 + [b"text/plain", b"multipart/form-data", b"\xff", b""])
HEADERS = st.tuples(st.sampled_from(ROLES), st.sampled_from(HTMX), st.sampled_from(SITES)).map(
    lambda drawn: {b"Cookie": drawn[0]} | drawn[1] | drawn[2]
)


def addresses(method: str) -> SearchStrategy[bytes]:
    """Return the addresses of a method; an `{id}` stands for one of the ids."""
    paths = []
    for route in ROUTES:
        if route.method == method:
            path = route.path.replace("{id:[0-9]{1,16}}", "{id}")
            path = path.replace("{kind:svg|csv}", "csv").replace("{name}", "%2e%2e%2fapp.js")
            paths += [path.replace(ANALYSIS, name) for name in ANALYSIS[10:-1].split("|")]
    return st.sampled_from(sorted(set(paths))).map(str.encode)


KINDS = {"text/html", "text/csv", "image/svg+xml", "application/json", "text/plain", STREAM}


class Fuzzer:
    """Sends to the web tier, and looks at each answer and at what is stored after it."""

    def __init__(self, stack: Stack, database: asyncpg.Connection, ids: list[int]) -> None:
        self._url = stack["WEB_URL"]
        self._database = database
        self.ids = [*ids, 0, 9_999_999_999_999_999, 12_345_678]
        self.deeds: Any = None
        self.done = 0
        self.refused = 0

    async def send(self, sent: bytes) -> None:
        answer = await exchange(self._url, sent)
        deeds = await self._database.fetchrow(DEEDS)
        self.check(answer)
        if answer.status >= 400:
            self.refused += 1
            assert deeds == self.deeds, "what was refused has changed something"
        else:
            self.done += deeds != self.deeds
        self.deeds = deeds

    def check(self, answer: Answer) -> None:
        assert 200 <= answer.status < 500, answer
        if answer.status >= 400:
            assert answer.content_type == "text/html", answer
            assert answer.body.startswith((b"<!doctype html>", b"<hx-partial")), answer
        elif answer.status == 303:
            location = answer.headers["location"]
            assert location.startswith("/"), answer
            assert not location.startswith("//"), answer
        elif answer.status == 200:
            assert answer.content_type in KINDS or "hx-redirect" in answer.headers, answer
        else:
            assert answer.status == 204, answer


@pytest.fixture
async def fuzzer(stack: Stack, service_logs: ServiceLogs) -> AsyncIterator[Fuzzer]:
    """Return a fuzzer with open tickets, an active and a closed one."""
    headers = {"Authorization": f"Bearer {stack['TICKET_API_TOKEN']}"}
    async with aiohttp.ClientSession(stack["TICKET_API_URL"], headers=headers) as session:
        api = Api(session)
        ids = [(await api.open(f"Ticket {n} of the fuzz")).id for n in range(TICKETS)]
        await api.move(ids[0], "active", "closed")
        await api.move(ids[1], "active")
    database = await asyncpg.connect(stack["TICKET_DATABASE_URL"])
    fuzzer = Fuzzer(stack, database, ids)
    fuzzer.deeds = await database.fetchrow(DEEDS)
    yield fuzzer
    await database.close()
    service_logs.check()


@pytest.mark.timeout(240 * TIMES)
async def test_every_form_is_taken_or_refused_with_a_page(fuzzer: Fuzzer) -> None:
    async def send(case: tuple[bytes, int, dict[bytes, bytes], bytes, bytes]) -> None:
        address, which, headers, kind, body = case
        target = address.replace(b"{id}", b"%d" % fuzzer.ids[which])
        await fuzzer.send(request(b"POST", target, headers | {b"Content-Type": kind}, body))

    which = st.integers(0, len(fuzzer.ids) - 1)
    forms = st.tuples(addresses("POST"), which, HEADERS, TYPES, BODIES)
    assert await fuzz_here(forms, FORM_CASES, send) >= FORM_CASES
    assert fuzzer.done
    assert fuzzer.refused > FORM_CASES // 4


@pytest.mark.timeout(240 * TIMES)
async def test_every_address_shows_a_page(fuzzer: Fuzzer) -> None:
    async def see(case: tuple[bytes, int, dict[bytes, bytes], bytes]) -> None:
        address, which, headers, query = case
        target = address.replace(b"{id}", b"%d" % fuzzer.ids[which]) + b"?" + query
        deeds = fuzzer.deeds
        # A longer line never reaches a page (tests/security/test_slow_and_large.py).
        await fuzzer.send(request(b"GET", target[:TARGET_MAX_BYTES], headers))
        assert fuzzer.deeds == deeds

    which = st.integers(0, len(fuzzer.ids) - 1)
    seen = st.tuples(addresses("GET"), which, HEADERS, fields(QUERIES))
    assert await fuzz_here(seen, ADDRESS_CASES, see) >= ADDRESS_CASES
