"""`python -m bench.similar`: how fast, and how well, similar tickets are found among many.

    python -m deploy.local --throwaway --durable -- python -m bench.similar --tickets 100000

Fills a throwaway helpdesk with open tickets whose vectors lie around those of real texts, and with
the pairs of tests/ticket_svc/similar_pairs.jsonl. Prints `GET /v1/tickets/similar` beside its
floors: the vector alone (`rpc.embed`), and an exact scan of all vectors; then how many of the
exactly nearest are found, and in how many pairs the right ticket is among the first 3.
"""

import argparse
import asyncio
import json
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm  # type: ignore[import-untyped]

from bench import fill
from bench.load import Figure, Run, call_load, http_load, http_request
from bench.subjects import rpc_client
from bus.rpc_client import RpcClient
from contracts.messages import Embedding, EmbedRequest
from contracts.topology import RPC_EMBED
from ticket_svc import embeddings
from ticket_svc.database import Connection, create_pool
from ticket_svc.embeddings import Description, Vector

ROUNDS = 3
# The right answer is among so many first ones, or people don't see it.
SHOWN = 3
# So many of the exactly nearest should be found.
NEAREST = 10
REAL_TEXTS = 2_000
BATCH_TICKETS = 1_000
# A ticket's cosine to the text around which it lies: as alike as texts about one problem.
COSINE = 0.8
TARGETS_MS = {10_000: 15.0, 100_000: 30.0}
TIMEOUT_SECONDS = 10.0
_HEADERS = {"Authorization": f"Bearer {os.environ.get('TICKET_API_TOKEN')}", "X-Role": "helpdesk"}
TO_TEXT = "GET /v1/tickets/similar"
PAIRS = Path(__file__).parent.parent / "tests" / "ticket_svc" / "similar_pairs.jsonl"

EXACT = """
    SELECT ticket_id FROM ticket_vector ORDER BY embedding <#> $1::text::halfvec LIMIT $2
"""

Matrix = NDArray[np.float32]


def main() -> int:
    """Fill and measure; return the exit status: 1 where a request failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.similar", description=__doc__)
    parser.add_argument("--tickets", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=2.5, help="of one of the three rounds")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    if "CAMPUS_HOME" not in os.environ:
        print("bench.similar needs a throwaway helpdesk: see --help.", file=sys.stderr)
        return 2
    return asyncio.run(_bench(options.tickets, options.seconds, options.seed))


async def _bench(tickets: int, seconds: float, seed: int) -> int:
    chance = random.Random(seed)
    pairs = [json.loads(line) for line in PAIRS.read_text().splitlines()]
    near = [text for pair in pairs for text in (pair["ticket"], *pair.get("elsewhere", ()))]
    async with (
        rpc_client() as rpc,
        create_pool(os.environ["TICKET_DATABASE_URL"]) as pool,
        pool.acquire() as connection,
    ):
        real = [fill.problem(chance)[1] for _ in range(REAL_TEXTS)]
        model, vectors = await _embed(rpc, [*near, *real])
        texts = near + [chance.choice(real) for _ in range(tickets - len(near))]
        bases = dict(zip([*near, *real], vectors, strict=True))
        rows = np.stack([bases[text] for text in texts])
        rows[len(near) :] = _scatter(rows[len(near) :], np.random.default_rng(seed))
        await _insert(connection, model, texts, rows)

        def ask() -> str:
            return fill.problem(chance)[1]

        typed = [pair["typed"] for pair in pairs]
        _, asked = await _embed(rpc, [*typed, *(ask() for _ in typed)])
        failed = await _measure(connection, rpc, tickets, ask, list(asked), seconds)
        nearest = await _recall(connection, model, asked)
        print(f"\nof the exactly {NEAREST} nearest are found {nearest:.1%}")
        right = await _found(pairs)
        print(f"of {len(pairs)} pairs the first {SHOWN} hold the right ticket in {right:.1%}")
    return 1 if failed else 0


async def _measure(
    connection: Connection,
    rpc: RpcClient,
    tickets: int,
    ask: Callable[[], str],
    asked: list[Matrix],
    seconds: float,
) -> int:
    chance = random.Random(0)

    async def scan(_worker: int) -> None:
        await connection.fetch(EXACT, _text(chance.choice(asked)), NEAREST)

    async def embed(_worker: int) -> None:
        await rpc.call(RPC_EMBED, EmbedRequest(text=ask()), Embedding, TIMEOUT_SECONDS)

    subjects: list[tuple[str, Run, int]] = [
        ("rpc.embed alone", call_load(embed), 1),
        ("scan of whole vectors alone", call_load(scan), 1),
        (TO_TEXT, _get(lambda: f"similar?{urlencode({'text': ask()})}"), 1),
        (TO_TEXT, _get(lambda: f"similar?{urlencode({'text': ask()})}"), 16),
        ("GET /v1/tickets/{id}/similar", _get(lambda: f"{chance.randint(1, tickets)}/similar"), 1),
    ]
    print(f"{tickets:,} open tickets, medians of {ROUNDS} rounds\n")
    print(f"{'':<30}{'in flight':>9}{'per s':>9}{'p50 ms':>8}{'p99 ms':>8}")
    failed = 0
    for name, run, level in subjects:
        await run(level, 0.4)
        figure = Figure.of([await run(level, seconds) for _ in range(ROUNDS)])
        failed += figure.failed.total()
        print(
            f"{name:<30}{level:>9}{figure.rate:>9,.0f}{figure.p50_ms:>8.1f}{figure.p99_ms:>8.1f}"
            + (_verdict(figure, tickets) if (name, level) == (TO_TEXT, 1) else "")
        )
        for what, n in figure.failed.items():
            print(f"FAILED {n}: {what}")
    return failed


def _verdict(figure: Figure, tickets: int) -> str:
    target = TARGETS_MS.get(tickets)
    if target is None:
        return ""
    return f"  p50 {target:g} ms {'reached' if figure.p50_ms <= target else 'MISSED'}"


def _get(path: Callable[[], str]) -> Run:
    return http_load(
        os.environ["TICKET_API_URL"], lambda: http_request("GET", f"/v1/tickets/{path()}", _HEADERS)
    )


async def _embed(rpc: RpcClient, texts: list[str]) -> tuple[str, Matrix]:
    """Return the model, and one row a text, (n, 512)."""
    found = [
        await rpc.call(RPC_EMBED, EmbedRequest(text=text), Embedding, TIMEOUT_SECONDS)
        for text in tqdm(texts, desc="embed", leave=False, disable=None)
    ]
    return found[0].model, np.array([one.vector for one in found], np.float32)


def _scatter(rows: Matrix, chance: np.random.Generator) -> Matrix:
    """Return vectors of length 1 whose cosine to those given is COSINE."""
    noise = chance.standard_normal(rows.shape, np.float32)
    noise -= (noise * rows).sum(axis=1, keepdims=True) * rows
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    return COSINE * rows + np.float32((1 - COSINE**2) ** 0.5) * noise


def _text(row: Matrix) -> str:
    return f"[{','.join(f'{number:.4f}' for number in row)}]"


async def _insert(connection: Connection, model: str, texts: list[str], rows: Matrix) -> None:
    """Insert open tickets with their vectors."""
    starts = range(0, len(texts), BATCH_TICKETS)
    for start in tqdm(starts, desc="fill", unit="k", leave=False, disable=None):
        batch = slice(start, start + BATCH_TICKETS)
        # Both at once, or the service would ask for the vectors.
        async with connection.transaction():
            opened = await connection.fetch(
                "INSERT INTO ticket (description) SELECT unnest($1::text[]) RETURNING id",
                texts[batch],
            )
            await embeddings.store_vectors(
                connection,
                [
                    Description(ticket["id"], 1, Vector(model, _text(row)))
                    for ticket, row in zip(opened, rows[batch], strict=True)
                ],
            )
    await connection.execute("VACUUM (ANALYZE) ticket, ticket_vector, ticket_signs", timeout=600)


async def _recall(connection: Connection, model: str, asked: Matrix) -> float:
    """Return which share of the exactly nearest the service's own search finds."""
    found = 0
    for text in map(_text, asked):
        exact = {row["ticket_id"] for row in await connection.fetch(EXACT, text, NEAREST)}
        near = await embeddings.list_near(connection, Vector(model, text))
        found += len(exact & {one.ticket.id for one in near})
    return found / (NEAREST * len(asked))


async def _found(pairs: list[dict[str, str]]) -> float:
    """Return in which share of the pairs the right ticket is among the first that are shown."""
    found = 0
    async with aiohttp.ClientSession(os.environ["TICKET_API_URL"], headers=_HEADERS) as session:
        for pair in pairs:
            params = {"text": pair["typed"], "limit": str(SHOWN)}
            async with session.get("/v1/tickets/similar", params=params) as answer:
                items = (await answer.json())["items"]
            found += pair["ticket"] in [item["ticket"]["description"] for item in items]
    return found / len(pairs)


if __name__ == "__main__":
    sys.exit(main())
