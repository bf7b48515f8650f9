"""Reads a page's stream of live updates as a browser does."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape

import aiohttp

from tests.web.conftest import Person


class Message:
    """One server-sent event as a browser reads it."""

    def __init__(self, text: str) -> None:
        fields: dict[str, list[str]] = {}
        for line in text.splitlines():
            name, _, value = line.partition(": ")
            fields.setdefault(name, []).append(value)
        self.id = "".join(fields.get("id", ()))
        self.event = "".join(fields.get("event", ()))
        self.data = "\n".join(fields.get("data", ()))
        self.text = " ".join(unescape(re.sub(r"<[^>]*>", " ", self.data)).split())

    def fills(self, target: str) -> bool:
        return f'hx-target="#{target}"' in self.data


class Listener:
    """One open stream, read message by message."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def message(self, within_s: float = 5.0) -> Message:
        async with asyncio.timeout(within_s):
            text = (await self.response.content.readuntil(b"\n\n")).decode()
        if not text:
            raise EOFError
        return Message(text)

    async def until(self, target: str, words: str = "", within_s: float = 5.0) -> Message:
        """Return the next message that fills a place in the page with some words."""
        async with asyncio.timeout(within_s):
            while True:
                message = await self.message(within_s)
                if message.fills(target) and words in message.text:
                    return message

    async def event(self, name: str, within_s: float = 5.0) -> Message:
        async with asyncio.timeout(within_s):
            while (message := await self.message(within_s)).event != name:
                pass
        return message


@asynccontextmanager
async def listening(person: Person, path: str, last_id: str = "") -> AsyncIterator[Listener]:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with person.session.get(path, headers=headers) as response:
        assert response.content_type == "text/event-stream"
        yield Listener(response)


async def position(person: Person) -> str:
    """Return where the stream of a list that is rendered now begins."""
    html = (await person.see("/tickets")).html
    return html.split("/live?after=")[1].split('"')[0]
