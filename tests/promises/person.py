"""A person with a browser that has no JavaScript, and a program that calls REST."""

import asyncio
import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.conftest import Stack


@dataclass(frozen=True)
class Page:
    """What came back: `address` is where the person is now."""

    status: int
    address: str
    text: str

    def hidden(self, form_action: str) -> dict[str, str]:
        """Return the hidden fields of the form that posts to an address."""
        form = re.search(rf'<form[^>]*action="{re.escape(form_action)}".*?</form>', self.text, re.S)
        assert form, f"no form for {form_action}"
        fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form.group())
        return {name: html.unescape(value) for name, value in fields}

    @property
    def plain(self) -> str:
        """Return the text without tags."""
        return html.unescape(re.sub(r"<[^>]+>", " ", self.text))


@dataclass(frozen=True)
class Person:
    """Somebody in a role, at the pages."""

    session: aiohttp.ClientSession
    url: str

    async def get(self, address: str, accept: str = "*/*") -> Page:
        headers = {"Accept": accept}
        async with self.session.get(self.url + address, headers=headers) as answer:
            return Page(answer.status, answer.url.path, await answer.text())

    async def post(self, address: str, **fields: str) -> Page:
        headers = {"Origin": self.url}
        url = self.url + address
        async with self.session.post(url, data=fields, headers=headers) as answer:
            return Page(answer.status, answer.url.path, await answer.text())

    async def report(self, text: str) -> Page:
        """Fill in the form on the list and send it."""
        page = await self.get("/tickets")
        return await self.post("/tickets", text=text, **page.hidden("/tickets"))

    async def send_message(self, address: str, text: str) -> Page:
        page = await self.get(address)
        return await self.post(
            f"{address}/messages", text=text, **page.hidden(f"{address}/messages")
        )


@asynccontextmanager
async def person(stack: Stack, role: str) -> AsyncIterator[Person]:
    """Enter the helpdesk in a role."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        someone = Person(session, stack["WEB_URL"])
        assert (await someone.post("/enter", role=role)).status == 200
        yield someone


@dataclass(frozen=True)
class Program:
    """A script that calls the ticket service."""

    session: aiohttp.ClientSession
    url: str

    async def call(
        self, method: str, path: str, body: Any = None, role: str = "helpdesk", **headers: str
    ) -> tuple[int, Any]:
        """Return status and decoded body."""
        headers = {"X-Role": role} | {k.replace("_", "-"): v for k, v in headers.items()}
        async with self.session.request(
            method, f"{self.url}/v1{path}", json=body, headers=headers
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    async def get(self, path: str) -> Any:
        status, body = await self.call("GET", path)
        assert status == 200, body
        return body

    async def every_ticket(self) -> list[dict[str, Any]]:
        """Return all tickets, page by page."""
        tickets: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self.get(f"/tickets?limit=200{cursor}")
            tickets += page["items"]
            if page["next"] is None:
                return tickets
            cursor = f"&cursor={page['next']}"


@asynccontextmanager
async def program(stack: Stack) -> AsyncIterator[Program]:
    headers = {"Authorization": f"Bearer {stack['TICKET_API_TOKEN']}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        yield Program(session, stack["TICKET_API_URL"])


async def eventually(check: Callable[[], Awaitable[Any]], seconds: float = 20.0) -> Any:
    """Return the first true answer of `check`."""
    async with asyncio.timeout(seconds):
        while not (found := await check()):
            await asyncio.sleep(0.1)
        return found
