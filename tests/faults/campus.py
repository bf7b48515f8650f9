"""A busy campus: people at the forms of the pages and programs at REST, who try again when nobody
answers, as careful people and programs do. Whatever they send and hear goes into the ledger.
"""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp

from bench.fill import PROBLEMS
from contracts.vocabulary import Category, Status
from tests.faults.ledger import Fate, Kind, Ledger, Write
from tests.promises.person import Page

# Longer than the longest way in which the services may say that something is away.
ATTEMPT_SECONDS = 12.0
# When somebody gives up; the longest fault is a hang of 30 s.
PATIENCE_SECONDS = 60.0
RETRY_SECONDS = 0.5
# People who look at the same few tickets get into each other's way, as they do.
RECENT_TICKETS = 60
SENTENCES = [sentence for sentences in PROBLEMS.values() for sentence in sentences]
TRIMMINGS = ("", " – sehr dringend!", ' "quoted" & <b>bold</b>', " 🚰💧", " l'eau, ça déborde")


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 is nothing."""

    status: int
    location: str = ""
    text: str = ""
    body: Any = None

    @property
    def is_certain(self) -> bool:
        return 0 < self.status < 500

    def page(self) -> Page:
        return Page(self.status, "", self.text)


class Campus:
    """Everybody who uses the helpdesk during a run."""

    def __init__(
        self, session: aiohttp.ClientSession, web_url: str, api_url: str, token: str, seed: int
    ) -> None:
        self.ledger = Ledger()
        self._session = session
        self._web_url = web_url
        self._api_url = f"{api_url}/v1"
        self._token = token
        self._chance = random.Random(seed)
        self._numbers = itertools.count(1)
        self._tickets: list[int] = []

    async def live(self, people: int, until: asyncio.Event) -> None:
        """Let so many people do one thing after the other until the event; then they finish."""
        await asyncio.gather(*(self._somebody(until) for _ in range(people)))

    async def _somebody(self, until: asyncio.Event) -> None:
        deeds = (self._report, self._send_message, self._edit, self._move, self._correct)
        while not until.is_set():
            [deed] = self._chance.choices(deeds, weights=(30, 30, 12, 22, 8))
            role = self._chance.choice(("user", "helpdesk"))
            at_pages = self._chance.random() < 0.6
            if self._tickets or deed == self._report:
                await deed(role, at_pages)
            await asyncio.sleep(self._chance.expovariate(4))

    # --- What people do ---------------------------------------------------------------------------
    async def _report(self, role: str, at_pages: bool) -> None:
        write = self.ledger.open(Kind.TICKET, role, self._text())
        if at_pages:
            form = await self._form(role, "/tickets", "/tickets")
            answer = await self._until_certain(
                lambda: self._post(role, "/tickets", text=write.value, **form)
            )
            if answer.status == 303:
                write.ticket_id = int(answer.location.rpartition("/")[2])
        else:
            body = {"description": write.value}
            if self._chance.random() < 0.3:
                body["category"] = self._chance.choice(list(Category))
            key = self._key()
            answer = await self._until_certain(
                lambda: self._call(role, "POST", "/tickets", body, Idempotency_Key=key)
            )
            if answer.status == 201:
                write.ticket_id = answer.body["id"]
        self._settle(write, answer)
        if write.ticket_id:
            self._tickets.append(write.ticket_id)

    async def _send_message(self, role: str, at_pages: bool) -> None:
        ticket_id = self._pick()
        write = self.ledger.open(Kind.MESSAGE, role, self._text(), ticket_id)
        if at_pages:
            address = f"/tickets/{ticket_id}"
            form = await self._form(role, address, f"{address}/messages")
            answer = await self._until_certain(
                lambda: self._post(role, f"{address}/messages", text=write.value, **form)
            )
        else:
            path, key = f"/tickets/{ticket_id}/messages", self._key()
            body = {"body": write.value}
            answer = await self._until_certain(
                lambda: self._call(role, "POST", path, body, Idempotency_Key=key)
            )
        self._settle(write, answer)

    async def _edit(self, role: str, at_pages: bool) -> None:
        ticket_id = self._pick()
        write = self.ledger.open(Kind.EDIT, role, self._text(), ticket_id)
        await self._change(write, at_pages, "description", "text", {"description": write.value})

    async def _correct(self, _role: str, at_pages: bool) -> None:
        category = self._chance.choice(list(Category)).value
        write = self.ledger.open(Kind.CATEGORY, "helpdesk", category, self._pick())
        await self._change(write, at_pages, "category", "category", {"category": category})

    async def _change(
        self, write: Write, at_pages: bool, place: str, field: str, body: dict[str, str]
    ) -> None:
        address = f"/tickets/{write.ticket_id}"
        if at_pages:
            form = await self._form(write.role, address, f"{address}/{place}")
            form[field] = write.value
            answer = await self._until_certain(
                lambda: self._post(write.role, f"{address}/{place}", **form)
            )
        else:
            seen = await self._until_certain(lambda: self._call(write.role, "GET", address))
            match = f'"{seen.body["version"]}"' if seen.status == 200 else "*"
            answer = await self._until_certain(
                lambda: self._call(write.role, "PATCH", address, body, If_Match=match)
            )
            current = (answer.body or {}).get("ticket")
            if current and current[place] == write.value:
                answer = Answer(200)  # an attempt without answer did it
        self._settle(write, answer)

    async def _move(self, _role: str, at_pages: bool) -> None:
        status = self._chance.choice((Status.ACTIVE, Status.CLOSED)).value
        write = self.ledger.open(Kind.STEP, "helpdesk", status, self._pick())
        path = f"/tickets/{write.ticket_id}/status"
        if at_pages:
            answer = await self._until_certain(lambda: self._post("helpdesk", path, status=status))
        else:
            answer = await self._until_certain(
                lambda: self._call("helpdesk", "PUT", path, {"status": status})
            )
        self._settle(write, answer)

    # --- How they do it ---------------------------------------------------------------------------
    async def _form(self, role: str, address: str, action: str) -> dict[str, str]:
        """Return the hidden fields of a form; a closed ticket has none, and is tried anyway."""
        page = (await self._until_certain(lambda: self._get(role, address))).page()
        return page.hidden(action) if f'action="{action}"' in page.text else {"key": self._key()}

    async def _until_certain(self, attempt: Callable[[], Awaitable[Answer]]) -> Answer:
        """Try until somebody says yes or no; status 0 where nobody did in good time.

        A no after an attempt without answer may speak of that attempt's success, and counts as no
        answer.
        """
        end = time.monotonic() + PATIENCE_SECONDS
        was_uncertain = False
        while True:
            answer = await attempt()
            if answer.is_certain:
                is_no = answer.status >= 400
                return Answer(0, body=answer.body) if is_no and was_uncertain else answer
            was_uncertain = True
            if time.monotonic() > end:
                return answer
            await asyncio.sleep(RETRY_SECONDS * (0.5 + self._chance.random()))

    async def _get(self, role: str, address: str) -> Answer:
        return await self._ask("web", "GET", self._web_url + address, role)

    async def _post(self, role: str, address: str, **form: str) -> Answer:
        return await self._ask("web", "POST", self._web_url + address, role, data=form)

    async def _call(
        self, role: str, method: str, path: str, body: Any = None, **headers: str
    ) -> Answer:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers |= {"Authorization": f"Bearer {self._token}", "X-Role": role}
        return await self._ask(
            "REST", method, self._api_url + path, role, json=body, headers=headers
        )

    async def _ask(self, channel: str, method: str, url: str, role: str, **options: Any) -> Answer:
        began = time.monotonic()
        if channel == "web":
            options["headers"] = {"Cookie": f"role={role}"}
        try:
            async with self._session.request(
                method, url, allow_redirects=False, **options
            ) as response:
                text = await response.text()
                is_json = response.content_type.endswith("json")
                body = await response.json(content_type=None) if is_json else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.ledger.count(channel, began, 0)
            return Answer(0)
        self.ledger.count(channel, began, response.status)
        if response.status >= 500 and response.status != 503:
            self.ledger.defects.append(f"{method} {url}: {response.status} {text[-300:]}")
        return Answer(response.status, response.headers.get("Location", ""), text, body)

    def _settle(self, write: Write, answer: Answer) -> None:
        if answer.status:
            write.fate = Fate.ACKNOWLEDGED if answer.status < 400 else Fate.REFUSED

    def _pick(self) -> int:
        return self._chance.choice(self._tickets[-RECENT_TICKETS:])

    def _text(self) -> str:
        sentence = self._chance.choice(SENTENCES) + self._chance.choice(TRIMMINGS)
        return f"{sentence} #{next(self._numbers)}"

    def _key(self) -> str:
        return str(UUID(int=self._chance.getrandbits(128)))


@asynccontextmanager
async def campus(web_url: str, api_url: str, token: str, seed: int) -> AsyncIterator[Campus]:
    """Open the campus."""
    timeout = aiohttp.ClientTimeout(total=ATTEMPT_SECONDS)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=jar) as session:
        yield Campus(session, web_url, api_url, token, seed)
