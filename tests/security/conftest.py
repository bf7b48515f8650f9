"""Callers for the tables: REST with any token and role, raw bytes, and people at the pages."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.browser.conftest import browser, open_page, pytest_runtest_makereport
from tests.conftest import Stack
from tests.web.conftest import api, helpdesk, people, serve, settings, user

__all__ = [
    "api",
    "browser",
    "helpdesk",
    "open_page",
    "people",
    "pytest_runtest_makereport",
    "serve",
    "settings",
    "user",
]
ANSWER_SECONDS = 10.0


class Answer(NamedTuple):
    """What the ticket service answered; `text` is the body as it came."""

    status: int
    headers: Any
    text: str


class Rest:
    """The ticket service for a caller who sends exactly the headers that a row says."""

    def __init__(self, session: aiohttp.ClientSession, token: str) -> None:
        self._session = session
        self.token = token

    async def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        async with self._session.request(method, path, json=body, headers=headers) as response:
            return Answer(response.status, response.headers, await response.text())

    async def as_role(
        self, role: str | None, method: str, path: str, body: Any = None, **more: str
    ) -> Answer:
        """Call with the right token; `role` None leaves the header away."""
        headers = {"Authorization": f"Bearer {self.token}", "If-Match": "*"} | more
        if role is not None:
            headers["X-Role"] = role
        return await self.call(method, path, body, headers)


@pytest.fixture
async def rest(stack: Stack) -> AsyncIterator[Rest]:
    async with aiohttp.ClientSession(stack["TICKET_API_URL"]) as session:
        yield Rest(session, stack["TICKET_API_TOKEN"])


async def send_raw(url: str, request: bytes, *, head_only: bool = False) -> bytes:
    """Return what a server answers to bytes that no HTTP client would send.

    With `head_only` not waiting for the end: a server that has refused a body reads on for a while.
    """
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(request)
        async with asyncio.timeout(ANSWER_SECONDS):
            return await (reader.readuntil(b"\r\n\r\n") if head_only else reader.read())
    except ConnectionError:
        return b""
    finally:
        writer.close()


def status_of(answer: bytes) -> int:
    """Return the status of a raw answer."""
    return int(answer.split(b" ", 2)[1])
