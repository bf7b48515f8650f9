"""Whatever is asked of the ticket service: it holds the loop for less than 50 ms in one go, and an
answer has 2 MB at most, or as much as is said here.

Steps are measured as in `test_budgets.py`, in the service itself.
"""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from contracts.vocabulary import (
    DESCRIPTION_MAX_CHARACTERS,
    MESSAGE_MAX_CHARACTERS,
    PAGE_DEFAULT_ITEMS,
    PAGE_MAX_ITEMS,
    REPLIES_MAX,
    SIMILAR_MAX_ITEMS,
)
from runtime import lag
from tests.security.budget import STEP_MAX_SECONDS, in_calm
from tests.security.worst import full, write_ticket
from tests.ticket_svc.conftest import TOKEN, Api, serve
from ticket_svc.parts import ANSWER_MAX_BYTES
from ticket_svc.routes import OPERATORS, REST
from ticket_svc.search import EXPORT_BATCH_ROWS

# The rows of an answer, and what is around them.
SIZE_MAX_BYTES = ANSWER_MAX_BYTES + 10_000
RUNS = 3
# As many bytes as a text of so many characters may take in JSON: four for a sign, and what is
# around the text.
TICKET_MAX_BYTES = 4 * DESCRIPTION_MAX_CHARACTERS + 1_000
REPLY_MAX_BYTES = 4 * MESSAGE_MAX_CHARACTERS + 1_000
# Lists without a cursor are whole: their number is bounded, and the longest text.
WHOLE = {
    "/v1/tickets/{id}/duplicates": PAGE_DEFAULT_ITEMS * TICKET_MAX_BYTES,
    "/v1/replies": REPLIES_MAX * REPLY_MAX_BYTES,
    # A stream, no faster than it is read.
    "/v1/tickets/export": 10**9,
}
MESSAGES = 250
HEADERS = {"Authorization": f"Bearer {TOKEN}", "X-Role": "helpdesk", "If-Match": "*"}
# Signs of four bytes, signs that JSON spells with two, and words for a search and its marks.
KINDS = ("emoji", "signs that HTML spells with five", "short words")


def worst(ticket: int, kind: str) -> dict[tuple[str, str], list[tuple[str, Any]]]:
    """Return what is asked of each address, by method and path: a path with query, and a body."""
    long, body = full(kind, DESCRIPTION_MAX_CHARACTERS), full(kind, MESSAGE_MAX_CHARACTERS)
    one = f"/v1/tickets/{ticket}"
    reply = {"title": "x", "body": body}
    return {
        ("POST", "/v1/tickets"): [("/v1/tickets", {"description": long})],
        ("GET", "/v1/tickets"): [
            (f"/v1/tickets?limit={PAGE_MAX_ITEMS}{more}", None)
            for more in ("", "&sort=waiting_since", "&q=a+b+x", "&q=1")
        ],
        ("GET", "/v1/tickets/counts"): [("/v1/tickets/counts", None)],
        ("GET", "/v1/tickets/export"): [("/v1/tickets/export", None)],
        ("GET", "/v1/tickets/similar"): [
            (f"/v1/tickets/similar?limit={SIMILAR_MAX_ITEMS}&text=xa+b+a+b+a+b", None)
        ],
        ("GET", "/v1/tickets/{id}"): [(one, None)],
        ("PATCH", "/v1/tickets/{id}"): [(one, {"description": long[::-1]})],
        ("PUT", "/v1/tickets/{id}/status"): [(f"{one}/status", {"status": long})],
        ("PUT", "/v1/tickets/{id}/affected/{key}"): [(f"{one}/affected/{uuid4()}", None)],
        ("GET", "/v1/tickets/{id}/similar"): [(f"{one}/similar?limit={SIMILAR_MAX_ITEMS}", None)],
        ("PUT", "/v1/tickets/{id}/duplicate_of"): [(f"{one}/duplicate_of", {"ticket": ticket - 1})],
        ("DELETE", "/v1/tickets/{id}/duplicate_of"): [(f"{one}/duplicate_of", None)],
        ("GET", "/v1/tickets/{id}/duplicates"): [(f"{one}/duplicates", None)],
        ("GET", "/v1/tickets/{id}/messages"): [
            (f"{one}/messages", None),
            (f"{one}/messages?limit={PAGE_MAX_ITEMS}", None),
        ],
        ("POST", "/v1/tickets/{id}/messages"): [(f"{one}/messages", {"body": body})],
        ("GET", "/v1/tickets/{id}/history"): [
            (f"{one}/history", None),
            (f"{one}/history?limit={PAGE_MAX_ITEMS}", None),
        ],
        ("GET", "/v1/replies"): [("/v1/replies", None)],
        ("POST", "/v1/replies"): [("/v1/replies", reply | {"title": long[:80]})],
        ("PUT", "/v1/replies/{id}"): [("/v1/replies/1", reply)],
        ("DELETE", "/v1/replies/{id}"): [("/v1/replies/1", None)],
        ("GET", "/health/live"): [("/health/live", None)],
        ("GET", "/health/ready"): [("/health/ready", None)],
        ("GET", "/metrics"): [("/metrics", None)],
        ("GET", "/openapi.json"): [("/openapi.json", None)],
    }


def test_every_address_of_rest_has_its_worst() -> None:
    routes = {(route.method, route.path) for route in (*REST, *OPERATORS)}
    assert routes == set(worst(2, KINDS[0]))


async def _fill(database_url: str, kind: str) -> int:
    """Return a ticket that is full, among as many as a page holds and with many duplicates."""
    ticket = await write_ticket(database_url, kind, MESSAGES)
    sql = await asyncpg.connect(database_url)
    try:
        await sql.execute(
            "INSERT INTO tickets.ticket (description, opened_at, modified_at, duplicate_of)"
            " SELECT $1, now(), now(), CASE WHEN n % 2 = 0 THEN $3::bigint END"
            " FROM generate_series(1, $2::int) AS n",
            *(full(kind, DESCRIPTION_MAX_CHARACTERS), EXPORT_BATCH_ROWS + 50, ticket),
        )
        await sql.execute(
            "INSERT INTO tickets.reply (title, body) SELECT n, $1 FROM generate_series(1, $2) AS n",
            *(full(kind, MESSAGE_MAX_CHARACTERS), REPLIES_MAX),
        )
    finally:
        await sql.close()
    return ticket


@pytest.fixture
async def filled(kind: str, ticket_database_url: str) -> AsyncIterator[tuple[Api, int]]:
    ticket = await _fill(ticket_database_url, kind)
    async with serve(ticket_database_url) as api:
        yield api, ticket


@pytest.mark.parametrize("kind", KINDS)
async def test_no_answer_of_rest_holds_the_loop_or_is_large(
    kind: str, filled: tuple[Api, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    api, ticket = filled
    steps: list[float] = []
    monkeypatch.setattr(lag, "note_step", lambda _route, _wall_s, cpu_s: steps.append(cpu_s))
    over = []
    for (method, path), asked in worst(ticket, kind).items():
        for address, body in asked:
            costs: list[float] = []
            size = 0
            for _ in range(RUNS):
                steps.clear()
                answer = await api.client.request(method, address, json=body, headers=HEADERS)
                size = len(await answer.read())
                assert answer.status < 500, address
                costs.append(in_calm(max(steps)))
                if costs[-1] < STEP_MAX_SECONDS:
                    break
            if min(costs) >= STEP_MAX_SECONDS or size >= WHOLE.get(path, SIZE_MAX_BYTES):
                over.append(f"{method} {address}: {min(costs) * 1_000:.0f} ms, {size} bytes")
    assert not over, "\n".join(over)
    await _follow(api, ticket)


async def _follow(api: Api, ticket: int) -> None:
    """Show that whoever follows `earlier` and `next` gets each item once."""
    for part, n in (("messages", MESSAGES + 1), ("history", MESSAGES + 24)):
        seen: list[Any] = []
        before = ""
        while True:
            path = f"/v1/tickets/{ticket}/{part}{before}"
            page = (await api.call("GET", path, expect=200)).body
            seen[:0] = page["items"]
            if page.get("earlier") is None:
                break
            before = f"?before={page['earlier']}"
        assert len({one.get("id", one.get("version")) for one in seen}) == len(seen) == n
    for search in ("", "&q=x"):
        found: list[int] = []
        cursor = ""
        while True:
            page = await api.list(f"?limit={PAGE_MAX_ITEMS}{search}{cursor}")
            found += [one["id"] for one in page["items"]]
            assert len(page["hits"] or page["items"]) == len(page["items"])
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert len(set(found)) == len(found)
        if not search:
            counts = (await api.call("GET", "/v1/tickets/counts", expect=200)).body
            assert len(found) == sum(counts.values())
