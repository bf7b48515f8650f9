"""The system's Firefox, driven over WebDriver BiDi (W3C), with aiohttp alone.

It is here for what Chromium does not do: it puts what was typed back into the forms of a page that
is loaded again, and keeps whole pages for "back". Playwright cannot drive it: it asks for commands
that Debian's Firefox does not have, and waits for ever where a page comes back whole.
"""

import asyncio
import json
import os
import re
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Self

import aiohttp

from bus.connection import end

WAIT_SECONDS = 10.0
LOOK_SECONDS = 0.03
LISTENING = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")
BACK, FORWARD = -1, 1


class Refused(Exception):
    """Firefox did not do what it was told."""


class Firefox:
    """One running Firefox, in which each person has cookies of their own."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}

    async def listen(self) -> None:
        """Hand out answers until Firefox goes; of requests that are held no script's is made."""
        async for received in self._socket:
            said = json.loads(received.data)
            if said["type"] == "event":
                if said["params"]["isBlocked"]:
                    held = said["params"]["request"]
                    verdict = "failRequest" if held["url"].endswith(".js") else "continueRequest"
                    await self._send(f"network.{verdict}", request=held["request"])
            elif waiting := self._answers.pop(said["id"], None):
                waiting.set_result(said)

    async def ask(self, method: str, **params: Any) -> Any:
        """Send a command and return its result; raises Refused."""
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[await self._send(method, **params)] = waiting
        async with asyncio.timeout(WAIT_SECONDS):
            said = await waiting
        if said["type"] != "success":
            raise Refused(f"{method}: {said['error']}: {said['message']}")
        return said["result"]

    async def _send(self, method: str, **params: Any) -> int:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        return number


@asynccontextmanager
async def run_firefox(path: str, home: Path) -> AsyncIterator[Firefox]:
    """Run a Firefox that keeps everything in `home`, which is new."""
    process = await asyncio.create_subprocess_exec(
        *(path, "--headless", "--no-remote", "--profile", str(home), "--remote-debugging-port=0"),
        env=os.environ | {"HOME": str(home)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr
    async with asyncio.timeout(60):
        while not (found := LISTENING.search(line := await process.stderr.readline())):
            assert line, "Firefox ended before it could be reached"
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{found[1].decode()}/session", max_msg_size=0) as socket,
        ):
            firefox = Firefox(socket)
            listening = asyncio.create_task(firefox.listen())
            await firefox.ask("session.new", capabilities={})
            await firefox.ask("session.subscribe", events=["network.beforeRequestSent"])
            yield firefox
            await end(listening)
    finally:
        process.terminate()
        await process.wait()


@dataclass(frozen=True)
class Person:
    """Somebody at the helpdesk's pages, with cookies of their own."""

    firefox: Firefox
    url: str
    user: str
    tabs: list["Tab"] = field(default_factory=list)

    async def become(self, role: str) -> None:
        """Have the cookie of a role."""
        cookie = {
            "name": "role",
            "value": {"type": "string", "value": role},
            "domain": "127.0.0.1",
            "httpOnly": True,
        }
        partition = {"type": "storageKey", "userContext": self.user}
        await self.firefox.ask("storage.setCookie", cookie=cookie, partition=partition)

    async def open(self, path: str, *, js: bool = True) -> "Tab":
        """Open a page in a tab of its own; without `js` no script arrives."""
        made = await self.firefox.ask("browsingContext.create", type="tab", userContext=self.user)
        tab = Tab(self.firefox, self.url, made["context"])
        self.tabs.append(tab)
        if not js:
            await self.firefox.ask(
                "network.addIntercept", phases=["beforeRequestSent"], contexts=[tab.context]
            )
        return await tab.go(path)


@dataclass(frozen=True)
class Tab:
    """One tab of a window."""

    firefox: Firefox
    url: str
    context: str

    async def go(self, path: str) -> Self:
        """Load an address."""
        await self._ask("browsingContext.navigate", url=self.url + path, wait="complete")
        return self

    async def reload(self) -> None:
        """Press F5, and see the page that comes; Firefox may call the one that goes complete."""
        await self.run("document.goes = true")
        await self._ask("browsingContext.reload", wait="complete")
        await self.until("!document.goes")

    async def show(self) -> None:
        """Turn to this tab."""
        await self._ask("browsingContext.activate")

    async def travel(self, step: int, to: str) -> None:
        """Go BACK or FORWARD, to the page of a path."""
        await self._ask("browsingContext.traverseHistory", delta=step)
        await self.until(f"location.pathname === {to!r}")

    async def run(self, script: str) -> Any:
        """Return what an expression gives, as JSON carries it; raises Refused."""
        said = await self.firefox.ask(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({script})))()",
            target={"context": self.context},
            awaitPromise=True,
            userActivation=True,
        )
        if said["type"] != "success":
            raise Refused(said["exceptionDetails"]["text"])
        return json.loads(said["result"].get("value", "null"))

    async def until(self, script: str) -> None:
        """Wait until an expression holds, on this page or on the one that is coming.

        The page is loaded then: who leaves one before leaves no trace of it for "back".
        """
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                with suppress(Refused):
                    if await self.run(f"document.readyState === 'complete' && Boolean({script})"):
                        return
                await asyncio.sleep(LOOK_SECONDS)

    async def type(self, selector: str, text: str) -> None:
        """Type into a field in place of what it holds."""
        await self.run(f"document.querySelector({selector!r}).select()")
        await self.run(f"document.querySelector({selector!r}).focus()")
        keys = [{"type": kind, "value": c} for c in text for kind in ("keyDown", "keyUp")]
        actions = [{"type": "key", "id": "keyboard", "actions": keys}]
        await self._ask("input.performActions", actions=actions)

    async def choose(self, selector: str, value: str) -> None:
        """Choose an option."""
        await self.run(
            f"document.querySelector('{selector} option[value=\"{value}\"]').selected = true"
        )

    async def click(self, selector: str) -> None:
        """Press a button or a link."""
        await self.run(f"document.querySelector({selector!r}).click()")

    async def value(self, selector: str) -> Any:
        """Return what a field holds."""
        return await self.run(f"document.querySelector({selector!r}).value")

    async def text(self, selector: str = "body") -> str:
        """Return the text of an element as it can be read."""
        return str(await self.run(f"document.querySelector({selector!r}).innerText"))

    async def screenshot(self, path: Path) -> None:
        """Keep a picture of the page."""
        answer = await self._ask("browsingContext.captureScreenshot", origin="document")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b64decode(answer["data"]))

    async def _ask(self, method: str, **params: Any) -> Any:
        return await self.firefox.ask(method, context=self.context, **params)
