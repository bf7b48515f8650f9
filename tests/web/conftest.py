"""People without a browser: the web tier over HTTP, the real ticket service behind it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from html import unescape
from typing import Any, Protocol

import aio_pika
import aiohttp
import asyncpg
import pytest
from aio_pika.abc import AbstractIncomingMessage
from aiohttp import web
from aiohttp.test_utils import TestServer

from contracts.rest import Ticket
from contracts.topology import RPC_CLASSIFY
from tests.conftest import Broker, Stack
from web.app import build_app
from web.keys import RPC
from web.settings import Settings, read_settings

NOWHERE = "http://127.0.0.1:9"
NO_BROKER = "amqp://127.0.0.1:9/"
# What web needs in its environment to start.
GOOD = {
    "TICKET_API_URL": "http://127.0.0.1:8081/",
    "TICKET_API_TOKEN": "a-secret",
    "WEB_AMQP_URL": "amqp://web:another-secret@127.0.0.1/campus",
    "WEB_SECRET": "sixteen-or-more-signs",
    "WEB_EVENTS_KEY": "a key for the pages only",
}
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


class Person:
    """A browser of one role; does not follow redirects, so that tests see them."""

    def __init__(self, url: str, role: str | None, *, is_browser: bool = True) -> None:
        self.session = aiohttp.ClientSession(
            url,
            cookies={"role": role} if role else None,
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            headers={"Sec-Fetch-Site": "same-origin"} if is_browser else None,
        )

    async def see(self, path: str, *, htmx: bool = False, **options: Any) -> "Seen":
        return await self.ask("GET", path, htmx=htmx, **options)

    async def send(
        self,
        path: str,
        *,
        htmx: bool = False,
        headers: dict[str, str] | None = None,
        **fields: str,
    ) -> "Seen":
        return await self.ask("POST", path, htmx=htmx, data=fields, headers=headers or {})

    async def ask(self, method: str, path: str, *, htmx: bool = False, **options: Any) -> "Seen":
        headers = (HTMX if htmx else {}) | options.pop("headers", {})
        async with self.session.request(
            method, path, headers=headers, allow_redirects=False, **options
        ) as response:
            return Seen(response, await response.text())


class Seen:
    """An answer as a person sees it."""

    def __init__(self, response: aiohttp.ClientResponse, html: str) -> None:
        self.status = response.status
        self.headers = response.headers
        self.cookies = response.cookies
        self.html = html
        self.text = " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())

    @property
    def location(self) -> str:
        return self.headers["Location"]

    def field(self, name: str, form: str = "") -> str:
        """Return the value of the first hidden field or input with that name, after `form`."""
        at = self.html.index(form)
        found = re.search(rf'name="{name}"[^>]*?value="([^"]*)"', self.html[at:])
        assert found, f"no field {name}"
        return unescape(found[1])

    def typed(self, box: str) -> str:
        """Return what stands in a textarea."""
        found = re.search(rf'<textarea id="{box}"[^>]*>\n(.*?)</textarea>', self.html, re.DOTALL)
        assert found, f"no textarea {box}"
        return unescape(found[1])


class MakePerson(Protocol):
    def __call__(
        self, role: str | None, server: TestServer | None = None, *, is_browser: bool = True
    ) -> Person: ...


class Serve(Protocol):
    async def __call__(self, **changes: Any) -> TestServer: ...


@pytest.fixture
async def people(stack: Stack) -> AsyncIterator[MakePerson]:
    """Return a maker of people at the running web tier, or at one inside this process."""
    async with AsyncExitStack() as exits:

        def make(
            role: str | None, server: TestServer | None = None, *, is_browser: bool = True
        ) -> Person:
            url = str(server.make_url("/")) if server else stack["WEB_URL"]
            person = Person(url, role, is_browser=is_browser)
            exits.push_async_callback(person.session.close)
            return person

        yield make


@pytest.fixture
async def user(people: MakePerson) -> Person:
    return people("user")


@pytest.fixture
async def helpdesk(people: MakePerson) -> Person:
    return people("helpdesk")


@pytest.fixture
def settings(stack: Stack) -> Settings:
    return read_settings(stack.names.of_service("web") | {"WEB_LIMITS": "off"})


@pytest.fixture
async def serve(settings: Settings) -> AsyncIterator[Serve]:
    """Return a starter of a web tier inside this process, with some settings changed."""
    async with AsyncExitStack() as exits:

        async def start(**changes: Any) -> TestServer:
            server = TestServer(build_app(replace(settings, **changes)))
            return await exits.enter_async_context(server)

        yield start


class HungClassifier:
    """A worker that takes requests and never answers, and a web tier that asks it."""

    def __init__(self, app: web.Application, address: tuple[str, int], person: Person) -> None:
        self.app = app
        self.address = address
        self.person = person
        self.taken: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()


@pytest.fixture
async def hung(settings: Settings, broker: Broker) -> AsyncIterator[HungClassifier]:
    app = build_app(replace(settings, amqp_url=broker.url("web")))
    runner = web.AppRunner(app)  # as in production; a TestServer cancels every handler
    await runner.setup()
    async with await aio_pika.connect(broker.admin_url) as connection:
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0]
            person = Person(f"http://{host}:{port}", "user")
            hung = HungClassifier(app, (host, port), person)
            queue = await (await connection.channel()).get_queue(RPC_CLASSIFY)
            await queue.consume(hung.taken.put)
            while not app[RPC].is_connected:
                await asyncio.sleep(0.01)
            yield hung
            await person.session.close()
        finally:
            await runner.cleanup()


class Api:
    """The ticket service without the web tier, to prepare and to check."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(self, method: str, path: str, role: str = "helpdesk", **options: Any) -> Any:
        headers = {"X-Role": role} | options.pop("headers", {})
        async with self._session.request(
            method, f"/v1{path}", headers=headers, **options
        ) as response:
            assert response.status < 400, await response.text()
            return await response.json()

    async def open(self, description: str, **fields: Any) -> Ticket:
        # With a category, so that the classifier makes no version of its own in between.
        body = {"description": description, "category": "technical_it"} | fields
        return Ticket.model_validate(await self.ask("POST", "/tickets", "user", json=body))

    async def fetch(self, ticket_id: int) -> Ticket:
        return Ticket.model_validate(await self.ask("GET", f"/tickets/{ticket_id}"))

    async def move(self, ticket_id: int, *statuses: str) -> None:
        for status in statuses:
            await self.ask("PUT", f"/tickets/{ticket_id}/status", json={"status": status})

    async def say(self, ticket_id: int, body: str, role: str = "helpdesk") -> None:
        await self.ask("POST", f"/tickets/{ticket_id}/messages", role, json={"body": body})

    async def edit(self, ticket: Ticket, **changes: str) -> None:
        headers = {"If-Match": f'"{ticket.version}"'}
        await self.ask("PATCH", f"/tickets/{ticket.id}", json=changes, headers=headers)

    async def find(self, words: str) -> list[dict[str, Any]]:
        found = await self.ask("GET", "/tickets", params={"q": words})
        return list(found["items"])

    async def known(self, *tickets: Ticket) -> None:
        """Wait until tickets are found as similar ones, a moment after they were opened."""
        async with asyncio.timeout(20):
            for ticket in tickets:
                params = {"text": ticket.description, "limit": "20"}
                while True:
                    found = await self.ask("GET", "/tickets/similar", params=params)
                    if ticket.id in {item["ticket"]["id"] for item in found["items"]}:
                        break
                    await asyncio.sleep(0.05)


@pytest.fixture
async def api(stack: Stack) -> AsyncIterator[Api]:
    headers = {"Authorization": f"Bearer {stack['TICKET_API_TOKEN']}"}
    async with aiohttp.ClientSession(stack["TICKET_API_URL"], headers=headers) as session:
        yield Api(session)


class LongThread(Protocol):
    async def __call__(self, messages: int, body: str) -> Ticket: ...


@pytest.fixture
def long_thread(api: Api, stack: Stack) -> LongThread:
    """Return a maker of tickets with many messages, which the database writes at once."""

    async def make(messages: int, body: str) -> Ticket:
        ticket = await api.open("A long thread")
        connection = await asyncpg.connect(stack["TICKET_DATABASE_URL"])
        try:
            await connection.execute(
                """
                WITH said AS (
                    INSERT INTO tickets.message (ticket_id, author, body, sent_at)
                    SELECT $1, 'user', n || ' ' || $3, now() FROM generate_series(1, $2::int) AS n
                ), done AS (
                    INSERT INTO tickets.history (ticket_id, version, at, role, action)
                    SELECT $1, n + 1, now(), 'user', 'message_sent'
                      FROM generate_series(1, $2::int) AS n
                )
                UPDATE tickets.ticket
                   SET messages = $2, version = $2 + 1, modified_at = now() WHERE id = $1
                """,
                ticket.id,
                messages,
                body,
            )
        finally:
            await connection.close()
        return ticket

    return make
