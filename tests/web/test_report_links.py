"""Every number of a report leads to the list of exactly its tickets."""

import asyncio
import random
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest

from contracts.vocabulary import EVERY_CATEGORY, NO_CATEGORY
from demo import times
from tests.conftest import ROOT, Stack
from tests.web.conftest import Api, Person

SEED = 5
TICKETS = 90
LONGEST = timedelta(days=400)
# What a link says: "12", "12 not closed", or in a chart "1–3 days: 12 open"; a month's column
# counts nothing, its link leads to the month's closed tickets.
LINK = re.compile(r'<a href="(/tickets\?[^"]*)"( tabindex="-1")?>(.*?)</a>')
NUMBER = re.compile(r"(?<![\d–])(\d+)(?= (?:open|active|not closed)|$)")
PAGES = [
    *(
        f"/analytics/unclosed?last={last}{category}"
        for last in (
            "3&unit=hours",
            "60&unit=hours",
            "7&unit=days",
            "30&unit=days",
            "400&unit=days",
        )
        for category in ("", "&category=technical_it", "&category=none")
    ),
    "/analytics/resolution",
    "/analytics/resolution?months=3",
    "/analytics/resolution?months=2&category=facility_management",
    "/analytics/resolution?category=none",
    "/analytics/active",
    "/analytics/active?category=services_complaints",
    "/analytics/active?category=none",
    "/analytics/all?last=90&unit=days&months=4",
]


class Link(NamedTuple):
    page: str
    address: str
    said: str

    @property
    def number(self) -> int | None:
        found = NUMBER.findall(re.sub(r"<[^>]*>", "", self.said))
        return int(found[-1]) if found else None


@pytest.fixture
async def aged(own_stack: Stack) -> AsyncIterator[tuple[Person, Api]]:
    """Return helpdesk and program, at tickets of every status and category and of many ages."""
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    own_stack.stop("classifier_svc")  # so that some stay without a category
    async with AsyncExitStack() as exits:
        headers = {"Authorization": f"Bearer {own_stack['TICKET_API_TOKEN']}"}
        session = aiohttp.ClientSession(own_stack["TICKET_API_URL"], headers=headers)
        api = Api(await exits.enter_async_context(session))
        opened_at: dict[int, datetime] = {}
        now = datetime.now(UTC)
        for number in range(TICKETS):
            category = chance.choice(EVERY_CATEGORY)
            ticket = await api.open(
                f"Ticket {number}", category=None if category == NO_CATEGORY else category
            )
            await api.move(ticket.id, *("active", "closed")[: chance.randrange(3)])
            # Many young ones, some old ones.
            opened_at[ticket.id] = now - LONGEST * chance.random() ** 4
        connection = await times.connect(own_stack["TICKET_DATABASE_URL"])
        try:
            await connection.executemany(
                "UPDATE ticket SET opened_at = $2 WHERE id = $1", opened_at.items()
            )
        finally:
            await connection.close()
        await rebuild(own_stack)
        person = Person(own_stack["WEB_URL"], "helpdesk")
        exits.push_async_callback(person.session.close)
        yield person, api


async def rebuild(stack: Stack) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "analytics_svc", "rebuild"),
        cwd=ROOT,
        env=stack.names.of_service("analytics_svc"),
    )
    assert await process.wait() == 0


async def count(api: Api, address: str) -> int:
    """Return how many tickets a list has, page by page."""
    params: list[tuple[str, Any]] = [*parse_qsl(urlsplit(address).query), ("limit", 200)]
    found = await api.ask("GET", "/tickets", params=params)
    assert found["next"] is None
    return len(found["items"])


@pytest.mark.timeout(240)
async def test_each_number_leads_to_as_many_tickets(aged: tuple[Person, Api]) -> None:
    helpdesk, api = aged
    links = []
    for page in PAGES:
        seen = await helpdesk.see(page)
        assert seen.status == 200, page
        found = [Link(page, unescape(to), said) for to, _, said in LINK.findall(seen.html)]
        assert found, page
        links += found
    counted = {address: await count(api, address) for address in {link.address for link in links}}
    numbers = [link for link in links if link.number is not None]
    assert not [link for link in numbers if link.number != counted[link.address]]
    # Each was there in number: links of tables, of sentences, and of charts.
    for word in (" open", " active", " not closed", "<b>"):
        assert sum(word in link.said for link in numbers) > 5, word
    assert len(numbers) > len(links) * 0.9
    # The bars of a month count nothing, and lead to what their means are of.
    bars = [link for link in links if link.number is None]
    assert {"mean" in link.said for link in bars} == {True}
    assert Counter(counted[link.address] > 0 for link in bars)[False] == 0


async def test_a_row_of_a_table_has_the_numbers_of_its_bar(aged: tuple[Person, Api]) -> None:
    helpdesk, _ = aged
    for page in PAGES:
        links = LINK.findall((await helpdesk.see(page)).html)
        bars = Counter(address for address, in_chart, _ in links if in_chart)
        cells = {address for address, in_chart, _ in links if not in_chart}
        assert set(bars) <= cells, page


async def test_a_list_says_in_its_page_what_a_link_asked_for(aged: tuple[Person, Api]) -> None:
    helpdesk, _ = aged
    seen = await helpdesk.see("/analytics/unclosed?last=7&unit=days&category=technical_it")
    address = unescape(seen.html.split('class="figure"')[1].split('href="')[2].split('"')[0])
    listed = await helpdesk.see(address)
    assert '<option value="all" selected>' in listed.html
    assert '<option value="technical_it" selected>' in listed.html
    assert "Show any age" in listed.text
