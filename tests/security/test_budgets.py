"""Whatever is asked of any address: it holds the loop for less than 50 ms in one go, and a page has
less than 300 kB.

What a step costs is this thread's CPU time, the least of some runs: a busy machine makes the clock
late, and now and then a step dearer, but never cheaper. `runtime/lag.py` measures the same steps
where the helpdesk runs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import pytest

from contracts.rest import Ticket
from contracts.vocabulary import (
    DESCRIPTION_MAX_CHARACTERS,
    MESSAGE_MAX_CHARACTERS,
    SEARCH_MAX_CHARACTERS,
)
from runtime import lag
from tests.conftest import Stack
from tests.security.worst import WORST, full, write_ticket
from tests.web.conftest import Api, MakePerson, Person, Serve
from web.forms import FORM_MAX_BYTES
from web.links import find_addresses
from web.pages.tickets_page import ROWS_MAX
from web.routes import ROUTES

STEP_MAX_SECONDS = 0.05
PAGE_MAX_BYTES = 300_000
RUNS = 3
# As much as a form may hold of what HTML spells with five signs, percent-encoded with three.
ECHOED = FORM_MAX_BYTES // 3 - 100
BROTLI = {"Accept-Encoding": "br"}


@dataclass(frozen=True)
class Asked:
    """One request: `form` makes it a POST."""

    path: str
    form: dict[str, str] | list[tuple[str, str]] | None = None
    headers: tuple[tuple[str, str], ...] = ()
    # Whose matter the cost is until theirs is mended. "memory": a ticket's page around a typed text
    # that is five times too long has 460 kB.
    waits_for: str = ""


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


def _plain(*paths: str) -> Callable[[Ticket, str], list[Asked]]:
    return lambda _ticket, _kind: [Asked(path) for path in paths]


def _list(_ticket: Ticket, kind: str) -> list[Asked]:
    text = full(kind, SEARCH_MAX_CHARACTERS)
    return [
        Asked(f"/tickets?rows={ROWS_MAX}&status=all"),
        Asked(f"/tickets?q={escape(text)}", waits_for="search"),
        Asked(f"/tickets?{many('category', 'status')}", waits_for="threads"),
    ]


def _report(_ticket: Ticket, kind: str) -> list[Asked]:
    return [
        Asked("/tickets", {"text": full(kind, 2 * DESCRIPTION_MAX_CHARACTERS)}),
        Asked("/tickets", {"text": "&" * ECHOED}),
        Asked("/tickets", [("a", "")] * 50_000),
    ]


def _hints(_ticket: Ticket, kind: str) -> list[Asked]:
    text = full(kind, DESCRIPTION_MAX_CHARACTERS)
    return [Asked(f"/tickets/hints?text={text}", waits_for="search")]


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
        Asked(
            f"/tickets/{t.id}/description",
            {"text": "&" * ECHOED, "version": "1"},
            waits_for="memory",
        ),
    ],
    ("POST", "/tickets/{id}/category"): _ticket("/category", category="x", version="1"),
    ("POST", "/tickets/{id}/status"): _ticket("/status", status="{long}"),
    ("POST", "/tickets/{id}/messages"): _ticket("/messages", text="{long}"),
    ("POST", "/tickets/{id}/typing"): _ticket("/typing", page="{long}"),
    ("POST", "/tickets/{id}/duplicate"): _ticket("/duplicate", of="{long}"),
    ("POST", "/tickets/{id}/affected"): _ticket("/affected", key="{long}"),
    ("GET", "/replies"): _plain("/replies"),
    ("POST", "/replies"): lambda _t, k: [
        Asked("/replies", {"title": full(k, 10_000), "text": full(k, 10_000)})
    ],
    ("GET", "/replies/{id}"): _plain("/replies/1"),
    ("POST", "/replies/{id}"): lambda _t, k: [
        Asked("/replies/1", {"title": full(k, 10_000), "text": full(k, 10_000)})
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
            headers = {"Accept-Encoding": "identity"} | dict(asked.headers)
            method, data = ("GET", None) if asked.form is None else ("POST", asked.form)
            seen = await self.person.ask(method, asked.path, headers=headers, data=data)
            size = max(size, len(seen.html.encode()))
            costs.append(max(self.steps, default=0.0))
            if costs[-1] < STEP_MAX_SECONDS:
                break
        return min(costs), size


@pytest.fixture
async def meter(people: MakePerson, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Meter:
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
    for (method, path), worst in ASKED.items():
        for n, asked in enumerate(worst(ticket, kind)):
            cost_s, size = await meter.least(asked)
            if (cost_s >= STEP_MAX_SECONDS or size >= PAGE_MAX_BYTES) and not asked.waits_for:
                over[f"{method} {path} {n}"] = f"{cost_s * 1_000:.0f} ms, {size} bytes"
    assert not over, "\n".join(f"{what}: {cost}" for what, cost in over.items())
