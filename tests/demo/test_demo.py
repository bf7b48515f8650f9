"""The command against a running helpdesk: once, again, after an interruption, and without one."""

import asyncio
import csv
import io
import json
import os
import sys
import time
from collections import defaultdict
from datetime import datetime
from typing import Any
from urllib.request import Request, urlopen
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from demo.play import helpdesk, play
from demo.rhythm import campus_now
from demo.stories import stories
from tests.conftest import ROOT, Stack

TICKETS = 40
Row = dict[str, Any]


async def run_demo(values: dict[str, str], seed: int) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "demo", "--tickets", str(TICKETS), "--seed", str(seed)),
        cwd=ROOT,
        env=os.environ | values,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode() + err.decode()


def export(stack: Stack) -> dict[int, Row]:
    headers = {"Authorization": f"Bearer {stack['TICKET_API_TOKEN']}", "X-Role": "helpdesk"}
    with urlopen(
        Request(f"{stack['TICKET_API_URL']}/v1/tickets/export", headers=headers)
    ) as answer:
        tickets = [json.loads(line) for line in answer]
    return {ticket["id"]: ticket for ticket in tickets}


def replies(stack: Stack) -> list[Row]:
    headers = {"Authorization": f"Bearer {stack['TICKET_API_TOKEN']}", "X-Role": "helpdesk"}
    with urlopen(Request(f"{stack['TICKET_API_URL']}/v1/replies", headers=headers)) as answer:
        return list(json.load(answer)["items"])


def report_of_months(stack: Stack) -> dict[str, tuple[int, int, float | None]]:
    """Return month → closed, still open, mean seconds, as the page lets people download it."""
    url = f"{stack['WEB_URL']}/analytics/resolution.csv"
    with urlopen(Request(url, headers={"Cookie": "role=helpdesk"})) as answer:
        rows = list(csv.DictReader(io.TextIOWrapper(answer, "utf-8")))
    return {
        row["month"]: (
            int(row["closed"]),
            int(row["still_open"]),
            float(row["mean_seconds"]) if row["mean_seconds"] else None,
        )
        for row in rows
        if row["closed"] != "0" or row["still_open"] != "0"
    }


def recount(stack: Stack) -> dict[str, tuple[int, int, float | None]]:
    durations: defaultdict[str, list[float | None]] = defaultdict(list)
    for ticket in export(stack).values():
        opened = datetime.fromisoformat(ticket["opened_at"])
        month = f"{opened.astimezone(ZoneInfo(stack['CAMPUS_TIMEZONE'])):%Y-%m}"
        closed = ticket["closed_at"] and datetime.fromisoformat(ticket["closed_at"])
        durations[month].append((closed - opened).total_seconds() if closed else None)
    counts = {}
    for month, all_of_it in durations.items():
        closed = [seconds for seconds in all_of_it if seconds is not None]
        mean = pytest.approx(sum(closed) / len(closed), rel=0, abs=0.5) if closed else None
        counts[month] = (len(closed), len(all_of_it) - len(closed), mean)
    return counts


async def fetch(stack: Stack, sql: str, *values: object) -> list[Any]:
    connection = await asyncpg.connect(
        stack["TICKET_DATABASE_URL"], server_settings={"search_path": "tickets"}
    )
    try:
        return await connection.fetch(sql, *values)
    finally:
        await connection.close()


async def ids_of(stack: Stack, seed: int) -> set[int]:
    keys = [story.key for story in stories(TICKETS, seed, campus_now("Europe/Rome"))]
    rows = await fetch(stack, "SELECT id FROM ticket WHERE idempotency_key = ANY($1)", keys)
    return {row["id"] for row in rows}


async def agrees(stack: Stack) -> bool:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if await asyncio.to_thread(lambda: report_of_months(stack) == recount(stack)):
            return True
        await asyncio.sleep(0.2)
    return False


async def test_two_years_in_one_run_and_none_in_the_second(stack: Stack) -> None:
    before = export(stack)
    status, output = await run_demo(stack.names.values, seed=1)
    assert (status, f"{TICKETS} tickets in" in output) == (0, True), output
    after = export(stack)
    ours = await ids_of(stack, seed=1)
    assert after.keys() - before.keys() == ours
    assert len(ours) == TICKETS
    assert {id_: after[id_] for id_ in before} == before
    now = campus_now("Europe/Rome")
    ages = sorted((now - datetime.fromisoformat(after[id_]["opened_at"])).days for id_ in ours)
    assert ages[-1] > 365
    assert await agrees(stack)

    kept = replies(stack)
    assert len(kept) >= 6

    status, output = await run_demo(stack.names.values, seed=1)
    assert (status, output) == (0, f"All {TICKETS} tickets are there already.\n")
    assert export(stack) == after
    assert replies(stack) == kept


async def test_history_messages_and_tickets_tell_the_same_times(stack: Stack) -> None:
    await run_demo(stack.names.values, seed=2)
    ids = sorted(await ids_of(stack, seed=2))
    assert len(ids) == TICKETS
    wrong = await fetch(
        stack,
        """
        SELECT ticket_id FROM (
            SELECT ticket_id, version, at,
                   lag(at) OVER (PARTITION BY ticket_id ORDER BY version) AS at_before,
                   row_number() OVER (PARTITION BY ticket_id ORDER BY version) AS n
              FROM history WHERE ticket_id = ANY($1)
        ) AS life WHERE at <= at_before OR version <> n OR at > now()
        UNION ALL
        SELECT id FROM ticket JOIN history ON ticket_id = id
         WHERE id = ANY($1)
           AND (action = 'opened' AND at <> opened_at OR action = 'closed' AND at <> closed_at
                OR history.version = ticket.version AND at <> modified_at)
        UNION ALL
        SELECT id FROM ticket WHERE id = ANY($1) AND (messages, version) <> (
            (SELECT count(*) FROM message WHERE ticket_id = ticket.id),
            (SELECT count(*) FROM history WHERE ticket_id = ticket.id))
        UNION ALL
        SELECT ticket_id FROM message WHERE ticket_id = ANY($1) AND NOT EXISTS (
            SELECT FROM history AS h WHERE h.ticket_id = message.ticket_id
               AND action = 'message_sent' AND at = sent_at AND role = author)
        UNION ALL
        SELECT id FROM ticket WHERE id = ANY($1) AND waiting_since IS NOT NULL AND NOT EXISTS (
            SELECT FROM history WHERE ticket_id = ticket.id AND at = waiting_since
               AND (action = 'opened' OR action = 'message_sent' AND role = 'user'))
        """,
        ids,
    )
    assert wrong == []
    counted = await fetch(
        stack,
        "SELECT status, sum(n) - (SELECT count(*) FROM ticket t WHERE t.status = c.status) AS off"
        " FROM ticket_count c GROUP BY status",
    )
    assert {row["off"] for row in counted} == {0}


async def test_an_interrupted_run_is_finished_by_the_next(stack: Stack) -> None:
    begun = stories(TICKETS, 4, campus_now("Europe/Rome"))[: TICKETS // 2]
    url, token, amqp_url = (
        stack[name] for name in ("TICKET_API_URL", "TICKET_API_TOKEN", "WEB_AMQP_URL")
    )
    async with helpdesk(url, token, amqp_url) as desk:
        await play(desk, begun, len(begun))
    status, output = await run_demo(stack.names.values, seed=4)
    assert (status, f"{TICKETS} tickets in" in output) == (0, True), output
    ids = await ids_of(stack, seed=4)
    assert len(ids) == TICKETS
    tickets = export(stack)
    assert all(tickets[id_]["opened_at"].endswith(".000000Z") for id_ in ids)
    assert await agrees(stack)


async def test_without_a_helpdesk_one_sentence_says_so(stack: Stack) -> None:
    status, output = await run_demo(
        stack.names.values | {"TICKET_API_URL": "http://127.0.0.1:9"}, seed=5
    )
    expected = "No helpdesk answers at http://127.0.0.1:9: start one with `make run`.\n"
    assert (status, output) == (1, expected)
