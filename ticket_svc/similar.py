"""The rules of similar tickets: near in meaning, sharpened by places; suggested, never merged."""

import asyncio
import logging
from collections.abc import Sequence

from bus.rpc import RpcError
from bus.rpc_client import RpcClient
from contracts.messages import Embedding, EmbedRequest
from contracts.rest import SimilarTicket, SimilarTickets
from contracts.text import is_blank
from contracts.topology import RPC_EMBED
from contracts.vocabulary import Role
from runtime.postgres import Database
from ticket_svc import embeddings, search
from ticket_svc.database import Connection
from ticket_svc.embeddings import COMPARED_CHARACTERS, Near, Vector
from ticket_svc.places import compare_places
from ticket_svc.tickets import fetch_visible

log = logging.getLogger(__name__)

# Somebody types and waits; a vector takes milliseconds.
EMBED_SECONDS = 0.3
# A suggestion that comes later is no help, and would only keep a connection from others.
SIMILAR_SECONDS = 1.0
# Chosen on tests/ticket_svc/similar_pairs.jsonl, where texts that differ in their places only have
# a cosine of 0.83 at the median, and the same problem in two languages has 0.5 to 0.6.
EQUAL_PLACE = 0.1
DIFFERENT_PLACE = -0.4
# 98 of 100 pairs score more; two of 70 tickets about other problems do too.
LOWEST_SCORE = 0.4


async def list_similar_to_text(
    pool: Database, rpc: RpcClient, text: str, limit: int
) -> SimilarTickets:
    """Return open and active tickets about the same problem as a text, best first."""
    vector = await _embed(rpc, text)
    async with pool.acquire() as connection:
        return await _list_similar(connection, text, vector, limit)


async def list_similar_to_ticket(
    pool: Database, role: Role, ticket_id: int, limit: int
) -> SimilarTickets:
    """Return other open and active tickets about the same problem as a ticket, best first.

    Raises NotFound and ClosedToUsers.
    """
    async with pool.acquire() as connection:
        ticket = await fetch_visible(connection, role, ticket_id)
        vector = await embeddings.find_vector(connection, ticket_id)
        return await _list_similar(connection, ticket.description, vector, limit, ticket_id)


async def _embed(rpc: RpcClient, text: str) -> Vector | None:
    beginning = text[:COMPARED_CHARACTERS]
    if is_blank(beginning):
        return None
    request = EmbedRequest(text=beginning)
    try:
        return Vector.of(await rpc.call(RPC_EMBED, request, Embedding, EMBED_SECONDS))
    except RpcError as error:
        log.debug("similar: words only, %s", error)
        return None


async def _list_similar(
    connection: Connection, text: str, vector: Vector | None, limit: int, but: int | None = None
) -> SimilarTickets:
    """Compare meanings, or words where the text or all tickets are without a vector.

    What takes longer than SIMILAR_SECONDS finds nothing.
    """
    try:
        async with asyncio.timeout(SIMILAR_SECONDS) as deadline:
            if vector and (near := await embeddings.list_near(connection, vector)):
                found = await rank(text, near)
            else:
                found = await search.list_similar(connection, text, limit + 1)
    except TimeoutError:
        if not deadline.expired():
            raise
        found = []
    return SimilarTickets(items=[one for one in found if one.ticket.id != but][:limit])


async def rank(text: str, near: Sequence[Near]) -> list[SimilarTicket]:
    """Return each ticket once, best first, without those that are not worth showing."""
    best: dict[int, SimilarTicket] = {}
    for one in near:
        await asyncio.sleep(0)  # others come in between
        places = compare_places(text[:COMPARED_CHARACTERS], one.words)
        score = one.cosine + places.equal * EQUAL_PLACE + places.different * DIFFERENT_PLACE
        known = best.get(one.ticket.id)
        if score >= LOWEST_SCORE and (known is None or known.score < score):
            best[one.ticket.id] = SimilarTicket(ticket=one.ticket, score=min(score, 1.0))
    return sorted(best.values(), key=lambda one: (-one.score, one.ticket.id))
