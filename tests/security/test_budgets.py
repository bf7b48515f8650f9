"""Whatever is asked of any address: it holds the loop for less than 50 ms in one go, and a page has
less than 300 kB.

What a step costs is this thread's CPU time, the least of some runs, as on a calm machine
(`budget.py`). `runtime/lag.py` measures the same steps where the helpdesk runs.
"""

import asyncio
import gc
import os
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import urlencode

import asyncpg
import pytest

from contracts.rest import Ticket
from contracts.vocabulary import (
    DESCRIPTION_MAX_CHARACTERS,
    MESSAGE_MAX_CHARACTERS,
    REPLIES_MAX,
    SEARCH_MAX_CHARACTERS,
)
from runtime import lag
from tests.conftest import ROOT, Stack
from tests.security.budget import STEP_MAX_SECONDS, in_calm
from tests.security.worst import WORST, full, write_ticket
from tests.web.conftest import Api, MakePerson, Person, Serve
from tests.web.listener import listening
from web.forms import FORM, FORM_MAX_BYTES, HTML_MAX_BYTES
from web.links import find_addresses
from web.pages.tickets_page import ROWS_MAX
from web.routes import ROUTES

PAGE_MAX_BYTES = 300_000
RUNS = 3
# The largest answer of any one address, not given back, would be more than is allowed:
# rows of lists are kept, and made anew each minute.
TIMES = 2
KEPT_MAX_BYTES = 400_000
# As much as a form may hold of what HTML spells with five signs, percent-encoded with three.
ECHOED = min(FORM_MAX_BYTES // 3, HTML_MAX_BYTES // 5) - 100
# These tickets, so long ago that they are in no other test's list, are full of what a search marks,
# and of what HTML spells with five signs.
OLD = "2001-01-02T00:00:00Z"
TITLE, SAID = 'a"' * 75 + "z", 'b"' * 80
BROTLI = {"Accept-Encoding": "br"}


@dataclass(frozen=True)
class Asked:
    """One request: `form` makes it a POST."""

    path: str
    form: dict[str, str] | list[tuple[str, str]] | str | None = None
    headers: tuple[tuple[str, str], ...] = ()


def many(*names: str, value: str = "x") -> str:
    """Return a query as long as an address may be, of parameters that repeat."""
    return "&".join(f"{name}={value}{n}" for n in range(8_000 // len(names)) for name in names)


def _ticket(path: str, **form: str) -> Callable[[Ticket, str], list[Asked]]:
    return lambda ticket, kind: [
        Asked(
            f"/tickets/{ticket.id}{path}",
            {
                name: value.format(
                    long=full(kind, DESCRIPTION_MAX_CHARACTERS),
                    body=full(kind, MESSAGE_MAX_CHARACTERS),
                    other=full(kind, DESCRIPTION_MAX_CHARACTERS)[::-1],
                    over=full(kind, 2 * DESCRIPTION_MAX_CHARACTERS),
                )
                for name, value in form.items()
            },
        )
    ]


def _too_long(path: str, **form: str) -> list[Asked]:
    """Return forms with what is long in HTML, as browsers send it, and as they never do."""
    return [
        Asked(path, form | {"text": "&" * ECHOED}),
        Asked(path, urlencode(form | {"text": ""}) + '"' * (FORM_MAX_BYTES - 1_000)),
        Asked(path, urlencode(form | {"text": ""}) + '"' * (HTML_MAX_BYTES // 5 - 1_000)),
    ]


def _plain(*paths: str) -> Callable[[Ticket, str], list[Asked]]:
    return lambda _ticket, _kind: [Asked(path) for path in paths]


def _list(_ticket: Ticket, kind: str) -> list[Asked]:
    text = full(kind, SEARCH_MAX_CHARACTERS)
    return [
        Asked(f"/tickets?rows={ROWS_MAX}&status=all"),
        Asked(f"/tickets?rows={ROWS_MAX}&opened_to={OLD}"),
        Asked(f"/tickets?rows={ROWS_MAX}&opened_to={OLD}&q=a+b"),
        Asked(f"/tickets?q={escape(text)}"),
        Asked(f"/tickets?{many('category', 'status')}"),
    ]


def _report(_ticket: Ticket, kind: str) -> list[Asked]:
    return [
        Asked("/tickets", {"text": full(kind, 2 * DESCRIPTION_MAX_CHARACTERS)}),
        *_too_long("/tickets"),
        Asked("/tickets", [("a", "")] * 50_000),
    ]


def _hints(_ticket: Ticket, kind: str) -> list[Asked]:
    text = full(kind, DESCRIPTION_MAX_CHARACTERS)
    return [Asked(f"/tickets/hints?text={text}")]


ALL_ANALYSES = ("unclosed", "resolution", "active")
LONGEST = {"unclosed": "last=3660&unit=days", "resolution": "months=1200", "active": ""}
# What is asked of each address of `web/routes.py`, by method and path.
ASKED: dict[tuple[str, str], Callable[[Ticket, str], list[Asked]]] = {
    ("GET", "/"): _plain("/", f"/?next=/{'x' * 100_000}"),
    ("POST", "/enter"): lambda _t, _k: [Asked("/enter", {"role": "user", "next": "/" * 100_000})],
    ("POST", "/leave"): lambda _t, _k: [Asked("/leave", {"as": "user"})],
    ("POST", "/preferences"): lambda _t, _k: [Asked("/preferences", {"language": "x" * 100_000})],
    ("GET", "/tickets"): _list,
    ("POST", "/tickets"): _report,
    ("POST", "/tickets/bulk"): lambda t, _k: [
        Asked("/tickets/bulk", [("ticket", str(t.id))] * 200 + [("do", "technical_it")])
    ],
    ("GET", "/tickets/hints"): _hints,
    ("GET", "/tickets/next"): _plain(f"/tickets/next?after={'9' * 100_000}"),
    ("GET", "/tickets/{id}"): lambda t, _k: [
        Asked(f"/tickets/{t.id}"),
        Asked(f"/tickets/{t.id}", headers=tuple(BROTLI.items())),
        Asked(f"/tickets/{t.id}?before=9007199254740991"),
        Asked(f"/tickets/{t.id}?until=2147483647"),
    ],
    ("GET", "/tickets/{id}/similar"): lambda t, _k: [Asked(f"/tickets/{t.id}/similar")],
    ("POST", "/tickets/{id}/description"): lambda t, k: [
        *_ticket("/description", text="{over}", version="1")(t, k),
        # Somebody else was faster: three texts, and which words they do not share.
        *_ticket("/description", text="{other}", version="1", was="x")(t, k),
        *_too_long(f"/tickets/{t.id}/description", version="1"),
    ],
    ("POST", "/tickets/{id}/category"): _ticket("/category", category="x", version="1"),
    ("POST", "/tickets/{id}/status"): _ticket("/status", status="{long}"),
    ("POST", "/tickets/{id}/messages"): lambda t, k: [
        *_ticket("/messages", text="{long}")(t, k),
        *_too_long(f"/tickets/{t.id}/messages"),
        *_too_long(f"/tickets/{t.id}/messages", insert="1", reply="1"),
        Asked(f"/tickets/{t.id}/messages", {"insert": "1", "text": full(k, 5_000)}),
    ],
    ("POST", "/tickets/{id}/typing"): _ticket("/typing", page="{long}"),
    ("POST", "/tickets/{id}/duplicate"): lambda t, k: [
        *_ticket("/duplicate", of="{long}")(t, k),
        Asked(f"/tickets/{t.id}/duplicate", {"of": "&" * ECHOED}),
    ],
    ("POST", "/tickets/{id}/affected"): _ticket("/affected", key="{long}"),
    ("GET", "/replies"): _plain("/replies"),
    ("POST", "/replies"): lambda _t, k: [
        Asked("/replies", {"title": full(k, 10_000), "text": full(k, 10_000)}),
        Asked("/replies", {"title": full(k, 81), "text": full(k, 5_000)}),
        *_too_long("/replies", title="x"),
    ],
    ("GET", "/replies/{id}"): _plain("/replies/1"),
    ("POST", "/replies/{id}"): lambda _t, k: [
        Asked("/replies/1", {"title": full(k, 10_000), "text": full(k, 10_000)}),
        *_too_long("/replies/1", title="x"),
    ],
    ("POST", "/replies/{id}/delete"): lambda _t, _k: [Asked("/replies/1/delete", {"as": "user"})],
    ("GET", "/analytics"): _plain("/analytics"),
    ("GET", "/analytics/all"): _plain("/analytics/all", f"/analytics/all?{many('category')}"),
    ("GET", "/analytics/{analysis}"): _plain(
        *(f"/analytics/{name}?{LONGEST[name]}" for name in ALL_ANALYSES)
    ),
    ("GET", "/analytics/{analysis}.{kind}"): _plain(
        *(f"/analytics/{n}.{k}?{LONGEST[n]}" for n in ALL_ANALYSES for k in ("svg", "csv"))
    ),
    ("GET", "/classifier"): lambda _t, k: [
        Asked(f"/classifier?text={full(k, DESCRIPTION_MAX_CHARACTERS)}")
    ],
    ("GET", "/live"): lambda t, _k: [],  # a stream: tests/web/test_live_size.py
    ("GET", "/health/live"): _plain("/health/live"),
    ("GET", "/health/ready"): _plain("/health/ready"),
    ("GET", "/metrics"): _plain("/metrics"),
    ("GET", "/static/{name}"): _plain("/static/base.css", f"/static/{'x' * 100_000}"),
}


def _canonical(path: str) -> str:
    for name in ("id", "analysis", "kind"):
        start = path.find(f"{{{name}:")
        if start >= 0:
            depth, end = 0, start
            while True:
                depth += {"{": 1, "}": -1}.get(path[end], 0)
                end += 1
                if not depth:
                    break
            path = f"{path[:start]}{{{name}}}{path[end:]}"
    return path


def test_every_address_of_the_pages_has_its_worst() -> None:
    assert {(route.method, _canonical(route.path)) for route in ROUTES} == set(ASKED)


@dataclass
class Meter:
    """Who asks, and what the steps of the last request cost."""

    person: Person
    steps: list[float]

    async def least(self, asked: Asked) -> tuple[float, int]:
        """Return the cost of the longest step, in seconds, and the size of the answer."""
        costs, size = [], 0
        for _ in range(RUNS):
            self.steps.clear()
            find_addresses.cache_clear()
            size = max(size, await self.ask(asked))
            costs.append(in_calm(max(self.steps, default=0.0)))
            if costs[-1] < STEP_MAX_SECONDS:
                break
        return min(costs), size

    async def ask(self, asked: Asked) -> int:
        """Return the size of the answer."""
        headers = {"Accept-Encoding": "identity", "Content-Type": FORM} | dict(asked.headers)
        method, data = ("GET", None) if asked.form is None else ("POST", asked.form)
        seen = await self.person.ask(method, asked.path, headers=headers, data=data)
        assert seen.status < 500, asked.path[:100]
        return len(seen.html.encode())


@pytest.fixture(scope="module")
async def _much(stack: Stack) -> AsyncIterator[None]:
    """Have as many rows as a list shows, and as many canned replies as there may be."""
    sql = await asyncpg.connect(stack["TICKET_DATABASE_URL"])
    await sql.execute(
        "WITH old AS (INSERT INTO tickets.ticket (description, category, category_source, affected,"
        " opened_at, modified_at, waiting_since, messages, version)"
        " SELECT $1, 'facility_management', 'helpdesk', 999999, '2001-01-01', now(), now(), 1,"
        " 2000000"
        " FROM generate_series(1, $3::int) RETURNING id)"
        " INSERT INTO tickets.message (ticket_id, author, body, sent_at)"
        " SELECT id, 'user', $2, now() FROM old",
        *(TITLE, SAID, ROWS_MAX + 1),
    )
    # PostgreSQL measures characters: as many as fit with those of other tests.
    await sql.execute(
        "INSERT INTO tickets.reply (title, body) SELECT 'worst ' || lpad(n::text, 74, $1), $2"
        " FROM generate_series(1, $3::int) AS n",
        *('"', full("signs that HTML spells with five", MESSAGE_MAX_CHARACTERS), REPLIES_MAX),
    )
    yield
    await sql.execute("DELETE FROM tickets.reply WHERE title LIKE 'worst %'")
    # No event told the reports of what was written past the service.
    await sql.execute(
        "UPDATE tickets.ticket SET opened_at = modified_at, waiting_since = NULL"
        " WHERE description = $1",
        TITLE,
    )
    command = [sys.executable, "-m", "analytics_svc", "rebuild"]
    environment = {"PATH": os.environ["PATH"]} | stack.names.of_service("analytics_svc")
    await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=environment, check=True, capture_output=True
    )
    await sql.close()


@pytest.fixture
async def meter(
    _much: None, people: MakePerson, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> Meter:
    steps: list[float] = []
    monkeypatch.setattr(lag, "note_step", lambda _route, _wall_s, cpu_s: steps.append(cpu_s))
    server = await serve()
    person = people("helpdesk", server)
    # What is made once is not what a request costs.
    await person.see("/tickets")
    return Meter(person, steps)


@pytest.mark.parametrize("kind", WORST)
async def test_no_page_holds_the_loop_or_is_large(
    meter: Meter, api: Api, stack: Stack, kind: str
) -> None:
    ticket = await api.fetch(await write_ticket(stack["TICKET_DATABASE_URL"], kind))
    over: dict[str, Any] = {}
    first_kind = next(iter(WORST))
    for (method, path), worst in ASKED.items():
        for n, asked in enumerate(worst(ticket, kind)):
            if (
                kind != first_kind
                and str(ticket.id) not in asked.path
                and (asked in worst(ticket, first_kind))
            ):
                continue  # nothing of the kind is in it
            cost_s, size = await meter.least(asked)
            if cost_s >= STEP_MAX_SECONDS or size >= PAGE_MAX_BYTES:
                over[f"{method} {path} {n}"] = f"{cost_s * 1_000:.0f} ms, {size} bytes"
    assert not over, "\n".join(f"{what}: {cost}" for what, cost in over.items())


async def test_what_a_stream_begins_with_is_no_larger(meter: Meter, api: Api, stack: Stack) -> None:
    kind = "signs that HTML spells with five"
    ticket = await api.fetch(await write_ticket(stack["TICKET_DATABASE_URL"], kind))
    # A page that shows no version of it gets all of it.
    async with listening(meter.person, f"/live?ticket={ticket.id}&after=0") as stream:
        assert len((await stream.until("description", within_s=20)).data.encode()) < PAGE_MAX_BYTES
    for analysis, question in LONGEST.items():
        async with listening(meter.person, f"/live?report={analysis}&after=0&{question}") as stream:
            assert len((await stream.message(within_s=20)).data.encode()) < PAGE_MAX_BYTES


async def test_what_answers_needed_is_given_back(meter: Meter, api: Api, stack: Stack) -> None:
    kind = "signs that HTML spells with five"
    ticket = await api.fetch(await write_ticket(stack["TICKET_DATABASE_URL"], kind))
    firsts = [asked[0] for worst in ASKED.values() if (asked := worst(ticket, kind))]

    async def ask_all() -> int:
        for asked in firsts:
            await meter.ask(asked)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        await ask_all()  # what is made or kept once
        before = await ask_all()
        for _ in range(TIMES):
            after = await ask_all()
    finally:
        tracemalloc.stop()
    assert after - before < KEPT_MAX_BYTES
