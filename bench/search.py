"""`python -m bench.search`: how fast words are found in the descriptions and messages.

    make bench-search ARGS="--tickets 1000000"

Fills a throwaway helpdesk with the demo's sentences in five languages, each with rare words and
one in ten with a typo, and with as many messages. Prints `GET /v1/tickets?q=` for each kind of
search beside its floors: one ticket by its key, and a plain page of 50.
"""

import argparse
import asyncio
import os
import random
import runpy
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import aiohttp
from tqdm import tqdm  # type: ignore[import-untyped]

from bench.load import Figure, Run, http_load, http_request
from contracts.rest import TicketPage
from contracts.vocabulary import Role
from demo.stories import Story, stories
from deploy.local.servers import answers_200
from ticket_svc import migrations
from ticket_svc.database import Connection, create_pool

ROUNDS = 3
STORIES = 20_000
BATCH_TICKETS = 1_000
TARGET_MS = 50.0
FILL_TIMEOUT_SECONDS = 60
WORDS_TIMEOUT_SECONDS = 3_600

MIGRATION = Path(migrations.__file__).parent / "versions" / "0006_words_by_text.py"
WITHOUT_WORDS = """
    ALTER TABLE ticket {0} TRIGGER ticket_words_kept;
    ALTER TABLE message {0} TRIGGER message_words_kept
"""
DROP_INDEXES = """
    DROP INDEX ticket_text_words, word_parts;
    ALTER TABLE visible_word DROP CONSTRAINT visible_word_key
"""
# Names, devices, numbers: half a million, of which those with a small number are usual.
RARE_WORD = """
    CREATE FUNCTION bench_word(chance float8) RETURNS text LANGUAGE sql AS $$
        SELECT translate(left(md5(floor(chance ^ 3 * 500000)::text), 8), '0123456789', 'lmnoprstuv')
    $$
"""
TICKETS = """
    INSERT INTO ticket (description, status, category, category_source, opened_at, modified_at,
                        closed_at)
    SELECT CASE WHEN typo < 0.1
                THEN overlay(text PLACING reverse(substr(text, place, 2)) FROM place FOR 2)
                ELSE text END,
           status,
           (ARRAY['facility_management', 'technical_it', 'services_complaints'])
               [1 + floor(kind * 3)::int],
           'classifier', at, at, CASE status WHEN 'closed' THEN at END
      FROM (SELECT now() - interval '730 days' * (1 - n::float8 / $2) AS at, n::float8 / $2 AS age,
                   random() AS typo, random() AS kind, random() AS fate, random() AS story,
                   bench_word(random()) || ' ' || bench_word(random()) AS rare, random() AS slip
              FROM generate_series($3::int, $4::int) AS n) AS drawn
     CROSS JOIN LATERAL (
        SELECT ($1::text[])[1 + floor(story * cardinality($1::text[]))::int] || E'\n' || rare
               AS text,
               CASE WHEN fate < CASE WHEN age > 0.95 THEN 0.35 ELSE 0.0075 END THEN 'open'
                    WHEN fate < CASE WHEN age > 0.95 THEN 0.7 ELSE 0.015 END THEN 'active'
                    ELSE 'closed' END AS status) AS made
     CROSS JOIN LATERAL (SELECT 1 + floor(slip * (length(text) - 2))::int AS place) AS slipped
"""
MESSAGES = """
    INSERT INTO message (ticket_id, author, body, sent_at)
    SELECT 1 + floor(random() * $2)::int, 'user',
           ($1::text[])[1 + floor(random() * cardinality($1::text[]))::int]
           || CASE WHEN random() < 0.2 THEN ' ' || bench_word(random()) ELSE '' END, now()
      FROM generate_series(1, $3::int)
"""


@dataclass(frozen=True)
class Kind:
    """A kind of search, some of what people type for it, and the rest of the address."""

    name: str
    typed: tuple[str, ...]
    role: Role = Role.HELPDESK
    filters: str = ""


COMMON = ("the", "non", "heating", "printer", "riscaldamento", "wifi", "room", "mensa")
MIDDLE = ("beamer", "wasps", "scanner", "barrier", "calendario", "Gerät", "impresora", "microfono")
TWO = ("heating room", "seminar beamer", "toilet residence", "non funziona", "chauffage salle")
# What bench_word makes of numbers that few tickets have.
RARE = tuple(
    md5(str(number).encode(), usedforsecurity=False)
    .hexdigest()[:8]
    .translate(str.maketrans("0123456789", "lmnoprstuv"))
    for number in (90_000, 150_000, 210_000, 330_000, 470_000)
)
KINDS = (
    Kind("common word", COMMON),
    Kind("less common word", MIDDLE),
    Kind("less common word", MIDDLE, Role.USER),
    Kind("less common word", MIDDLE, filters="&status=active&category=technical_it"),
    Kind("less common, oldest first", MIDDLE, filters="&sort=opened_at"),
    Kind("less common, last changed", MIDDLE, filters="&sort=-modified_at"),
    Kind("rare word", RARE),
    Kind("rare word", RARE, Role.USER),
    Kind("two words", TWO),
    Kind("two words", TWO, Role.USER),
    Kind("two words, never together", ("beamer wasps", "wasps scanner", "barrier mensa")),
    Kind("beginning of a word", ("calend", "micro", "scann", "toil", "resid")),
    Kind("part of a word", ("inter", "levat", "ecke", "emina", "alenda")),
    Kind("part of very many words", ("ing", "ver", "ent", "tan")),
    Kind("typo", ("heatign", "beamre", "wahsroom", "scaner", "regsitration", "calednario")),
    Kind("typo", ("heatign", "beamre", "wahsroom", "scaner", "regsitration"), Role.USER),
    Kind("two letters", ("it", "pc", "wc", "tv", "la")),
    Kind("two letters, no hit", ("zq", "xj", "qk")),
    Kind("no hit", ("xylophon", "qqxyzzy", "brontosaur", "printer brontosaur")),
)


def main() -> int:
    """Fill and measure; return the exit status: 1 where a request failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.search", description=__doc__)
    parser.add_argument("--tickets", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one of the three rounds")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    if "CAMPUS_HOME" not in os.environ:
        print("bench.search needs a throwaway helpdesk: see --help.", file=sys.stderr)
        return 2
    return asyncio.run(_bench(options.tickets, options.seconds, options.seed))


async def _bench(tickets: int, seconds: float, seed: int) -> int:
    async with create_pool(os.environ["TICKET_DATABASE_URL"]) as pool, pool.acquire() as connection:
        if await connection.fetchval("SELECT EXISTS (SELECT FROM ticket)"):
            print("The database holds tickets; bench is for a throwaway stack.", file=sys.stderr)
            return 2
        await _fill(connection, tickets, stories(STORIES, seed, datetime.now(UTC)), seed)
        words = await connection.fetchval("SELECT count(*) FROM word")
    print(f"{tickets:,} tickets, as many messages, {words:,} different words; {ROUNDS} rounds\n")
    print(f"{'':<30}{'role':<10}{'per s':>8}{'p50 ms':>8}{'p99 ms':>8}")
    async with _service():
        return 1 if await _measure_all(tickets, seconds, random.Random(seed)) else 0


async def _measure_all(tickets: int, seconds: float, chance: random.Random) -> int:
    """Print a line for each floor and each kind of search; return how many requests failed."""
    helpdesk = Role.HELPDESK
    failed = await _measure(
        "one ticket", helpdesk, seconds, lambda: f"/{chance.randint(1, tickets)}"
    )
    failed += await _measure("page of 50", helpdesk, seconds, lambda: "")
    for kind in KINDS:
        failed += await _measure_kind(kind, seconds, chance)
    return failed


async def _fill(connection: Connection, tickets: int, told: list[Story], seed: int) -> None:
    """Insert in batches, as bench.fill does and for the same reason; the words as a migration."""
    descriptions = [story.description for story in told]
    texts = [step.text for story in told for step in story.steps if step.text]
    await connection.execute(RARE_WORD)
    await connection.execute("SELECT setseed($1)", 1 / seed)
    await connection.execute(f"{WITHOUT_WORDS.format('DISABLE')}; {DROP_INDEXES}")
    for start in tqdm(
        range(1, tickets + 1, BATCH_TICKETS), desc="fill", unit="k", leave=False, disable=None
    ):
        end = min(start + BATCH_TICKETS - 1, tickets)
        batch = (descriptions, tickets, start, end)
        await connection.execute(TICKETS, *batch, timeout=FILL_TIMEOUT_SECONDS)
        batch_messages = (texts, end, end - start + 1)
        await connection.execute(MESSAGES, *batch_messages, timeout=FILL_TIMEOUT_SECONDS)
    print("words", file=sys.stderr)
    migration = runpy.run_path(str(MIGRATION))
    async with connection.transaction():
        await connection.execute(migration["BACKFILL"], timeout=WORDS_TIMEOUT_SECONDS)
        await connection.execute(migration["INDEXES"], timeout=WORDS_TIMEOUT_SECONDS)
    await connection.execute(f"{WITHOUT_WORDS.format('ENABLE')}; DROP FUNCTION bench_word")
    await connection.execute(
        "VACUUM (ANALYZE) ticket, message, ticket_text, word, visible_word",
        timeout=WORDS_TIMEOUT_SECONDS,
    )


async def _measure_kind(kind: Kind, seconds: float, chance: random.Random) -> int:
    """Measure the first page, then the following one where there is one."""
    first = [f"?{urlencode({'q': typed})}{kind.filters}" for typed in kind.typed]
    failed = await _measure(kind.name, kind.role, seconds, lambda: chance.choice(first), TARGET_MS)
    following = []
    for path in first:
        page = TicketPage.model_validate_json(await _ask(kind.role, path))
        if page.next:
            following.append(f"{path}&cursor={page.next}")
    if following:
        name = "    following page"
        failed += await _measure(
            name, kind.role, seconds, lambda: chance.choice(following), TARGET_MS
        )
    return failed


async def _measure(
    name: str, role: Role, seconds: float, path: Callable[[], str], target_ms: float | None = None
) -> int:
    run = _load(role, path)
    await run(1, 0.4)
    figure = Figure.of([await run(1, seconds) for _ in range(ROUNDS)])
    verdict = ""
    if target_ms:
        verdict = f"  {target_ms:g} ms {'reached' if figure.p50_ms <= target_ms else 'MISSED'}"
    print(
        f"{name:<30}{role:<10}{figure.rate:>8,.0f}{figure.p50_ms:>8.1f}{figure.p99_ms:>8.1f}"
        + verdict,
        flush=True,
    )
    for what, n in figure.failed.items():
        print(f"FAILED {n}: {what}")
    return figure.failed.total()


def _load(role: Role, path: Callable[[], str]) -> Run:
    return http_load(
        os.environ["TICKET_API_URL"],
        lambda: http_request("GET", f"/v1/tickets{path()}", _headers(role)),
    )


async def _ask(role: Role, path: str) -> bytes:
    async with (
        aiohttp.ClientSession(os.environ["TICKET_API_URL"], headers=_headers(role)) as session,
        session.get(f"/v1/tickets{path}") as answer,
    ):
        return await answer.read()


def _headers(role: Role) -> dict[str, str]:
    return {"Authorization": f"Bearer {os.environ['TICKET_API_TOKEN']}", "X-Role": role}


@asynccontextmanager
async def _service() -> AsyncIterator[None]:
    """Run the ticket service alone: with a classifier it would ask for a vector of each ticket."""
    port = urlsplit(os.environ["TICKET_API_URL"]).port
    environment = os.environ | {"TICKET_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ticket_svc", env=environment, stderr=DEVNULL
    )
    try:
        live = f"{os.environ['TICKET_API_URL']}/health/live"
        while not await asyncio.to_thread(answers_200, live):  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.1)
        yield
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    sys.exit(main())
