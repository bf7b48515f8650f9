"""What was written before a backup is there after a restore, and nothing that came later."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import aio_pika
import psycopg
import pytest

from contracts.topology import (
    ANALYTICS_TICKETS,
    RPC_CLASSIFY,
    RPC_EMBED,
    TICKET_CATEGORISED,
    TICKET_EMBEDDED,
)
from contracts.vocabulary import EMBEDDING_DIMENSIONS
from deploy.archive import ArchiveError, to_sql, write
from deploy.local.names import SERVICES
from tests.conftest import ROOT, Stack
from tests.signing import asked, signed

FIRST = "The lift in building C is stuck"
COUNTS = "SELECT count(*), coalesce(sum(version), 0)::int, count(category)::int FROM tickets.ticket"


def call(stack: Stack, method: str, path: str, body: Any = None, **headers: str) -> Any:
    request = Request(
        f"{stack['TICKET_API_URL']}/v1/tickets{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {stack['TICKET_API_TOKEN']}",
            "X-Role": "helpdesk",
            "Content-Type": "application/json",
        }
        | headers,
    )
    with urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def report(stack: Stack, text: str, category: str | None = "technical_it") -> int:
    body = {"description": text} | ({"category": category} if category else {})
    return int(call(stack, "POST", "", body, **{"X-Role": "user"})["id"])


def tickets(stack: Stack) -> list[dict[str, Any]]:
    page = call(stack, "GET", "?limit=200&sort=opened_at")
    found = list(page["items"])
    while page["next"]:
        page = call(stack, "GET", f"?limit=200&sort=opened_at&cursor={page['next']}")
        found += page["items"]
    return found


def run(stack: Stack, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.backup", *map(str, arguments)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | stack.names.values,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    return done


def counted(stack: Stack) -> Any:
    with psycopg.connect(stack["TICKET_DATABASE_URL"]) as connection:
        return connection.execute(COUNTS).fetchone()


def vectors(stack: Stack) -> dict[str, int]:
    """Return how many vectors there are of each model."""
    with psycopg.connect(stack["TICKET_DATABASE_URL"]) as connection:
        return dict(
            connection.execute("SELECT model, count(*) FROM tickets.ticket_vector GROUP BY model")
        )


@asynccontextmanager
async def writing(stack: Stack) -> AsyncIterator[list[int]]:
    """Let somebody open tickets all the time."""
    opened: list[int] = []
    stop = asyncio.Event()

    async def write_on() -> None:
        while not stop.is_set():
            opened.append(await asyncio.to_thread(report, stack, "While the backup runs"))
            await asyncio.sleep(0.02)

    writer = asyncio.create_task(write_on())
    try:
        yield opened
    finally:
        stop.set()
        await writer


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.1)


async def leave_messages(stack: Stack, ticket: dict[str, Any], numbers: range) -> None:
    """Leave in the queues what speaks of tickets that the restore takes back."""
    answer = {
        "category": "facility_management",
        "confidence": 1.0,
        "scores": {},
        "because": [],
        "model": "stale",
    }
    vector = {"vector": [0.0] * EMBEDDING_DIMENSIONS, "model": "stale"}
    connection = await aio_pika.connect(stack.broker.admin_url)
    async with connection:
        channel = await connection.channel()
        for number in numbers:
            category = asked(TICKET_CATEGORISED, str(number))
            embedded = asked(TICKET_EMBEDDED, f"{number}.1")
            for queue, body, reply_to, correlation_id in (
                (ANALYTICS_TICKETS, {"ticket": ticket | {"id": number}}, None, None),
                (TICKET_CATEGORISED, {"result": answer}, None, category),
                (TICKET_EMBEDDED, {"result": vector}, None, embedded),
                (RPC_CLASSIFY, {"text": "Heating is cold"}, TICKET_CATEGORISED, category),
                (RPC_EMBED, {"text": "Heating is cold"}, TICKET_EMBEDDED, embedded),
            ):
                message = signed(
                    json.dumps(body).encode(),
                    correlation_id=correlation_id,
                    reply_to=reply_to,
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                )
                await channel.default_exchange.publish(message, queue)


async def test_a_restore_brings_back_the_tickets_of_the_backup_and_no_others(
    own_stack: Stack, tmp_path: Path
) -> None:
    stack = own_stack
    file = tmp_path / "campus.dump"
    # --- Before: one ticket of each status, and one whose category has still to come.
    stack.stop("classifier_svc")
    waiting = report(stack, FIRST, None)
    active, closed = report(stack, "WLAN is slow"), report(stack, "The projector is dark")
    for ticket, status in ((active, "active"), (closed, "active"), (closed, "closed")):
        call(stack, "PUT", f"/{ticket}/status", {"status": status})
    call(stack, "POST", f"/{active}/messages", {"body": "We are on it"})
    async with writing(stack) as opened:
        await until(lambda: len(opened) > 5)
        made = await asyncio.to_thread(run, stack, "backup", file)
        await until(lambda: len(opened) > 10)
    assert made.returncode == 0, made.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    kept = json.loads((tmp_path / "campus.dump.json").read_text())["counts"]
    assert 8 < kept["tickets"] < len(tickets(stack))
    assert f"{kept['tickets']} tickets, 1 messages, {kept['history']} history" in made.stdout

    # --- After: what must be gone.
    call(stack, "PUT", f"/{waiting}/status", {"status": "active"})
    gone = report(stack, "Written after the backup")
    future = call(stack, "GET", f"/{gone}") | {"version": 9, "status": "active"}
    before = await asyncio.to_thread(counted, stack)
    refused = run(stack, "--home", tmp_path, "restore", file)
    assert refused.returncode == 1
    assert "The helpdesk runs" in refused.stderr
    for service in ("web", "analytics_svc"):
        stack.stop(service)
    stale = range(kept["tickets"] + 1, gone + 2)
    stack.stop("ticket_svc")
    await leave_messages(stack, future, stale)

    # --- A file that is cut off, with and without what is known about it.
    cut = tmp_path / "cut.dump"
    cut.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    for beside in (None, (tmp_path / "campus.dump.json").read_text()):
        if beside:
            (tmp_path / "cut.dump.json").write_text(beside)
        for command in ("load", "restore"):
            broken = run(stack, "--home", tmp_path, command, cut)
            assert broken.returncode == 1
            assert broken.stderr.startswith(str(cut))
    assert counted(stack) == before

    # --- Restored.
    loaded = run(stack, "load", file)
    assert loaded.returncode == 0, loaded.stderr
    assert [line.split()[1] for line in loaded.stdout.splitlines()[1:]] == [
        str(kept[name]) for name in ("tickets", "messages", "history")
    ]
    for service in SERVICES:
        await asyncio.to_thread(stack.start, service)
    checked = await asyncio.to_thread(run, stack, "check")
    assert checked.returncode == 0, checked.stdout
    total = kept["tickets"]
    assert [line.split()[1:] for line in checked.stdout.splitlines()[1:]] == [
        [str(n), str(n)] for n in (total, total - 2, 1, 1)
    ]
    descriptions = {ticket["id"]: ticket["description"] for ticket in tickets(stack)}
    assert len(descriptions) == kept["tickets"]
    assert gone not in descriptions
    messages = call(stack, "GET", f"/{active}/messages")["items"]
    assert [message["body"] for message in messages] == ["We are on it"]
    # Its request was in a queue and is asked again.
    await until(lambda: call(stack, "GET", f"/{waiting}")["category"])
    await until(lambda: vectors(stack) == {"use-multilingual-3": kept["tickets"] - 1})

    # --- A number that somebody has on paper never means another ticket.
    assert report(stack, "A new one") > gone
    checked = await asyncio.to_thread(run, stack, "check")
    assert checked.returncode == 0, checked.stdout
    assert run(stack, "backup", file).stderr.endswith("is there already and stays as it is.\n")


def test_a_wrong_file_is_refused_in_one_sentence(ticket_database_url: str, tmp_path: Path) -> None:
    script = tmp_path / "script.sql"
    with pytest.raises(ArchiveError, match="There is no file"):
        to_sql(tmp_path / "none.dump", script)
    wrong = tmp_path / "wrong.dump"
    wrong.write_text("not a dump")
    with pytest.raises(ArchiveError, match="is no whole backup"):
        to_sql(wrong, script)
    newer = tmp_path / "newer.dump"
    write(ticket_database_url, newer)
    beside = tmp_path / "newer.dump.json"
    beside.write_text(json.dumps(json.loads(beside.read_text()) | {"migration": "9999"}))
    with pytest.raises(ArchiveError, match="newer version"):
        to_sql(newer, script)
