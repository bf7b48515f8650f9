"""Fills the ticket database by COPY, as the REST interface would have left it, only sooner."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from tqdm import tqdm  # type: ignore[import-untyped]

from contracts.vocabulary import Category, Status

# The trigger that counts tickets updates one row for each; a long transaction would walk over all
# of that row's dead versions each time.
BATCH_TICKETS = 1_000
SPAN = timedelta(days=730)
# 95 % closed in all: the newest 5 % mostly are not, and a few old ones were left behind.
NEW_SHARE = 0.05
UNCLOSED_OF_NEW = 0.7
UNCLOSED_OF_OLD = 0.015
MEAN_HOURS = 40.0

Row = tuple[Any, ...]
PROBLEMS = {
    Category.FACILITY_MANAGEMENT: (
        "The radiator does not get warm",
        "La finestra non si chiude",
        "Water drips from the ceiling",
        "Das Licht im Flur flackert",
    ),
    Category.TECHNICAL_IT: (
        "The projector shows a blue picture",
        "No consigo entrar en el campus virtual",
        "The printer says that it has no paper",
        "Le réseau sans fil tombe en panne",
    ),
    Category.SERVICES_COMPLAINTS: (
        "The queue at the canteen is too long",
        "Die Rückgabe am Schalter hat niemand bestätigt",
        "La segreteria non risponde alle mail",
        "The shuttle bus left ten minutes early",
    ),
}
PLACES = ("lecture hall", "seminar room", "library, floor", "residence, room", "building", "lab")
MESSAGES = (
    "It is still the same today, please tell us when somebody comes.",
    "Thank you, we are looking at it.",
    "Could you tell us which room exactly?",
    "It works again, thanks!",
)


def problem(chance: random.Random) -> tuple[Category, str]:
    """Return a category and a description that belongs to it."""
    category = chance.choice(tuple(Category))
    place = f"{chance.choice(PLACES)} {chance.randint(1, 400)}"
    return category, f"{chance.choice(PROBLEMS[category])}, {place}\nSeen at {chance.random():.6f}"


def message(chance: random.Random) -> str:
    """Return what somebody writes under a ticket."""
    return chance.choice(MESSAGES)


async def fill(tickets: int, seed: int) -> None:
    """Make the tickets, their messages and history, then the read model of the reports.

    Raises RuntimeError where tickets are there already: somebody may want them.
    """
    connection = await asyncpg.connect(
        os.environ["TICKET_DATABASE_URL"], server_settings={"search_path": "tickets, extensions"}
    )
    try:
        if await connection.fetchval("SELECT EXISTS (SELECT FROM ticket)"):
            raise RuntimeError("The database holds tickets; bench is for a throwaway stack only.")
        chance = random.Random(seed)
        now = datetime.now(UTC)
        for start in tqdm(
            range(0, tickets, BATCH_TICKETS), desc="fill", unit="k", leave=False, disable=None
        ):
            rows: dict[str, list[Row]] = {"ticket": [], "message": [], "history": []}
            for number in range(start, min(start + BATCH_TICKETS, tickets)):
                for table, row in _story(chance, number + 1, number / tickets, now):
                    rows[table].append(row)
            for table, columns in _COLUMNS.items():
                await connection.copy_records_to_table(
                    table, schema_name="tickets", columns=columns, records=rows[table]
                )
        await connection.execute(
            "SELECT setval(pg_get_serial_sequence('ticket', 'id'), max(id)) FROM ticket"
        )
        await connection.execute("VACUUM (ANALYZE) ticket, message, history, ticket_count")
    finally:
        await connection.close()
    rebuild = [sys.executable, "-m", "analytics_svc", "rebuild"]
    subprocess.run(rebuild, check=True, capture_output=True)  # noqa: S603, ASYNC221


_COLUMNS = {
    "ticket": (
        *("id", "description", "status", "category", "category_source"),
        *("opened_at", "modified_at", "closed_at", "version", "messages", "waiting_since"),
    ),
    "message": ("ticket_id", "author", "body", "sent_at"),
    "history": ("ticket_id", "version", "at", "role", "action", "before", "after"),
}


def _story(
    chance: random.Random, ticket_id: int, age_rank: float, now: datetime
) -> Iterator[tuple[str, Row]]:
    """Yield the rows of one ticket's life; `age_rank` is 0 for the oldest and 1 for the newest."""
    opened_at = now - SPAN * (1 - age_rank)
    is_new = age_rank > 1 - NEW_SHARE
    if chance.random() < (UNCLOSED_OF_NEW if is_new else UNCLOSED_OF_OLD):
        status = chance.choice((Status.OPEN, Status.ACTIVE))
    else:
        status = Status.CLOSED
    spent = timedelta(hours=chance.expovariate(1 / MEAN_HOURS))
    end = min(opened_at + spent, now)
    category, description = problem(chance)
    messages = chance.randint(0, 4)
    steps: list[Row] = [("user", "message_sent", None, None)] * messages
    if status is not Status.OPEN:
        activation = ("helpdesk", "activated", "open", "active")
        steps.insert(chance.randint(0, messages), activation)
    if status is Status.CLOSED:
        steps.append(("helpdesk", "closed", "active", "closed"))
    length = (end - opened_at) / max(len(steps), 1)
    yield "history", (ticket_id, 1, opened_at, "user", "opened", None, None)
    at = opened_at
    waiting_since: datetime | None = opened_at
    for version, (role, action, before, after) in enumerate(steps, start=2):
        at += length
        author = chance.choice(("user", "helpdesk")) if action == "message_sent" else role
        waiting_since = None if author == "helpdesk" else waiting_since or at
        yield "history", (ticket_id, version, at, author, action, before, after)
        if action == "message_sent":
            yield "message", (ticket_id, author, message(chance), at)
    closed_at = at if status is Status.CLOSED else None
    state = (status.value, category.value, "classifier", opened_at, at, closed_at)
    yield "ticket", (ticket_id, description, *state, 1 + len(steps), messages, waiting_since)
